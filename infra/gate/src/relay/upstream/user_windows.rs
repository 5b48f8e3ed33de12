//! Another user for a server: not on Windows.

use tokio::process::Command;

use super::UpstreamError;

/// No value exists: see [`User::find`].
#[derive(Debug, Clone)]
pub(super) enum User {}

impl User {
    /// Refuses every name.
    pub(super) fn find(name: &str) -> Result<Self, UpstreamError> {
        let problem = "a server cannot be started as another user on Windows: leave --user out";
        Err(UpstreamError(format!("--user {name}: {problem}")))
    }

    pub(super) fn put_on(&self, _: &mut Command) {
        match *self {}
    }
}
