//! What agents read of the tool. The schema is written out: its texts are for models to read, and a schema made from types says
//! little beside types.

use rmcp::model::{Tool, ToolAnnotations};
use sayso_model::Status;
use sayso_model::wire::REQUEST_APPROVAL;
use serde_json::{Value, json};

use crate::tools::{statuses, tool};

const DESCRIPTION: &str = "Ask a human to approve one action before you do it. Call this before anything that cannot be \
    undone or that reaches other people: deleting data or backups, deploying to production, sending mail, moving money, \
    changing access. Give in `tool` and `arguments` exactly what would be executed, complete and final: the human sees \
    it word for word, and the approval holds for exactly that and nothing else. The human is the one your operator \
    chose, is asked by e-mail, and may take minutes or hours. This returns at once with an approval_id: then call \
    check_approval. Calling again with the same action while it is pending returns the same approval and bothers \
    nobody. If it is denied, do not reword the request to get round the denial; the same request is refused for some \
    time after. `undeliverable` means that the mail came back and nobody has been asked: tell your operator. An error \
    with `retry_after_seconds` means that a limit was reached and nobody was asked: wait that long.";

pub(in crate::tools) fn definition() -> Tool {
    let input = json!({
        "type": "object",
        "properties": {
            "tool": {
                "type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[A-Za-z0-9_./:-]+$",
                "description": "The name of what would be executed, such as the tool you would call: `drop_table`.",
            },
            "arguments": {
                "type": "object",
                "description": "Exactly the arguments it would be executed with: a JSON object of at most 64 KiB, without \
                    duplicate keys. Write out integers beyond 2^53 (at most 40 digits); send other numbers beyond it as \
                    strings.",
            },
            "summary": {
                "type": "string", "minLength": 1, "maxLength": 500,
                "description": "One line for the human: what this does, and to what.",
            },
            "reason": {
                "type": "string", "minLength": 1, "maxLength": 2000,
                "description": "Why it is needed, what you checked, and what happens if it is not done.",
            },
            "audience": {
                "type": "string",
                "description": "The gate that will execute it, if your operator gave you more than one; otherwise leave it out.",
            },
            "expires_in_seconds": {
                "type": "integer", "minimum": 60, "maximum": 604_800, "default": 3600,
                "description": "How long the human may take.",
            },
            "idempotency_key": {
                "type": "string", "minLength": 1, "maxLength": 200,
                "description": "Your own name for this request. The same key always returns the same approval, also after \
                    it was answered.",
            },
            "earlier_approval_id": {
                "type": "string", "pattern": "^[0-9A-HJKMNP-TV-Z]{26}$",
                "description": "A pending request of yours for the same tool with other arguments. Its approver is told that \
                    a newer one is there; withdraw it if this one replaces it.",
            },
        },
        "required": ["tool", "arguments", "summary"],
        "additionalProperties": false,
    });
    let hints = ToolAnnotations::with_title("Ask a human for approval").read_only(false).destructive(false);
    tool(REQUEST_APPROVAL, DESCRIPTION, input, output(), hints.idempotent(true).open_world(true))
}

fn output() -> Value {
    json!({
        "type": "object",
        "properties": {
            "approval_id": {"type": "string", "description": "Keep it: check_approval needs it, in any later session too."},
            "status": {"type": "string", "enum": statuses(&Status::ALL)},
            "status_url": {"type": "string", "description": "A page that shows the status to people. It cannot decide."},
            "closes_at": {"type": "string", "format": "date-time", "description": "From then on nobody can decide."},
            "approver": {"type": "string", "description": "Who was asked, masked."},
            "mail_sent": {"type": "boolean", "description": "While nobody has answered: whether the mail to the approver is known to have gone out, and not to have come back."},
            "summary": {"type": "string", "description": "What the approver reads: yours, or, if this action was pending already, what it was asked with."},
            "reason": {"type": "string", "description": "As `summary`. Absent if none was given."},
            "created_at": {"type": "string", "format": "date-time", "description": "When the approver was asked."},
            "next": {"type": "string", "description": "What to do now."},
        },
        "required": ["approval_id", "status", "status_url", "closes_at", "approver", "next"],
    })
}
