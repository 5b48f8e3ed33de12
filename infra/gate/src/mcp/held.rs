//! Handles one held call, from the request for approval to the run.

use std::convert::Infallible;
use std::time::Duration;

use sayso_model::{Action, ToolName};
use serde_json::{Value, json};
use tokio::sync::{Mutex, watch};

use super::answer;
use super::call::Call;
use super::context::Context;
use super::conversation::Conversation;
use super::definition::Definition;
use super::policy::{Hints, Terms, Verdict, WaitingIs};
use super::withdrawing;
use crate::approval::{self, Approved, Ask, AskOutcome, NotApproved, SavedApproval, Waiting};
use crate::clock;
use crate::relay::message::Message;

/// How often a waiting client gets a progress notification.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// What becomes of a held call.
enum Decided {
    /// The client gets this answer, and nothing runs. An approval that ends with it stays saved until the client has the answer.
    Answer { answer: Message, ends: Option<SavedApproval> },
    /// The call goes to the server. The approval that it runs on stays saved until the server has answered.
    Release { call: Message, approved: Option<SavedApproval> },
}

/// A refusal: it ends no approval.
impl From<Message> for Decided {
    fn from(answer: Message) -> Self {
        Self::Answer { answer, ends: None }
    }
}

/// Decides what becomes of a call, and carries it out. `asking` is locked while the call must not be stopped.
pub(super) async fn handle(gate: &Context, conversation: &Conversation, call: Call, asking: &Mutex<()>) {
    let id = call.id.clone();
    let decided = decide(gate, conversation, call, asking).await;
    match decided.unwrap_or_else(Decided::from) {
        Decided::Release { call, approved } => conversation.release(&id, call, approved).await,
        Decided::Answer { answer, ends } => {
            if conversation.settle(&id, answer).await
                && let Some(kept) = ends
            {
                kept.forget();
            }
        }
    }
}

/// Judges a call by the tool's description, and asks a human if the policy says so. An `Err` is a refusal.
async fn decide(
    gate: &Context,
    conversation: &Conversation,
    call: Call,
    asking: &Mutex<()>,
) -> Result<Decided, Message> {
    if gate.policy.is_own(&call.tool) {
        return Err(withdrawing::call(gate, &call).await);
    }
    let by_name = !gate.policy.needs_hints(&call.tool);
    if by_name && matches!(gate.policy.judge(&call.tool, Hints::default()), Verdict::Allow) {
        let listed = conversation.ask_whether_listed(&call).await;
        listed.map_err(|problem| answer::not_listed(&call, &problem))?;
        return Ok(Decided::Release { call: call.into_message(), approved: None });
    }
    let definition = define(conversation, &call).await?;
    match gate.policy.judge(&call.tool, definition.hints) {
        // The description allowed it, so nothing may pass that the description does not cover.
        Verdict::Allow if call.is_follow_up() => Err(answer::follow_up_of_described(&call)),
        Verdict::Allow => {
            let described = call.clone().described().ok_or_else(|| answer::not_plain(&call))?;
            Ok(Decided::Release { call: described, approved: None })
        }
        Verdict::Deny => Err(answer::forbidden(&call)),
        Verdict::Ask(terms) => match ask(gate, conversation, &call, &terms, &definition, asking).await? {
            AskOutcome::Approved(approved) => run(gate, conversation, call, &definition, approved).await,
            AskOutcome::Waiting(waiting) => Err(still_waiting(gate, &call, &definition, &waiting)),
            AskOutcome::NotApproved(reason) => Ok(not_approved(&call, &definition, reason)),
        },
    }
}

/// The tool that is called, as the server describes it now.
async fn define(conversation: &Conversation, call: &Call) -> Result<Definition, Message> {
    conversation.definition(call).await.map_err(|problem| answer::not_listed(call, &problem))
}

fn still_waiting(gate: &Context, call: &Call, definition: &Definition, waiting: &Waiting) -> Message {
    // Clients refuse a result that does not match the tool's output schema.
    let is = if definition.has_output_schema { WaitingIs::Error } else { gate.policy.waiting };
    let earlier = gate.asker.earlier_than(&gate.upstream, &waiting.kept);
    let by = gate.policy.withdraw_tool.as_ref().map(ToolName::as_str);
    answer::waiting(call, waiting, &earlier, by, is)
}

fn not_approved(call: &Call, definition: &Definition, reason: NotApproved) -> Decided {
    let (answer, ends) = match reason {
        NotApproved::Undeliverable(waiting, cause) => (answer::undeliverable(call, &waiting, cause), None),
        NotApproved::Denied(denied) => (answer::denied(call, &denied), Some(denied.kept)),
        NotApproved::Expired(kept) => (answer::expired(call, &kept), Some(kept)),
        NotApproved::Withdrawn(kept) => (answer::withdrawn(call, &kept), Some(kept)),
        NotApproved::DefinitionChanged(kept) => {
            (answer::definition_changed(call, &kept, definition), Some(kept))
        }
        NotApproved::Ran(kept) => (answer::ran(call, &kept), Some(kept.approval)),
    };
    Decided::Answer { answer, ends }
}

/// The action of a call, or why it has none.
fn action(gate: &Context, call: &Call) -> Result<Action, Message> {
    if call.is_follow_up() {
        return Err(answer::follow_up(call));
    }
    if !call.is_plain() {
        return Err(answer::not_plain(call));
    }
    let refuse = |problem: &dyn std::fmt::Display| answer::not_an_action(call, problem);
    let tool: ToolName = gate.policy.tool_name(&call.tool).map_err(|invalid| refuse(&invalid))?;
    let arguments = call.arguments().map_err(|violation| refuse(&violation))?;
    Ok(Action { tool, arguments })
}

/// Asks, and waits as long as the policy says. A client that wants progress gets it.
async fn ask(
    gate: &Context,
    conversation: &Conversation,
    call: &Call,
    terms: &Terms<'_>,
    definition: &Definition,
    asking: &Mutex<()>,
) -> Result<AskOutcome, Message> {
    let action = action(gate, call)?;
    let reason = terms.reason(&action.arguments);
    let ask = Ask {
        scope: &gate.upstream,
        action: &action,
        summary: &terms.summary(&call.tool, &action.arguments),
        reason: reason.as_ref(),
        expires_in: terms.expires_in,
        definition: Some(&definition.fingerprint),
        earlier: gate.asker.earlier(&gate.upstream, &action).map(|kept| kept.id),
    };
    let (waits_for, told) = watch::channel(None);
    let unkept = asking.lock().await;
    let asking = gate.asker.ask(&ask, gate.policy.wait, |waiting| {
        drop(unkept);
        waits_for.send_replace(Some(answer::progress(waiting)));
    });
    let telling = tell_progress(conversation, call.progress_token(), told);
    tokio::select! {
        answer = asking => answer.map_err(|error| answer::not_asked(call, &error)),
        never = telling => match never {},
    }
}

/// Sends progress to a client that wants it: whose answer the call is waiting for.
async fn tell_progress(
    conversation: &Conversation,
    token: Option<&Value>,
    mut waits_for: watch::Receiver<Option<String>>,
) -> Infallible {
    let Some(token) = token else { return std::future::pending().await };
    let message = waits_for.wait_for(Option::is_some).await.ok().and_then(|message| message.clone());
    let mut told = 0_u32;
    loop {
        told += 1;
        // Progress may only rise, and the server's own starts at 0 or above. The gate's rises and stays below 0.
        let progress =
            json!({"progressToken": token, "progress": -1e-3 / f64::from(told), "message": message});
        let _ = conversation.answer(Message::notification("notifications/progress", &progress)).await;
        clock::sleep(PROGRESS_EVERY).await;
    }
}

/// Redeems the approval. Then the call goes to the server, with the approved arguments.
async fn run(
    gate: &Context,
    conversation: &Conversation,
    call: Call,
    asked_for: &Definition,
    approved: Approved,
) -> Result<Decided, Message> {
    let kept = approved.kept.clone();
    if conversation.runs(&kept) {
        return Err(answer::still_running(&call, &kept));
    }
    // The human may have taken minutes, and the server may have changed the tool meanwhile.
    let now = define(conversation, &call).await?;
    if now.fingerprint != asked_for.fingerprint {
        let answer = answer::definition_changed(&call, &kept, &now);
        return Ok(Decided::Answer { answer, ends: Some(kept) });
    }
    let action = action(gate, &call)?;
    match gate.asker.redeem(approved, action).await {
        // From here on the call runs, or nobody knows whether it ran. The approval stays saved until there is an answer.
        Ok(permit) => {
            // It was plain when it was asked about.
            let permitted = call.clone().permitted(permit).ok_or_else(|| answer::not_plain(&call))?;
            Ok(Decided::Release { call: permitted, approved: Some(kept) })
        }
        Err(refusal) => {
            let ends = approval::is_over(&refusal).then(|| kept.clone());
            Ok(Decided::Answer { answer: answer::refused(&call, &kept, &refusal), ends })
        }
    }
}
