//! What the gate knows of the server's list of tools, and why it may not know a tool.

use std::collections::BTreeSet;
use std::time::Duration;

use sayso_model::Timestamp;
use thiserror::Error;

use crate::clock;

/// How long the server may take to list its tools.
pub(super) const LISTING_LIMIT: Duration = Duration::from_secs(10);

/// Far above any honest list. The gate does not wait for a server whose pages never end.
pub(super) const MAX_PAGES: usize = 100;

/// How long the names of a list are used before the server is asked again.
const FRESH: Duration = Duration::from_secs(300);

/// Why the gate has no description of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum ToolNotListed {
    /// The server lists no such tool.
    #[error("the server does not list it")]
    Unknown,
    /// The server lists two tools of this name.
    #[error("the server lists it more than once")]
    Ambiguous,
    /// The server did not list its tools.
    #[error("the server did not list its tools when it was asked ({0})")]
    ListError(ListError),
}

/// Why there is no list.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum ListError {
    #[error("it did not answer within {} seconds", LISTING_LIMIT.as_secs())]
    Silent,
    #[error("it answered with an id that it had not been asked with")]
    Misdirected,
    #[error("the error {code}: {message}")]
    Error { code: String, message: String },
    #[error("its answer has no list of tools")]
    NotAList,
    #[error("the list has more than {MAX_PAGES} pages")]
    Endless,
}

/// The names that the server listed, and until when they are used.
#[derive(Debug, Default)]
pub(super) struct Names(Option<(BTreeSet<String>, Timestamp)>);

impl Names {
    /// Whether the server is known to list a tool of this name.
    pub(super) fn hold(&self, tool: &str) -> bool {
        self.0.as_ref().is_some_and(|(names, until)| clock::now() < *until && names.contains(tool))
    }

    /// Takes the names that the server has just listed.
    pub(super) fn learn(&mut self, names: BTreeSet<String>) {
        self.0 = Some((names, clock::now().plus(FRESH)));
    }

    /// The server has said that its tools have changed.
    pub(super) fn forget(&mut self) {
        self.0 = None;
    }
}
