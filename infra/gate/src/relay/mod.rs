//! MCP between a client and a server: the transports on both sides, and messages as the text that was sent. Nothing here knows
//! of policies or approvals. `crate::mcp` decides what passes.
//!
//! **Threat.** A client or a server that sends messages which parsers read differently (duplicate members, look-alike methods,
//! batches), or that floods, stalls, breaks off or never ends. A web page that posts to a loopback address.
//!
//! **Bindings.** A message is passed on as the text that was read. An id or a token is replaced in that text. Each client's
//! requests have their own ids. Messages go to the configured server and nowhere else.
//!
//! **Not done here.** Deciding whether a message may pass, and authenticating clients.

use tokio::sync::mpsc;

pub(crate) mod client;
pub(crate) mod message;
pub(crate) mod upstream;

use message::Message;

/// How many messages may wait on a channel before the sender has to wait.
pub(crate) const WAITING_MESSAGES: usize = 64;

/// The longest message that is read from a client, in bytes.
pub(crate) const MAX_BYTES: usize = 16 * 1024 * 1024;

/// The headers that streamable HTTP adds to a message.
const SESSION_HEADER: &str = "mcp-session-id";
const VERSION_HEADER: &str = "mcp-protocol-version";

/// The member of `params._meta` with the version of a request, from version 2026-07-28 on.
const VERSION_META: &str = "io.modelcontextprotocol/protocolVersion";

/// One end of a connection: a sender to the other end and a receiver from it, each in order. When the other end is gone, `from`
/// ends and sending fails. Dropping both halves closes the connection.
pub(crate) struct Channel {
    pub(crate) to: mpsc::Sender<Message>,
    pub(crate) from: mpsc::Receiver<Message>,
}

impl Channel {
    /// Both ends of a new connection.
    pub(crate) fn pair() -> (Self, Self) {
        let (to, their_from) = mpsc::channel(WAITING_MESSAGES);
        let (their_to, from) = mpsc::channel(WAITING_MESSAGES);
        (Self { to, from }, Self { to: their_to, from: their_from })
    }
}
