use rmcp::model::{Tool, ToolAnnotations};
use sayso_model::{Agent, Approval};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{own_approval, tool};
use crate::Deps;
use crate::answer::{NotDone, arguments};

pub(crate) const NAME: &str = "withdraw_approval";

const DESCRIPTION: &str = "Take back a request for approval that you no longer need, so that nobody spends time on it. \
    Call it when the plan changed or the user cancelled, while the request is still `pending`. If it was answered or \
    closed before, nothing changes and you get the status that stands.";

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
struct Arguments {
    approval_id: String,
}

/// What the agent reads.
#[derive(Serialize)]
pub(crate) struct Answer {
    approval_id: String,
    status: &'static str,
}

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
                "enum": ["withdrawn", "approved", "denied", "expired"],
                "description": "What stands for good: `withdrawn`, or what happened before you withdrew.",
            },
        },
        "required": ["approval_id", "status"],
    });
    let hints = ToolAnnotations::with_title("Withdraw a request")
        .read_only(false)
        .destructive(false)
        .idempotent(true);
    tool(NAME, DESCRIPTION, input, output, hints.open_world(false))
}

pub(crate) async fn call(deps: &Deps, agent: &Agent, text: &str) -> Result<Answer, NotDone> {
    let Arguments { approval_id } = arguments(NAME, text)?;
    let now = deps.clock.now();
    let closed = match own_approval(deps, agent, &approval_id).await?.judge(now)? {
        Approval::Closed(closed) => return Ok(Answer { approval_id, status: closed.outcome.status() }),
        Approval::Open(open) => open.withdraw(now),
        Approval::Overdue(overdue) => overdue.expire(),
    };
    let outcome = deps.store.conclude(closed, deps.settings.retention).await?.into_outcome();
    Ok(Answer { approval_id, status: outcome.status() })
}
