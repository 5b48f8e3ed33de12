use crate::relay::Channel;
use crate::relay::upstream::{Upstream, UpstreamError};

/// Opens conversations between a client and the server.
pub(super) struct Opener {
    upstream: Upstream,
    start: Box<dyn Fn(Channel, Channel) + Send + Sync>,
}

impl Opener {
    /// `start` is given the clients' end of each conversation and the server's.
    pub(super) fn new(upstream: Upstream, start: impl Fn(Channel, Channel) + Send + Sync + 'static) -> Self {
        Self { upstream, start: Box::new(start) }
    }

    /// The clients' end of a new conversation.
    pub(super) async fn open(&self) -> Result<Channel, UpstreamError> {
        let server = self.upstream.open().await?;
        let (ours, client) = Channel::pair();
        (self.start)(client, server);
        Ok(ours)
    }
}
