//! What the gate knows of the server's list of tools, and why it may not know it.

use std::collections::BTreeSet;
use std::time::Duration;

use sayso_model::Timestamp;
use thiserror::Error;

use crate::clock;

/// How long the server may take to list its tools.
pub(super) const LISTING_LIMIT: Duration = Duration::from_secs(10);

/// Far above any honest list: a server whose pages never end is not waited for.
pub(super) const MAX_PAGES: usize = 100;

/// How long the names of a list count without asking again.
const FRESH: Duration = Duration::from_secs(300);

/// Why the server's own description of a tool cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum NotListed {
    /// There is no such tool, or none that the server owns up to.
    #[error("the server does not list it")]
    Unknown,
    /// Two tools of one name.
    #[error("the server lists it more than once")]
    Ambiguous,
    /// No list, or none that is one.
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
    #[error("its answer holds no list of tools")]
    NotAList,
    #[error("the list has more than {MAX_PAGES} pages")]
    Endless,
}

/// The names that the server listed, and until when they count.
#[derive(Debug, Default)]
pub(super) struct Names(Option<(BTreeSet<String>, Timestamp)>);

impl Names {
    /// Whether the server is known to list a tool of this name.
    pub(super) fn hold(&self, tool: &str) -> bool {
        self.0.as_ref().is_some_and(|(names, until)| clock::now() < *until && names.contains(tool))
    }

    /// As the server has listed them just now.
    pub(super) fn learn(&mut self, names: BTreeSet<String>) {
        self.0 = Some((names, clock::now().plus(FRESH)));
    }

    /// The server has said that they are others now.
    pub(super) fn forget(&mut self) {
        self.0 = None;
    }
}
