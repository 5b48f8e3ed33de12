//! `sayso-gate mcp`: an MCP server in front of another. Everything passes, but a call of a tool that the policy gates.

pub(crate) mod client;
pub(crate) mod message;
pub(crate) mod upstream;

use message::Message;
use tokio::sync::mpsc;

/// How many messages may wait on a line before their sender does.
pub(crate) const WAITING_MESSAGES: usize = 64;

/// The longest message that is read from a client, in bytes.
pub(crate) const MOST_BYTES: usize = 16 * 1024 * 1024;

/// One side of a conversation: what goes to it, and what comes from it, each in order. When it is gone, `from` ends and
/// sending fails; when both ends of this are dropped, it is closed.
pub(crate) struct Line {
    pub(crate) to: mpsc::Sender<Message>,
    pub(crate) from: mpsc::Receiver<Message>,
}

/// Stands in front of the server until the client is gone.
pub(crate) fn run(_: crate::arguments::McpSettings) -> std::process::ExitCode {
    crate::terminal::say("`mcp` is not built yet");
    crate::terminal::status::CONFIGURATION.into()
}
