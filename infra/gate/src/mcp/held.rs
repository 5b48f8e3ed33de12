//! One call that the policy gates, from the asking to the running.

use std::convert::Infallible;
use std::time::Duration;

use sayso_model::{Action, ToolName};
use serde_json::{Value, json};
use tokio::sync::{Mutex, watch};

use super::answer;
use super::call::Call;
use super::conversation::Conversation;
use super::definition::Definition;
use super::gatekeeper::Inner;
use super::message::{Id, Message};
use super::policy::{Hints, Terms, Verdict, WaitingIs};
use super::withdrawing;
use crate::approval::{self, Answer, Approved, Ask, KeptApproval};
use crate::clock;

/// How often a waiting client hears that we are still here.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// Judges a call by the server's own description of the tool, and asks if that is the verdict. `asking` is locked while it
/// must not be stopped.
pub(crate) async fn decide(gate: &Inner, conversation: &Conversation, call: Call, asking: &Mutex<()>) {
    let id = call.id.clone();
    if gate.policy.is_own(&call.tool) {
        let told = withdrawing::call(gate, &call).await;
        return tell(conversation, &id, told, None).await;
    }
    let by_name = !gate.policy.needs_hints(&call.tool);
    if by_name && matches!(gate.policy.judge(&call.tool, Hints::default()), Verdict::Allow) {
        return match conversation.ask_whether_listed(&call).await {
            Ok(()) => conversation.release(&id, call.into_message(), None).await,
            Err(problem) => tell(conversation, &id, answer::not_listed(&call, &problem), None).await,
        };
    }
    let definition = match conversation.definition(&call).await {
        Ok(definition) => definition,
        Err(problem) => return tell(conversation, &id, answer::not_listed(&call, &problem), None).await,
    };
    match gate.policy.judge(&call.tool, definition.hints) {
        // It was the description that allowed it: nothing goes on that the description is not about.
        Verdict::Allow if call.is_follow_up() => {
            tell(conversation, &id, answer::follow_up_of_described(&call), None).await;
        }
        Verdict::Allow => match call.clone().described() {
            Some(described) => conversation.release(&id, described, None).await,
            None => tell(conversation, &id, answer::not_plain(&call), None).await,
        },
        Verdict::Deny => tell(conversation, &id, answer::forbidden(&call), None).await,
        Verdict::Ask(terms) => {
            let (told, over) = match ask(gate, conversation, &call, &terms, &definition, asking).await {
                Ok(Answer::Approved(approved)) => {
                    return run(gate, conversation, call, &definition, approved).await;
                }
                Ok(Answer::Waiting(waiting)) => {
                    // Clients refuse a result without the structure that the tool's schema promises.
                    let is =
                        if definition.has_output_schema { WaitingIs::Error } else { gate.policy.waiting };
                    let earlier = gate.asker.earlier_than(&gate.upstream, &waiting.kept);
                    let by = gate.policy.withdraw_tool.as_ref().map(ToolName::as_str);
                    (answer::waiting(&call, &waiting, &earlier, by, is), None)
                }
                Ok(Answer::Undeliverable(waiting, cause)) => {
                    (answer::undeliverable(&call, &waiting, cause), None)
                }
                Ok(Answer::Denied(denied)) => (answer::denied(&call, &denied), Some(denied.kept)),
                Ok(Answer::Expired(kept)) => (answer::expired(&call, &kept), Some(kept)),
                Ok(Answer::Withdrawn(kept)) => (answer::withdrawn(&call, &kept), Some(kept)),
                Ok(Answer::DefinitionChanged(kept)) => {
                    (answer::definition_changed(&call, &kept, &definition), Some(kept))
                }
                Ok(Answer::Ran(kept)) => (answer::ran(&call, &kept), Some(kept.approval)),
                Err(refused) => (refused, None),
            };
            tell(conversation, &id, told, over).await;
        }
    }
}

/// The action that a call is, or why it can be none.
fn action(gate: &Inner, call: &Call) -> Result<Action, Message> {
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

/// Asks, and waits as long as the policy says, with progress for a client that wants it.
async fn ask(
    gate: &Inner,
    conversation: &Conversation,
    call: &Call,
    terms: &Terms<'_>,
    definition: &Definition,
    asking: &Mutex<()>,
) -> Result<Answer, Message> {
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

/// Answers a call that did not run. An approval that is over with that stays kept until somebody has been told.
async fn tell(conversation: &Conversation, id: &Id, answer: Message, over: Option<KeptApproval>) {
    if conversation.settle(id, answer).await
        && let Some(kept) = over
    {
        kept.forget();
    }
}

/// Tells a client that wants to hear of it whose answer is waited for, and that it still is.
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
        // Progress may only rise, and the server's own begins at 0 or above: ours rises and stays below that.
        let progress =
            json!({"progressToken": token, "progress": -1e-3 / f64::from(told), "message": message});
        let _ = conversation.answer(Message::notification("notifications/progress", &progress)).await;
        clock::sleep(PROGRESS_EVERY).await;
    }
}

/// Uses the approval up and sends the call to the server, with the arguments that were approved.
async fn run(
    gate: &Inner,
    conversation: &Conversation,
    call: Call,
    asked_for: &Definition,
    approved: Approved,
) {
    let id = call.id.clone();
    if conversation.runs(&approved.kept) {
        return tell(conversation, &id, answer::still_running(&call, &approved.kept), None).await;
    }
    // A human may have taken minutes, in which the server may have become another.
    let now = match conversation.definition(&call).await {
        Ok(now) => now,
        Err(problem) => return tell(conversation, &id, answer::not_listed(&call, &problem), None).await,
    };
    let kept = approved.kept.clone();
    if now.fingerprint != asked_for.fingerprint {
        let told = answer::definition_changed(&call, &kept, &now);
        return tell(conversation, &id, told, Some(kept)).await;
    }
    let permitted = match action(gate, &call) {
        Ok(action) => gate.asker.redeem(approved, action).await,
        Err(refused) => return tell(conversation, &id, refused, None).await,
    };
    match permitted {
        // From here on the call runs, or nobody knows whether it did: the approval is kept until there is an answer.
        Ok(permit) => match call.clone().permitted(permit) {
            Some(permitted) => conversation.release(&id, permitted, Some(kept)).await,
            // It was plain when it was asked about.
            None => tell(conversation, &id, answer::not_plain(&call), None).await,
        },
        Err(refusal) => {
            let told = answer::refused(&call, &kept, &refusal);
            let over = approval::is_over(&refusal).then_some(kept);
            tell(conversation, &id, told, over).await;
        }
    }
}
