//! The answers that an agent gets instead of a tool's result: what happened, that nothing ran, and what to do now. They are tool
//! errors (`isError`): models read those, and no client checks them against the tool's output schema.

use std::fmt::Display;

use sayso_model::{come_back_after, to_the_second};
use sayso_sdk::{Refusal, UndeliveredCause};
use serde_json::{Value, json};

use super::call::Call;
use super::definition::{Definition, changed_members};
use super::listed::ToolNotListed;
use super::policy::WaitingIs;
use crate::approval::{AskError, Denied, SavedAnswer, SavedApproval, Undelivered, Waiting, when_undelivered};
use crate::clock;
use crate::relay::message::{Message, code};

/// How many other approvals of a tool are named.
const MAX_NAMED: usize = 3;

pub(super) fn tool_error(call: &Call, text: &str) -> Message {
    tool_result(call, text, true)
}

pub(super) fn tool_result(call: &Call, text: &str, is_error: bool) -> Message {
    let mut result = json!({"content": [{"type": "text", "text": text}], "isError": is_error});
    if call.is_modern() {
        result["resultType"] = Value::from("complete");
    }
    Message::result(&call.id, &result)
}

/// The policy says `deny`.
pub(super) fn forbidden(call: &Call) -> Message {
    let tool = &call.tool;
    tool_error(
        call,
        &format!(
            "{tool} did not run: the operator's policy forbids it. Asking a human does not change that."
        ),
    )
}

/// Too many calls are held, so nobody is asked about this one.
pub(super) fn too_many(call: &Call) -> Message {
    let tool = &call.tool;
    tool_error(
        call,
        &format!(
            "{tool} needs a human's approval and did not run: too many calls are waiting for theirs. Call it again when some of them are answered."
        ),
    )
}

/// The server does not list the tool, so nobody can be asked about it.
pub(super) fn not_listed(call: &Call, problem: &ToolNotListed) -> Message {
    let tool = &call.tool;
    let text =
        format!("{tool} did not run: {problem}. This gate only passes calls of tools that the server lists.");
    match problem {
        ToolNotListed::Unknown => Message::error(Some(&call.id), code::INVALID_PARAMS, &text),
        ToolNotListed::Ambiguous | ToolNotListed::ListError(_) => tool_error(call, &text),
    }
}

/// The arguments or the name cannot be hashed.
pub(super) fn not_an_action(call: &Call, problem: &dyn Display) -> Message {
    let tool = &call.tool;
    tool_error(
        call,
        &format!(
            "{tool} needs a human's approval, and this call of it cannot be approved as written: {problem}. It did not run. Correct it and call again."
        ),
    )
}

/// The answers to what the server asked for in the middle of a call are not part of what a human approved.
pub(super) fn follow_up(call: &Call) -> Message {
    let tool = &call.tool;
    tool_error(
        call,
        &format!(
            "{tool} needs a human's approval, and the server asked for more in the middle of the call: what you answer would not be part of what was approved. It was not continued. If the tool can be called with everything in its arguments, do that."
        ),
    )
}

/// A call that continues another, of a tool that is allowed because of its description.
pub(super) fn follow_up_of_described(call: &Call) -> Message {
    let tool = &call.tool;
    tool_error(
        call,
        &format!(
            "{tool} was not continued: the operator's policy allows it because of its description, and the description does not cover what a continued call adds. Call it with everything in its arguments. If the tool always asks for more, the operator can allow {tool} by name only."
        ),
    )
}

/// The parameters of the call are ambiguous.
pub(super) fn not_plain(call: &Call) -> Message {
    not_an_action(call, &"`_meta` contains an ambiguous name, or `task` is not an object: remove it")
}

/// The same call is still running, on the approval that this one found.
pub(super) fn still_running(call: &Call, kept: &SavedApproval) -> Message {
    let (tool, id) = (&call.tool, kept.id);
    tool_error(
        call,
        &format!(
            "{tool} is running: approval {id} was used for a call that you gave up, and the server has not answered it yet. Call {tool} again with the same arguments a little later: that gets its result, and does not run it twice."
        ),
    )
}

/// The server's answer to the same call, whose client had given up.
pub(super) fn ran(call: &Call, kept: &SavedAnswer) -> Message {
    if let (Ok(message), Some(id)) = (Message::parse(&kept.message), call.id.to_raw()) {
        return message.with("id", id);
    }
    let (tool, id) = (&call.tool, kept.approval.id);
    tool_error(
        call,
        &format!(
            "{tool} has run on approval {id}, but the saved answer of the server is damaged. It did not run again now. Find out what it did. Calling it again asks a human again."
        ),
    )
}

/// Adds to the error of an approved call what it means for the approval.
pub(super) fn failed_after_approval(answer: &Message, kept: &SavedApproval) -> Message {
    let message =
        answer.at(&["error", "message"]).and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
    let (tool, id) = (&kept.tool, kept.id);
    let text = format!(
        "{} [Approval {id} of {tool} was used up for this one attempt. Unless the error says that nothing was sent, find out whether it ran. Calling it again asks a human again.]",
        message.unwrap_or_default()
    );
    let raw = serde_json::value::to_raw_value(&text);
    raw.map_or_else(|_| answer.clone(), |raw| answer.with_at(&["error", "message"], &raw))
}

/// Sayso could not be asked, or refused.
pub(super) fn not_asked(call: &Call, error: &AskError) -> Message {
    let tool = &call.tool;
    tool_error(call, &format!("{tool} needs a human's approval and did not run: {error}"))
}

/// The tool's definition has changed since the human was asked.
pub(super) fn definition_changed(call: &Call, kept: &SavedApproval, now: &Definition) -> Message {
    let (tool, id) = (&call.tool, kept.id);
    let changed = changed_members(kept.definition.as_deref().unwrap_or_default(), &now.fingerprint);
    let changed =
        if changed.is_empty() { String::new() } else { format!(" (its `{}`)", changed.join("`, its `")) };
    tool_error(
        call,
        &format!(
            "The server changed its definition of {tool}{changed} after approval {id} was asked for: what would run may not be what the human was asked about. It did not run, and that approval will not be used. List the tools again, and call {tool} again to ask again. If this happens every time, the server describes {tool} differently each time, and {tool} cannot be approved until that is fixed: tell its operator."
        ),
    )
}

/// The token was refused.
pub(super) fn refused(call: &Call, kept: &SavedApproval, refusal: &Refusal) -> Message {
    let (tool, id) = (&call.tool, kept.id);
    let text = match refusal {
        Refusal::AlreadyRedeemed { at, gate } => format!(
            "Approval {id} of {tool} was used at {at}, by the gate “{}”, and its result did not reach you through this one: \
             the call may have run, or the gate stopped just before. Nothing ran now. Find out which it was; calling {tool} \
             again asks for a new approval.",
            gate.as_str()
        ),
        other => format!("A human approved {tool} (approval {id}), and it did not run: {other}"),
    };
    tool_error(call, &text)
}

/// A human denied the call.
pub(super) fn denied(call: &Call, denied: &Denied) -> Message {
    let (tool, id) = (&call.tool, denied.kept.id);
    let note =
        denied.note.as_ref().map_or_else(String::new, |note| format!(" Their note: “{}”", note.as_str()));
    tool_error(
        call,
        &format!(
            "A human said no: {tool} did not run (approval {id}).{note} Do not try to get the same done in another way or in other words; tell the user, and propose something else."
        ),
    )
}

/// Nobody answered.
pub(super) fn expired(call: &Call, kept: &SavedApproval) -> Message {
    let (tool, id) = (&call.tool, kept.id);
    tool_error(
        call,
        &format!(
            "Nobody answered in time: approval {id} expired. That is neither a yes nor a no. {tool} did not run. Tell the user; if it is still wanted, calling {tool} again asks again."
        ),
    )
}

/// The request was withdrawn.
pub(super) fn withdrawn(call: &Call, kept: &SavedApproval) -> Message {
    let (tool, id) = (&call.tool, kept.id);
    tool_error(
        call,
        &format!(
            "The request for approval {id} was withdrawn: {tool} did not run. If it is still wanted, calling {tool} again asks again."
        ),
    )
}

/// For a client that shows progress.
pub(super) fn progress(waiting: &Waiting) -> String {
    let Waiting { id, approver, closes_at, .. } = waiting;
    format!("waiting for {approver} to answer approval {id}, until {closes_at}")
}

/// The mail did not reach the approver.
pub(super) fn undeliverable(call: &Call, waiting: &Waiting, cause: UndeliveredCause) -> Message {
    let tool = &call.tool;
    let Waiting { id, approver, .. } = waiting;
    let Undelivered { what, then } = when_undelivered(approver, cause);
    tool_error(
        call,
        &format!("{what} {tool} did not run (approval {id}). Do not wait. Tell the user. {then}"),
    )
}

/// Nobody has answered yet. No two of these texts are equal. `earlier` are approvals of the same tool with other arguments, the
/// newest first. `withdraw_by` is the gate's own tool that withdraws them.
pub(super) fn waiting(
    call: &Call,
    waiting: &Waiting,
    earlier: &[SavedApproval],
    withdraw_by: Option<&str>,
    is: WaitingIs,
) -> Message {
    let tool = &call.tool;
    let Waiting { id, approver, closes_at, status_url, mail_sent, .. } = waiting;
    let mail = if *mail_sent {
        ""
    } else {
        " It is not certain that the mail has gone out. Calling again sends it if it has not."
    };
    let now = clock::now();
    let (open_for, left) = (id.made_at().until(now), now.until(*closes_at));
    let (open_for, left, after) =
        (to_the_second(open_for), to_the_second(left), to_the_second(come_back_after(open_for)));
    let earlier = also_asked(tool, earlier, withdraw_by);
    let text = format!(
        "Waiting for approval {id}: {approver} has been asked whether {tool} may run with exactly these arguments, and has until {closes_at} to answer. The request has been open for {open_for}; {left} are left.{mail} It has not run. Do what does not depend on it, and after about {after} call {tool} again with the same arguments. That finds this approval, waits for it, and runs {tool} once it is given.{earlier} Status: {status_url}"
    );
    tool_result(call, &text, is == WaitingIs::Error)
}

/// The other calls of the same tool that a human has been asked about, for an agent that has changed its mind.
fn also_asked(tool: &str, earlier: &[SavedApproval], withdraw_by: Option<&str>) -> String {
    let Some(newest) = earlier.first() else { return String::new() };
    let now = clock::now();
    let named = earlier.iter().take(MAX_NAMED).map(|kept| {
        format!("approval {}, asked {} ago", kept.id, to_the_second(kept.id.made_at().until(now)))
    });
    let named = named.collect::<Vec<_>>().join("; ");
    let more = match earlier.len().saturating_sub(MAX_NAMED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let then = match withdraw_by {
        Some(name) => format!("take it back by calling {name} with {{\"approval_id\": \"{}\"}}", newest.id),
        None => {
            format!("do not call {tool} with those arguments again: an approval alone does not run anything")
        }
    };
    format!(
        " A human has also been asked about {tool} with other arguments ({named}{more}). If this call replaces that one, {then}."
    )
}
