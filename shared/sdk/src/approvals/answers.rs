//! What Sayso answers, parsed.

use sayso_model::token::ApprovalToken;
use sayso_model::wire::{
    CheckApprovalResult, CheckedStatus, RequestApprovalResult, WireError, WithdrawApprovalResult,
};
use sayso_model::{ApprovalId, BaseUrl, Note, Reason, Status, Summary, Timestamp, UndeliveredCause};
use serde_json::Value;

/// Far above any honest name of an approver, in bytes.
const MAX_APPROVER_BYTES: usize = 512;

/// A request that is with the human.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingApproval {
    /// Of the approval, for [`Approvals::check`](super::Approvals::check).
    pub id: ApprovalId,
    /// From then on nobody can decide.
    pub closes_at: Timestamp,
    /// A page that shows people how it stands. It cannot decide.
    pub status_url: String,
    /// Who was asked, masked, for people.
    pub approver: String,
    /// Whether the mail is known to have gone out, and not to have come back. If not, asking again sends it.
    pub mail_sent: bool,
    /// What the human reads. A Sayso that is older than this does not say it.
    pub asked: Option<Wording>,
}

/// What a request says to the human: for one that was pending already, what it was asked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wording {
    /// In words.
    pub summary: Summary,
    /// Why.
    pub reason: Option<Reason>,
    /// When.
    pub created_at: Timestamp,
}

/// How an approval stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApprovalStatus {
    /// Nobody has answered.
    Pending {
        /// From then on nobody can decide.
        closes_at: Timestamp,
        /// Whether the mail is known to have gone out. If not, asking again sends it.
        mail_sent: bool,
    },
    /// The mail did not arrive, or was reported as spam: waiting is no use. After a bounce asking again sends it, once the
    /// operator has corrected the approver's address; after anything else it takes a new request.
    Undeliverable {
        /// From then on nobody can decide.
        closes_at: Timestamp,
        /// What the mail service reported.
        cause: UndeliveredCause,
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

impl PendingApproval {
    pub(super) fn from_content(content: Value) -> Result<Self, WireError> {
        let answer = RequestApprovalResult::from_content(content)?;
        let status_url = BaseUrl::parse(&answer.status_url).map_err(|_| WireError::Malformed)?;
        let asked = match (answer.summary, answer.created_at) {
            (None, None) if answer.reason.is_none() => None,
            (Some(summary), Some(created_at)) => Some(Wording { summary, reason: answer.reason, created_at }),
            _ => return Err(WireError::Malformed),
        };
        let one_line =
            answer.approver.len() <= MAX_APPROVER_BYTES && !answer.approver.contains(char::is_control);
        if !one_line || !status_url.as_str().ends_with(&format!("/{}", answer.approval_id)) {
            return Err(WireError::Malformed);
        }
        Ok(Self {
            id: answer.approval_id,
            closes_at: answer.closes_at,
            status_url: status_url.as_str().to_owned(),
            approver: answer.approver,
            // Absent from the answer for a request that is closed already.
            mail_sent: answer.mail_sent.unwrap_or_default(),
            asked,
        })
    }
}

impl ApprovalStatus {
    /// Only what is said of this approval.
    pub(super) fn from_content(id: ApprovalId, content: Value) -> Result<Self, WireError> {
        let answer = CheckApprovalResult::from_content(content)?;
        if answer.approval_id != id {
            return Err(WireError::Malformed);
        }
        Ok(match answer.status {
            CheckedStatus::Pending { closes_at, mail_sent, .. } => Self::Pending { closes_at, mail_sent },
            CheckedStatus::Undeliverable { closes_at, cause, .. } => Self::Undeliverable { closes_at, cause },
            CheckedStatus::Approved { approval_token: token, token_expires_at, decided_at, note, .. } => {
                Self::Approved { token, token_expires_at, decided_at, note }
            }
            CheckedStatus::Denied { decided_at, note, .. } => Self::Denied { decided_at, note },
            CheckedStatus::Expired => Self::Expired,
            CheckedStatus::Withdrawn => Self::Withdrawn,
        })
    }
}

impl Withdrawal {
    /// Only what is said of this approval.
    pub(super) fn from_content(id: ApprovalId, content: Value) -> Result<Self, WireError> {
        let answer = WithdrawApprovalResult::from_content(content)?;
        if answer.approval_id != id {
            return Err(WireError::Malformed);
        }
        match answer.status {
            Status::Withdrawn => Ok(Self::Withdrawn),
            Status::Approved => Ok(Self::Approved),
            Status::Denied => Ok(Self::Denied),
            Status::Expired => Ok(Self::Expired),
            // It cannot be open after it was withdrawn.
            Status::Pending | Status::Undeliverable => Err(WireError::Malformed),
        }
    }
}
