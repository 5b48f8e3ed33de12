//! The MCP server behind the gate: a command that speaks over its standard input and output, or a URL.

use thiserror::Error;

use super::Line;

/// Where the server is.
pub(crate) enum Upstream {}

/// The server cannot be reached or started. The text says what to change, and holds no credential.
#[derive(Debug, Clone, Error)]
#[error("{0}")]
pub(crate) struct CannotOpen(pub(crate) String);

impl Upstream {
    /// A conversation of its own with the server.
    pub(crate) async fn open(&self) -> Result<Line, CannotOpen> {
        match *self {}
    }
}
