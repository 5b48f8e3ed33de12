//! What Sayso answers, parsed.

use sayso_model::token::ApprovalToken;
use sayso_model::{ApprovalId, Note, Timestamp};

/// A request that is with the human.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requested {
    /// Of the approval, for [`Approvals::check`](super::Approvals::check).
    pub id: ApprovalId,
    /// From then on nobody can decide.
    pub closes_at: Timestamp,
    /// A page that shows people how it stands. It cannot decide.
    pub status_url: String,
    /// Who was asked, masked, for people.
    pub approver: String,
    /// Sayso's words to an agent: whether the mail went out, and what to do now.
    pub next: String,
}

/// How an approval stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nobody has answered.
    Pending {
        /// From then on nobody can decide.
        closes_at: Timestamp,
        /// Sayso's words to an agent: whether the mail went out, and what to do now.
        next: String,
    },
    /// A human said yes.
    Approved {
        /// For [`Gate::permit`](crate::Gate::permit), which alone says whether it holds.
        token: ApprovalToken,
        /// The token permits nothing from then on.
        token_expires_at: Timestamp,
        /// When.
        decided_at: Timestamp,
        /// The approver's words.
        note: Option<Note>,
    },
    /// A human said no.
    Denied {
        /// When.
        decided_at: Timestamp,
        /// The approver's words.
        note: Option<Note>,
    },
    /// Nobody answered in time: neither a yes nor a no.
    Expired,
    /// It was taken back.
    Withdrawn,
}

/// What stands for good after a request was to be withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withdrawal {
    /// It is withdrawn, by this call or before.
    Withdrawn,
    /// It had been approved.
    Approved,
    /// It had been denied.
    Denied,
    /// It had expired.
    Expired,
}
