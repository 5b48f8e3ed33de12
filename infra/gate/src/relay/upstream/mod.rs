//! The MCP server behind the gate: a command that speaks over its standard input and output, or a URL.

mod command;
mod endpoint;
mod events;
mod exchange;
mod group;
pub(super) mod headers;
mod http;
#[cfg(test)]
mod tests;
#[cfg_attr(windows, path = "user_windows.rs")]
mod user;

use serde_json::Value;
use thiserror::Error;
use tokio::sync::watch;

use self::command::Program;
use self::endpoint::Endpoint;
use super::Channel;
use super::message::{Id, Message, code};

/// The longest message that is read from a server, in bytes. Results may be large, but memory is limited.
const MAX_ANSWER_BYTES: usize = 256 * 1024 * 1024;

/// The server, and how many conversations with it are open.
#[derive(Debug, Clone)]
pub(crate) struct Upstream {
    server: Server,
    open: watch::Sender<usize>,
}

#[derive(Debug, Clone)]
enum Server {
    Command(Program),
    Url(Endpoint),
}

/// The server cannot be reached or started. The text says what to change, and contains no credential.
#[derive(Debug, Clone, Error)]
#[error("{0}")]
pub(crate) struct UpstreamError(pub(crate) String);

impl Upstream {
    /// A command, with this process's environment except Sayso's own variables. It runs as `user`, if one is named.
    pub(crate) fn command_from_env(argv: Vec<String>, user: Option<&str>) -> Result<Self, UpstreamError> {
        Ok(Self::new(Server::Command(Program::from_env(argv, user)?)))
    }

    /// An `https` URL, or an `http` URL on loopback, with the value of its `Authorization` header.
    pub(crate) fn url(url: &str, authorization: Option<&str>) -> Result<Self, UpstreamError> {
        Ok(Self::new(Server::Url(Endpoint::new(url, authorization)?)))
    }

    fn new(server: Server) -> Self {
        Self { server, open: watch::Sender::new(0) }
    }

    /// A stable name: the command's words as a JSON array, or the URL.
    pub(crate) fn name(&self) -> String {
        match &self.server {
            Server::Command(program) => program.name(),
            Server::Url(endpoint) => endpoint.url().to_owned(),
        }
    }

    /// Checks at the start that a URL does not redirect.
    pub(crate) async fn look(&self) -> Result<(), UpstreamError> {
        match &self.server {
            Server::Command(_) => Ok(()),
            Server::Url(endpoint) => endpoint.look().await,
        }
    }

    /// Opens a new conversation with the server. Dropping the channel closes it.
    pub(crate) async fn open(&self) -> Result<Channel, UpstreamError> {
        let open = OpenConversation::count(&self.open);
        match &self.server {
            Server::Command(program) => program.open(open),
            Server::Url(endpoint) => Ok(http::open(endpoint, open)),
        }
    }

    /// Waits until every conversation whose channel was dropped is closed: its process has ended, or its session is deleted. If
    /// the program ends earlier, that is cut short.
    pub(crate) async fn closed(&self) {
        // It cannot fail: this holds a sender.
        let _ = self.open.subscribe().wait_for(|open| *open == 0).await;
    }
}

/// A conversation that is not closed yet.
struct OpenConversation(watch::Sender<usize>);

impl OpenConversation {
    fn count(open: &watch::Sender<usize>) -> Self {
        open.send_modify(|open| *open += 1);
        Self(open.clone())
    }
}

impl Drop for OpenConversation {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

/// Parses a message from the server. An invalid answer becomes an error, so that nobody waits for it for ever. Any other
/// invalid message is `None`.
fn received(text: &str) -> Option<Message> {
    Message::parse(text).map_or_else(
        |refusal| {
            let lenient: Value = serde_json::from_str(text).ok()?;
            let answers = lenient.get("method").is_none();
            let id = lenient.get("id").filter(|id| answers && !id.is_null()).and_then(Id::from_value)?;
            let problem = format!("the server's answer cannot be passed on: {}", refusal.problem);
            Some(Message::error(Some(&id), code::INTERNAL_ERROR, &problem))
        },
        Some,
    )
}

/// Tells the operator something. The text never contains what the server or the client said.
fn notice(text: &str) {
    crate::terminal::say(text);
}
