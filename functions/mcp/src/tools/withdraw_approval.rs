//! `withdraw_approval`: takes a request back, if nobody has answered yet.

use rmcp::model::{Tool, ToolAnnotations};
use sayso_cloud::Settled;
use sayso_model::wire::{WITHDRAW_APPROVAL, WithdrawApprovalArguments, WithdrawApprovalResult};
use sayso_model::{Agent, Status};
use serde_json::json;

use super::{own_approval, statuses, tool};
use crate::Deps;
use crate::answer::{ToolError, arguments};

const DESCRIPTION: &str = "Take back a request for approval that you no longer need, so that nobody spends time on it. \
    Call it when the plan changed or the user cancelled, while the request is still `pending`. If it was answered or \
    closed before, nothing changes and you get the status that stands.";

/// The possible statuses after a withdrawal.
const CLOSED: [Status; 4] = [Status::Withdrawn, Status::Approved, Status::Denied, Status::Expired];

pub(super) fn definition() -> Tool {
    let input = json!({
        "type": "object",
        "properties": {
            "approval_id": {"type": "string", "description": "The id that request_approval returned."},
        },
        "required": ["approval_id"],
        "additionalProperties": false,
    });
    let output = json!({
        "type": "object",
        "properties": {
            "approval_id": {"type": "string"},
            "status": {
                "type": "string",
                "enum": statuses(&CLOSED),
                "description": "What stands for good: `withdrawn`, or what happened before you withdrew.",
            },
        },
        "required": ["approval_id", "status"],
    });
    let hints = ToolAnnotations::with_title("Withdraw a request")
        .read_only(false)
        .destructive(false)
        .idempotent(true);
    tool(WITHDRAW_APPROVAL, DESCRIPTION, input, output, hints.open_world(false))
}

pub(crate) async fn call(
    deps: &Deps,
    agent: &Agent,
    text: &str,
) -> Result<WithdrawApprovalResult, ToolError> {
    let WithdrawApprovalArguments { approval_id } = arguments(WITHDRAW_APPROVAL, text)?;
    let (now, retention) = (deps.clock.now(), deps.settings.retention);
    let stored = own_approval(deps, agent, &approval_id).await?;
    let closed = match deps.store.settle(&stored, now, retention).await? {
        Settled::Closed(closed) => closed,
        Settled::Open(open) => deps.store.conclude(open.withdraw(now), retention).await?.into_closed(),
    };
    Ok(WithdrawApprovalResult { approval_id: closed.request.id, status: closed.outcome.status() })
}
