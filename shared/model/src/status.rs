use std::fmt;

use crate::text::text_traits;
use crate::{Invalid, Outcome};

/// The word for how an approval stands: in answers to agents and gates, in the operator's lists, on the status page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Nobody has answered, and somebody still may.
    Pending,
    /// As `Pending`, but the mail bounced, was reported as spam, or was never sent on: it takes the operator to go on.
    Undeliverable,
    /// A human said yes.
    Approved,
    /// A human said no.
    Denied,
    /// Nobody answered in time: neither a yes nor a no.
    Expired,
    /// The agent took it back.
    Withdrawn,
}

impl Status {
    /// Every status, open ones first.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Undeliverable, Self::Approved, Self::Denied, Self::Expired, Self::Withdrawn];

    /// Whether somebody may still decide.
    pub fn is_open(self) -> bool {
        match self {
            Self::Pending | Self::Undeliverable => true,
            Self::Approved | Self::Denied | Self::Expired | Self::Withdrawn => false,
        }
    }

    /// The word, in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Undeliverable => "undeliverable",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// From its word.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let known = Self::ALL.into_iter().find(|status| status.as_str() == text);
        known.ok_or_else(|| {
            let all = Self::ALL.map(Self::as_str).join("`, `");
            Invalid::new(format!("a status is one of `{all}`"))
        })
    }
}

impl From<&Outcome> for Status {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Approved { .. } => Self::Approved,
            Outcome::Denied(_) => Self::Denied,
            Outcome::Expired { .. } => Self::Expired,
            Outcome::Withdrawn { .. } => Self::Withdrawn,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

text_traits!(Status);
