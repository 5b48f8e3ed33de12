use sayso_sdk::{
    ApprovalError, ApprovalId, ApprovalStatus, ApprovalToken, Note, Refusal, Timestamp, UndeliveredCause,
};
use thiserror::Error;

use super::state_dir::{SavedAnswer, SavedApproval, StateDirError};

/// An approval that a human has not answered.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    pub(crate) id: ApprovalId,
    /// Who was asked, masked.
    pub(crate) approver: String,
    pub(crate) closes_at: Timestamp,
    /// A page that shows how it stands, and cannot decide.
    pub(crate) status_url: String,
    /// Whether the mail is known to have gone out. If not, asking again sends it.
    pub(crate) mail_sent: bool,
    /// For [`Asker::withdraw`](super::Asker::withdraw).
    pub(crate) kept: SavedApproval,
}

/// A yes that has not been used.
#[derive(Debug, Clone)]
pub(crate) struct Approved {
    pub(crate) token: ApprovalToken,
    pub(crate) note: Option<Note>,
    pub(crate) kept: SavedApproval,
}

/// A no.
#[derive(Debug, Clone)]
pub(crate) struct Denied {
    pub(crate) note: Option<Note>,
    pub(crate) kept: SavedApproval,
}

/// How it stands when [`Asker::ask`](super::Asker::ask) returns.
#[derive(Debug, Clone)]
pub(crate) enum AskOutcome {
    /// A human said yes.
    Approved(Approved),
    /// Nobody has answered yet: the same call finds the same approval.
    Waiting(Waiting),
    /// Nothing runs, and waiting is no use.
    NotApproved(NotApproved),
}

/// Why waiting is no use. What holds a [`SavedApproval`] is final: that is to be forgotten when the answer has been delivered.
/// Until then the same call gets the same answer.
#[derive(Debug, Clone)]
pub(crate) enum NotApproved {
    /// The mail did not reach the approver: the same call finds the same approval, and after a bounce sends the mail once the
    /// approver's address has been corrected.
    Undeliverable(Waiting, UndeliveredCause),
    /// A human said no.
    Denied(Denied),
    /// Nobody answered in time.
    Expired(SavedApproval),
    /// It was taken back.
    Withdrawn(SavedApproval),
    /// The tool is not what it was when this was asked, so nothing may run on it. A pending request has been withdrawn.
    DefinitionChanged(SavedApproval),
    /// It ran before, and its client never got the result.
    Ran(SavedAnswer),
}

impl From<NotApproved> for AskOutcome {
    fn from(reason: NotApproved) -> Self {
        Self::NotApproved(reason)
    }
}

/// Why there is no answer: nothing may run. What was asked stays kept.
#[derive(Debug, Error)]
pub(crate) enum AskError {
    /// By Sayso.
    #[error(transparent)]
    Sayso(#[from] ApprovalError),
    /// The approval cannot be found again, so it is not waited for.
    #[error(transparent)]
    NotKept(#[from] StateDirError),
    /// Somebody else asks for it, and asked again when that was withdrawn.
    #[error(
        "Somebody with this agent key keeps asking for the same action in other words or for longer: nothing ran. Ask your operator who else has the key, and for another one."
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

/// What has happened to a mail, and what the operator has to be told.
pub(crate) fn when_undelivered(cause: UndeliveredCause) -> (&'static str, &'static str) {
    match cause {
        UndeliveredCause::Bounce => (
            "came back: as far as is known, nobody has been asked",
            "that the approver's address does not take mail. Once it is corrected, the same again sends the mail.",
        ),
        UndeliveredCause::Complaint => (
            "was reported as spam, and no more will reach that address",
            "that the approver has to get mail elsewhere, or by another. Until then this request stays as it is.",
        ),
        UndeliveredCause::Reject => (
            "was taken for malware by the mail service: nobody has been asked",
            "so. The same action cannot be asked about in these words.",
        ),
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

/// Whether an approval that was refused with this can never be used any more. Otherwise it is not used up, or nobody knows,
/// or another clock or other settings are all it takes.
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
