//! `sayso-gate mcp`: an MCP server in front of another. Everything passes, but a call of a tool that the policy gates.

pub(crate) mod client;
pub(crate) mod message;
pub(crate) mod policy;
pub(crate) mod upstream;

use message::Message;
use tokio::sync::mpsc;

/// How many messages may wait on a line before their sender does.
pub(crate) const WAITING_MESSAGES: usize = 64;

/// The longest message that is read from a client, in bytes.
pub(crate) const MOST_BYTES: usize = 16 * 1024 * 1024;

/// The names of what streamable HTTP adds to a message.
const SESSION_HEADER: &str = "mcp-session-id";
const VERSION_HEADER: &str = "mcp-protocol-version";

/// Where a request of version 2026-07-28 or later says its version, in `params._meta`.
const VERSION_META: &str = "io.modelcontextprotocol/protocolVersion";

/// One side of a conversation: what goes to it, and what comes from it, each in order. When it is gone, `from` ends and
/// sending fails; when both ends of this are dropped, it is closed.
pub(crate) struct Line {
    pub(crate) to: mpsc::Sender<Message>,
    pub(crate) from: mpsc::Receiver<Message>,
}

impl Line {
    /// Both ends of one: what is sent to the one comes from the other.
    pub(crate) fn pair() -> (Self, Self) {
        let (to, their_from) = mpsc::channel(WAITING_MESSAGES);
        let (their_to, from) = mpsc::channel(WAITING_MESSAGES);
        (Self { to, from }, Self { to: their_to, from: their_from })
    }
}
