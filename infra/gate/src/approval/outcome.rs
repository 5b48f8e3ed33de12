//! What comes of asking a human.

use sayso_sdk::{
    ApprovalError, ApprovalId, ApprovalStatus, ApprovalToken, Note, Refusal, Timestamp, UndeliveredCause,
};
use thiserror::Error;

use super::state_dir::{SavedAnswer, SavedApproval, StateDirError};

/// An approval that a human has not answered.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    pub(crate) id: ApprovalId,
    /// The approver's masked address.
    pub(crate) approver: String,
    pub(crate) closes_at: Timestamp,
    /// A page that shows the status. Nobody can decide there.
    pub(crate) status_url: String,
    /// Whether the mail has certainly gone out. If not, asking again sends it.
    pub(crate) mail_sent: bool,
    /// For [`Asker::withdraw`](super::Asker::withdraw).
    pub(crate) kept: SavedApproval,
}

/// A human approved, and the approval is not redeemed yet.
#[derive(Debug, Clone)]
pub(crate) struct Approved {
    pub(crate) token: ApprovalToken,
    pub(crate) note: Option<Note>,
    pub(crate) kept: SavedApproval,
}

/// A human denied.
#[derive(Debug, Clone)]
pub(crate) struct Denied {
    pub(crate) note: Option<Note>,
    pub(crate) kept: SavedApproval,
}

/// What [`Asker::ask`](super::Asker::ask) returns.
#[derive(Debug, Clone)]
pub(crate) enum AskOutcome {
    Approved(Approved),
    /// Nobody has answered yet. The same call finds the same approval.
    Waiting(Waiting),
    /// Nothing runs, and waiting does not help.
    NotApproved(NotApproved),
}

/// Why waiting does not help. A variant that holds a [`SavedApproval`] is final: forget that approval once the answer is
/// delivered. Until then the same call gets the same answer.
#[derive(Debug, Clone)]
pub(crate) enum NotApproved {
    /// The mail did not reach the approver. The same call finds the same approval. After a bounce it sends the mail again, once
    /// the approver's address has been corrected.
    Undeliverable(Waiting, UndeliveredCause),
    Denied(Denied),
    /// Nobody answered in time.
    Expired(SavedApproval),
    Withdrawn(SavedApproval),
    /// The tool's definition has changed since this was asked, so nothing may run. A pending request has been withdrawn.
    DefinitionChanged(SavedApproval),
    /// It has run already, and the client never got the result.
    Ran(SavedAnswer),
}

impl From<NotApproved> for AskOutcome {
    fn from(reason: NotApproved) -> Self {
        Self::NotApproved(reason)
    }
}

/// Why there is no answer. Nothing may run. A saved approval stays saved.
#[derive(Debug, Error)]
pub(crate) enum AskError {
    /// Sayso was not reached, or refused.
    #[error(transparent)]
    Sayso(#[from] ApprovalError),
    /// The approval cannot be saved. A later call could not find it, so nobody waits for it.
    #[error(transparent)]
    NotKept(#[from] StateDirError),
    /// Somebody else asks for the same action in other words, and asked again after that was withdrawn.
    #[error(
        "Another program with this agent key keeps asking for the same action with other words or another deadline. Nothing ran. Ask your operator who else has the key, and for a new key."
    )]
    InOtherWords,
}

impl Waiting {
    pub(super) fn on(kept: SavedApproval, mail_sent: bool) -> Self {
        Self {
            id: kept.id,
            approver: kept.approver.clone(),
            closes_at: kept.closes_at,
            status_url: kept.status_url.clone(),
            mail_sent,
            kept,
        }
    }
}

/// A mail that did not arrive, in whole sentences.
pub(crate) struct Undelivered {
    /// What happened to the mail.
    pub(crate) what: String,
    /// What to do now.
    pub(crate) then: &'static str,
}

pub(crate) fn when_undelivered(approver: &str, cause: UndeliveredCause) -> Undelivered {
    match cause {
        UndeliveredCause::Bounce => Undelivered {
            what: format!("The mail to {approver} bounced, so probably nobody has been asked."),
            then: "Tell your operator that the approver's address does not take mail. After they correct it, ask for the same again.",
        },
        UndeliveredCause::Complaint => Undelivered {
            what: format!(
                "The mail to {approver} was reported as spam, and no more mail will reach that address."
            ),
            then: "Tell your operator to give the approver another address, or to name another approver. This request stays open until it expires or is withdrawn.",
        },
        UndeliveredCause::Reject => Undelivered {
            what: format!(
                "The mail service refused the mail to {approver} as malware, so nobody has been asked."
            ),
            then: "Tell your operator. The same action cannot be asked about as it is written. Write it in another way, and ask for that.",
        },
    }
}

impl AskOutcome {
    pub(super) fn new(standing: ApprovalStatus, kept: SavedApproval) -> Self {
        match standing {
            ApprovalStatus::Pending { mail_sent, .. } => Self::Waiting(Waiting::on(kept, mail_sent)),
            ApprovalStatus::Undeliverable { cause, .. } => {
                NotApproved::Undeliverable(Waiting::on(kept, false), cause).into()
            }
            ApprovalStatus::Approved { token, note, .. } => Self::Approved(Approved { token, note, kept }),
            ApprovalStatus::Denied { note, .. } => NotApproved::Denied(Denied { note, kept }).into(),
            ApprovalStatus::Expired => NotApproved::Expired(kept).into(),
            ApprovalStatus::Withdrawn => NotApproved::Withdrawn(kept).into(),
        }
    }
}

/// Whether this refusal means that the approval can never be redeemed any more. For the other refusals the approval may still
/// be unused, or a corrected clock or setting is enough.
pub(crate) fn is_over(refusal: &Refusal) -> bool {
    use sayso_sdk::TokenRefusal::{Audience, Issuer, NotYetValid, Proof, UnknownKey};
    !matches!(
        refusal,
        Refusal::KeysUnavailable
            | Refusal::Unreachable
            | Refusal::Unanswered
            | Refusal::NotUnderstood { .. }
            | Refusal::NoRandomness
            | Refusal::Token(NotYetValid | UnknownKey | Issuer | Audience | Proof)
    )
}
