//! The gate's only own tool, if the policy wants it: it withdraws approvals that this gate has requested.

use sayso_sdk::{ApprovalId, Withdrawal};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::answer;
use super::call::Call;
use super::context::Context;
use crate::relay::message::Message;

/// The tool's entry in the list of tools.
pub(super) fn definition(name: &str) -> Value {
    json!({
        "name": name,
        "title": "Take back a question to the human",
        "description": "Withdraws a pending approval. Use it when you no longer want the call, or when another call replaces it. \
            Nobody can approve it afterwards. Give the id from the answer that says it is waiting.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "approval_id": {"type": "string", "description": "The 26-character id."},
            },
            "required": ["approval_id"],
            "additionalProperties": false,
        },
        "annotations": {
            "readOnlyHint": false, "destructiveHint": false, "idempotentHint": true, "openWorldHint": false,
        },
    })
}

/// The server's answer to `tools/list`, with that tool at the end of the last page, and without other tools of that name.
pub(super) fn listed(answer: &Message, own: &Value) -> Message {
    let with_own = || {
        let tools = answer.at(&["result", "tools"])?;
        let mut tools: Vec<Box<RawValue>> = serde_json::from_str(tools.get()).ok()?;
        let name =
            |tool: &RawValue| Some(serde_json::from_str::<Value>(tool.get()).ok()?.get("name")?.clone());
        tools.retain(|tool| name(tool).as_ref() != own.get("name"));
        let next = answer.at(&["result", "nextCursor"]);
        if next.is_none_or(|cursor| cursor.get() == "null") {
            tools.push(to_raw_value(own).ok()?);
        }
        Some(answer.with_at(&["result", "tools"], &to_raw_value(&tools).ok()?))
    };
    with_own().unwrap_or_else(|| answer.clone())
}

/// Answers a call of that tool.
pub(super) async fn call(gate: &Context, call: &Call) -> Message {
    let id = match approval_id(call) {
        Ok(id) => id,
        Err(problem) => return answer::tool_error(call, &format!("Nothing was withdrawn: {problem}.")),
    };
    match gate.asker.take_back(&gate.upstream, id).await {
        None => answer::tool_error(
            call,
            &format!(
                "Nothing was withdrawn: this gate is not waiting for approval {id}. Give the id from an answer of this gate that says it is waiting."
            ),
        ),
        Some(Err(error)) => {
            answer::tool_error(call, &format!("It is not known whether approval {id} is withdrawn. {error}"))
        }
        Some(Ok(withdrawal)) => answer::tool_result(call, &said(id, withdrawal), false),
    }
}

fn said(id: ApprovalId, withdrawal: Withdrawal) -> String {
    let (ended, then) = match withdrawal {
        Withdrawal::Withdrawn => {
            return format!(
                "Approval {id} is withdrawn: nobody can approve it any more, and nothing has run on it."
            );
        }
        Withdrawal::Approved => (
            "a human had already said yes",
            "If the call was repeated since, it runs or has run. If not, nothing runs until you repeat it: do that only if you want it to run.",
        ),
        Withdrawal::Denied => (
            "a human had already said no",
            "The same call with the same arguments gets their answer. Do not try to get it done in another way or in other words.",
        ),
        Withdrawal::Expired => {
            ("its time was already over", "Nobody can approve it any more, and nothing has run on it.")
        }
    };
    format!("Approval {id} could not be withdrawn: {ended}. {then}")
}

fn approval_id(call: &Call) -> Result<ApprovalId, String> {
    let arguments = call.arguments().map_err(|violation| violation.to_string())?;
    let arguments: Value = serde_json::from_str(arguments.as_str()).unwrap_or_default();
    let only = arguments.as_object().filter(|members| members.len() == 1);
    let id = only.and_then(|members| members.get("approval_id")).and_then(Value::as_str);
    ApprovalId::parse(id.ok_or("its arguments must be {\"approval_id\": \"…\"} and nothing else")?)
        .map_err(|invalid| invalid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tool_stands_at_the_end_of_the_last_page_and_nowhere_else() {
        let own = json!({"name": "take_back"});
        for (result, expected) in [
            (
                r#""result":{"tools":[ {"name":"a"} ]}"#,
                r#""result":{"tools":[{"name":"a"},{"name":"take_back"}]}"#,
            ),
            (
                r#""result":{"tools":[],"nextCursor":null,"ttlMs":1.0}"#,
                r#""result":{"tools":[{"name":"take_back"}],"nextCursor":null,"ttlMs":1.0}"#,
            ),
            (
                r#""result":{"tools":[{"name":"take_back"},{"name":"a","x":1e2}],"nextCursor":"2"}"#,
                r#""result":{"tools":[{"name":"a","x":1e2}],"nextCursor":"2"}"#,
            ),
            (r#""result":{}"#, r#""result":{}"#),
            (r#""error":{"code":1,"message":"no"}"#, r#""error":{"code":1,"message":"no"}"#),
        ] {
            let message = |rest: &str| Message::parse(&format!(r#"{{"jsonrpc":"2.0","id":1,{rest}}}"#));
            let listed = listed(&message(result).expect("an answer"), &own);
            assert_eq!(listed.to_line(), message(expected).expect("an answer").to_line());
        }
    }
}
