use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{STATUS, WireError, read};
use crate::{ApprovalId, Status};

/// The arguments of `withdraw_approval`, as they are written.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub struct WithdrawApprovalArguments {
    /// Which approval.
    pub approval_id: String,
}

/// What `withdraw_approval` answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WithdrawApprovalResult {
    /// Which approval.
    pub approval_id: ApprovalId,
    /// What holds from now on: `withdrawn`, or how it had ended before.
    pub status: Status,
}

impl WithdrawApprovalResult {
    /// From a tool's structured content.
    pub fn from_content(content: Value) -> Result<Self, WireError> {
        read(content, &[STATUS])
    }
}
