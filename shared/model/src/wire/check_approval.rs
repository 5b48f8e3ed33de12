use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{CAUSE, STATUS, WireError, read, whole_number};
use crate::token::ApprovalToken;
use crate::{ApprovalId, Note, Status, Timestamp, UndeliveredCause};

/// The arguments of `check_approval`, as they are written.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub struct CheckApprovalArguments {
    /// Which approval.
    pub approval_id: String,
    /// How long to wait for a human while it is pending.
    #[serde(default, deserialize_with = "whole_number", skip_serializing_if = "Option::is_none")]
    pub wait_seconds: Option<i64>,
}

/// What `check_approval` answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckApprovalResult {
    /// Which approval.
    pub approval_id: ApprovalId,
    /// How it stands, in the member `status` and those that go with it.
    #[serde(flatten)]
    pub status: CheckedStatus,
    /// For a model: what to do now.
    #[serde(default)]
    pub next: String,
}

/// How an approval stands, and what belongs to that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum CheckedStatus {
    /// [`Status::Pending`].
    Pending {
        /// From then on nobody can decide.
        closes_at: Timestamp,
        /// Whether the mail is known to have gone out.
        mail_sent: bool,
        /// For a model: how long it has been open.
        #[serde(default)]
        open_for: String,
        /// For a model: how long is left.
        #[serde(default)]
        closes_in: String,
        /// When to check again without a wait.
        #[serde(default)]
        retry_after_seconds: u64,
    },
    /// [`Status::Undeliverable`].
    Undeliverable {
        /// From then on nobody can decide.
        closes_at: Timestamp,
        /// Always false: the mail did not arrive.
        #[serde(default)]
        mail_sent: bool,
        /// What the mail service reported.
        cause: UndeliveredCause,
    },
    /// [`Status::Approved`].
    Approved {
        /// When.
        decided_at: Timestamp,
        /// The name of a [`ProvenBy`](crate::ProvenBy), maybe of a later version: the token is what a gate judges.
        #[serde(default)]
        proven_by: String,
        /// The approver's words.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "words")]
        note: Option<Note>,
        /// For whatever executes the action.
        #[serde(serialize_with = "expose", deserialize_with = "received")]
        approval_token: ApprovalToken,
        /// The token permits nothing from then on.
        token_expires_at: Timestamp,
    },
    /// [`Status::Denied`].
    Denied {
        /// When.
        decided_at: Timestamp,
        /// The name of a [`ProvenBy`](crate::ProvenBy), maybe of a later version.
        #[serde(default)]
        proven_by: String,
        /// The approver's words.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "words")]
        note: Option<Note>,
    },
    /// [`Status::Expired`].
    Expired,
    /// [`Status::Withdrawn`].
    Withdrawn,
}

impl CheckedStatus {
    /// The word for it.
    pub fn status(&self) -> Status {
        match self {
            Self::Pending { .. } => Status::Pending,
            Self::Undeliverable { .. } => Status::Undeliverable,
            Self::Approved { .. } => Status::Approved,
            Self::Denied { .. } => Status::Denied,
            Self::Expired => Status::Expired,
            Self::Withdrawn => Status::Withdrawn,
        }
    }
}

impl CheckApprovalResult {
    /// From a tool's structured content.
    pub fn from_content(content: Value) -> Result<Self, WireError> {
        read(content, &[STATUS, CAUSE])
    }
}

/// The one answer that carries a token.
fn expose<S: serde::Serializer>(token: &ApprovalToken, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(token.expose())
}

fn received<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<ApprovalToken, D::Error> {
    String::deserialize(deserializer).map(|text| ApprovalToken::from_text(&text))
}

/// A blank note is none.
fn words<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Note>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.as_deref().map_or(Ok(None), Note::parse).map_err(serde::de::Error::custom)
}
