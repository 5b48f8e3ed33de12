//! What Sayso answers, parsed.

use sayso_model::token::ApprovalToken;
use sayso_model::{ApprovalId, BaseUrl, Note, Reason, Summary, Timestamp, UndeliveredCause};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Far above any honest name of an approver, in bytes.
const LONGEST_APPROVER: usize = 512;

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
    /// Whether the mail is known to have gone out, and not to have come back. If not, asking again sends it.
    pub mail_sent: bool,
    /// What the human reads. A Sayso that is older than this does not say it.
    pub asked: Option<Asked>,
}

/// What a request says to the human: for one that was pending already, what it was asked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// In words.
    pub summary: Summary,
    /// Why.
    pub reason: Option<Reason>,
    /// When.
    pub created_at: Timestamp,
}

/// How an approval stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
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

#[derive(Deserialize)]
struct RequestedJson {
    approval_id: String,
    closes_at: String,
    status_url: String,
    approver: String,
    /// Absent from the answer for a request that is closed already.
    #[serde(default)]
    mail_sent: bool,
    summary: Option<String>,
    reason: Option<String>,
    created_at: Option<String>,
}

impl RequestedJson {
    /// `None` if it is said badly or in part.
    fn asked(&self) -> Option<Option<Asked>> {
        let (summary, created_at) = match (&self.summary, &self.created_at) {
            (None, None) => return self.reason.is_none().then_some(None),
            (summary, created_at) => (summary.as_deref()?, created_at.as_deref()?),
        };
        Some(Some(Asked {
            summary: Summary::parse(summary).ok()?,
            reason: self.reason.as_deref().map(Reason::parse).transpose().ok()?,
            created_at: Timestamp::parse(created_at).ok()?,
        }))
    }
}

impl Requested {
    pub(super) fn from_content(content: Value) -> Option<Self> {
        let json: RequestedJson = object(content)?;
        let id = ApprovalId::parse(&json.approval_id).ok()?;
        let status_url = BaseUrl::parse(&json.status_url).ok()?.as_str().to_owned();
        let asked = json.asked()?;
        let one_line = json.approver.len() <= LONGEST_APPROVER && !json.approver.contains(char::is_control);
        let fits = one_line && status_url.ends_with(&format!("/{id}"));
        fits.then_some(Self {
            id,
            closes_at: Timestamp::parse(&json.closes_at).ok()?,
            status_url,
            approver: json.approver,
            mail_sent: json.mail_sent,
            asked,
        })
    }
}

#[derive(Deserialize)]
struct StandingJson {
    approval_id: String,
    #[serde(flatten)]
    status: StatusJson,
}

#[derive(Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
enum StatusJson {
    Pending { closes_at: String, mail_sent: bool },
    Undeliverable { closes_at: String, cause: String },
    Approved { decided_at: String, note: Option<String>, approval_token: String, token_expires_at: String },
    Denied { decided_at: String, note: Option<String> },
    Expired,
    Withdrawn,
}

impl Standing {
    /// Only what is said of this approval.
    pub(super) fn from_content(id: ApprovalId, content: Value) -> Option<Self> {
        let json: StandingJson =
            object(content).filter(|json: &StandingJson| names(id, &json.approval_id))?;
        let moment = |text: &str| Timestamp::parse(text).ok();
        let note = |text: Option<String>| text.as_deref().map_or(Ok(None), Note::parse).ok();
        Some(match json.status {
            StatusJson::Pending { closes_at, mail_sent } => {
                Self::Pending { closes_at: moment(&closes_at)?, mail_sent }
            }
            StatusJson::Undeliverable { closes_at, cause } => Self::Undeliverable {
                closes_at: moment(&closes_at)?,
                cause: UndeliveredCause::parse(&cause).ok()?,
            },
            StatusJson::Approved { decided_at, note: words, approval_token, token_expires_at } => {
                Self::Approved {
                    token: ApprovalToken::from_text(&approval_token),
                    token_expires_at: moment(&token_expires_at)?,
                    decided_at: moment(&decided_at)?,
                    note: note(words)?,
                }
            }
            StatusJson::Denied { decided_at, note: words } => {
                Self::Denied { decided_at: moment(&decided_at)?, note: note(words)? }
            }
            StatusJson::Expired => Self::Expired,
            StatusJson::Withdrawn => Self::Withdrawn,
        })
    }
}

#[derive(Deserialize)]
struct WithdrawalJson {
    approval_id: String,
    status: String,
}

impl Withdrawal {
    /// Only what is said of this approval.
    pub(super) fn from_content(id: ApprovalId, content: Value) -> Option<Self> {
        let json: WithdrawalJson =
            object(content).filter(|json: &WithdrawalJson| names(id, &json.approval_id))?;
        match json.status.as_str() {
            "withdrawn" => Some(Self::Withdrawn),
            "approved" => Some(Self::Approved),
            "denied" => Some(Self::Denied),
            "expired" => Some(Self::Expired),
            _ => None,
        }
    }
}

fn names(id: ApprovalId, text: &str) -> bool {
    ApprovalId::parse(text) == Ok(id)
}

fn object<T: DeserializeOwned>(content: Value) -> Option<T> {
    // A derived struct would also be read from an array of its members.
    if content.is_object() { serde_json::from_value(content).ok() } else { None }
}
