//! MCP between a client and a server: the transports on both sides, and messages as the text they were written in. Nothing
//! here knows of policies or approvals; `crate::mcp` decides what passes.
//!
//! **Threat.** A client or a server that writes messages which readers take differently (duplicate members, look-alike
//! methods, batches), that floods, stalls, breaks off or never ends; a web page that posts to a loopback address.
//!
//! **Bindings.** A message is passed on as the bytes that were read, and what is changed (an id, a token) is changed in that
//! text. Each client's requests have ids of their own. What is sent goes to the configured server and nowhere else.
//!
//! **Not done here.** Deciding whether a message may pass; authentication of clients.

use tokio::sync::mpsc;

pub(crate) mod client;
pub(crate) mod message;
pub(crate) mod upstream;

use message::Message;

/// How many messages may wait on a channel before their sender does.
pub(crate) const WAITING_MESSAGES: usize = 64;

/// The longest message that is read from a client, in bytes.
pub(crate) const MAX_BYTES: usize = 16 * 1024 * 1024;

/// The names of what streamable HTTP adds to a message.
const SESSION_HEADER: &str = "mcp-session-id";
const VERSION_HEADER: &str = "mcp-protocol-version";

/// Where a request of version 2026-07-28 or later says its version, in `params._meta`.
const VERSION_META: &str = "io.modelcontextprotocol/protocolVersion";

/// One end of a connection: what goes to the other side, and what comes from it, each in order. When the other end is gone,
/// `from` ends and sending fails. When both halves of this end are dropped, the connection is closed.
pub(crate) struct Channel {
    pub(crate) to: mpsc::Sender<Message>,
    pub(crate) from: mpsc::Receiver<Message>,
}

impl Channel {
    /// Both ends of a connection: what is sent into one comes out of the other.
    pub(crate) fn pair() -> (Self, Self) {
        let (to, their_from) = mpsc::channel(WAITING_MESSAGES);
        let (their_to, from) = mpsc::channel(WAITING_MESSAGES);
        (Self { to, from }, Self { to: their_to, from: their_from })
    }
}
