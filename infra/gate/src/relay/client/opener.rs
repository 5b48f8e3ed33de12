//! Opens the server's side of each client's conversation.

use crate::relay::Channel;
use crate::relay::upstream::{Upstream, UpstreamError};

/// Opens conversations between a client and the server.
pub(super) struct Opener {
    upstream: Upstream,
    start: Box<dyn Fn(Channel, Channel) + Send + Sync>,
}

impl Opener {
    /// `start` gets the client's and the server's end of each new conversation.
    pub(super) fn new(upstream: Upstream, start: impl Fn(Channel, Channel) + Send + Sync + 'static) -> Self {
        Self { upstream, start: Box::new(start) }
    }

    /// Starts a new conversation, and returns the client's end.
    pub(super) async fn open(&self) -> Result<Channel, UpstreamError> {
        let server = self.upstream.open().await?;
        let (ours, client) = Channel::pair();
        (self.start)(client, server);
        Ok(ours)
    }
}
