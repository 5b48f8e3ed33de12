use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{STATUS, WireError, read, whole_number};
use crate::{ApprovalId, Reason, Status, Summary, Timestamp};

/// The arguments of `request_approval`, as they are written: the deployment judges each of them, and says what to change.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub struct RequestApprovalArguments<'a> {
    /// The name of what would be executed.
    pub tool: String,
    /// Its arguments: the text itself, so that no parser and no printer comes between it and its hash.
    #[serde(borrow)]
    pub arguments: &'a RawValue,
    /// The agent's words, on one line.
    pub summary: String,
    /// The agent's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The gate that would execute it. May be left out by an agent that has only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// How long the human may take.
    #[serde(default, deserialize_with = "whole_number", skip_serializing_if = "Option::is_none")]
    pub expires_in_seconds: Option<i64>,
    /// The agent's own name for this request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// A pending request that this one may replace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub earlier_approval_id: Option<String>,
}

/// What `request_approval` answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestApprovalResult {
    /// Locates the approval; no authority.
    pub approval_id: ApprovalId,
    /// How it stands.
    pub status: Status,
    /// A page that shows people how it stands. It cannot decide.
    pub status_url: String,
    /// From then on nobody can decide.
    pub closes_at: Timestamp,
    /// Who was asked, masked, for people.
    pub approver: String,
    /// While nobody has answered: whether the mail is known to have gone out, and not to have bounced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail_sent: Option<bool>,
    /// What the approver reads. It may be another caller's words for the same action. Absent from deployments before 0.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// As `summary`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// When the approver was asked. Absent where `summary` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// For a model: what to do now.
    #[serde(default)]
    pub next: String,
}

impl RequestApprovalResult {
    /// From a tool's structured content.
    pub fn from_content(content: Value) -> Result<Self, WireError> {
        read(content, &[STATUS])
    }
}
