//! The agents that reach the gate over HTTP: streamable HTTP at `/mcp`, in both eras of the protocol.

use std::io;

use tokio::net::TcpListener;

use crate::mcp::Line;
use crate::mcp::upstream::Upstream;

/// Serves until the listener fails. Every conversation with the server is given to `converse` together with the clients'
/// end of it: one for each session, and one that all requests without a session share.
pub(crate) async fn serve<Converse, Conversation>(
    listener: TcpListener,
    converse: Converse,
    upstream: Upstream,
    allowed_hosts: Vec<String>,
) -> io::Result<()>
where
    Converse: Fn(Line, Line) -> Conversation + Send + Sync + 'static,
    Conversation: Future<Output = ()> + Send + 'static,
{
    let _ = (listener, converse, upstream, allowed_hosts);
    Err(io::ErrorKind::Unsupported.into())
}
