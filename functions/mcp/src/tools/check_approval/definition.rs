//! What agents read of the tool.

use rmcp::model::{Tool, ToolAnnotations};
use sayso_model::wire::CHECK_APPROVAL;
use sayso_model::{Status, UndeliveredCause};
use serde_json::{Value, json};

use super::{DEFAULT_SECONDS, MAX_SECONDS};
use crate::tools::{statuses, tool};

const DESCRIPTION: &str = "Find out whether a human has answered a request for approval. By default this waits up to 45 \
    seconds for the answer, so call it once and let it wait, rather than often; while the status is `pending`, call \
    it again. It works from any session, hours later too: only the id is needed. \
    `approved` comes with an approval_token: pass it, unchanged, to whatever executes the action; it permits exactly \
    that action, once. `denied` is a human's no: read the note, do not do it, and do not ask again in other words. \
    `expired` means that nobody answered in time: it is neither a yes nor a no, do not act; ask again if the action is \
    still wanted. `withdrawn` means that you took it back. `undeliverable` means that the mail to the approver came \
    back: waiting is no use, tell your operator.";

pub(in crate::tools) fn definition() -> Tool {
    let input = json!({
        "type": "object",
        "properties": {
            "approval_id": {"type": "string", "description": "The id that request_approval returned."},
            "wait_seconds": {
                "type": "integer", "minimum": 0, "maximum": MAX_SECONDS, "default": DEFAULT_SECONDS,
                "description": "How long to wait for an answer while the request is pending; 0 looks once. Your operator may allow less.",
            },
        },
        "required": ["approval_id"],
        "additionalProperties": false,
    });
    let causes: Value = UndeliveredCause::ALL.iter().map(|cause| cause.as_str()).collect();
    let moment =
        |description: &str| json!({"type": "string", "format": "date-time", "description": description});
    let output = json!({
        "type": "object",
        "properties": {
            "approval_id": {"type": "string"},
            "status": {"type": "string", "enum": statuses(&Status::ALL)},
            "next": {"type": "string", "description": "What to do now."},
            "closes_at": moment("While nobody has answered: from then on nobody can decide."),
            "mail_sent": {"type": "boolean", "description": "While nobody has answered: whether the mail to the approver is known to have gone out, and not to have come back."},
            "cause": {"type": "string", "enum": causes, "description": "When undeliverable: what the mail service reported."},
            "open_for": {"type": "string", "description": "While pending: how long it has been open."},
            "closes_in": {"type": "string", "description": "While pending: how long is left."},
            "retry_after_seconds": {"type": "integer", "description": "While pending: when to check again."},
            "decided_at": moment("When the approver decided."),
            "proven_by": {"type": "string", "description": "How the decision was proven: `email-link` or `passkey`."},
            "note": {"type": "string", "description": "The approver's words to you."},
            "approval_token": {"type": "string", "description": "When approved: give it to what executes the action."},
            "token_expires_at": moment("When approved: the action must be executed before then."),
        },
        "required": ["approval_id", "status", "next"],
    });
    let hints = ToolAnnotations::with_title("Check for an answer")
        .read_only(true)
        .destructive(false)
        .idempotent(true);
    tool(CHECK_APPROVAL, DESCRIPTION, input, output, hints.open_world(false))
}
