//! The errors for an agent that has reached a limit. Nothing was written, nobody was mailed, and pending requests stay pending.

use std::time::Duration;

use sayso_cloud::Reached;
use sayso_model::{Agent, ApprovalId, Hour, Outcome};

use crate::Deps;
use crate::answer::ToolError;

/// The longest wait before asking again, when any answer would make room.
const MAX_PATIENCE: Duration = Duration::from_secs(60);

/// Refuses, unless some of the requests that count as pending are closed: then the claim can be tried again.
pub(super) async fn make_room(deps: &Deps, agent: &Agent, reached: Reached) -> Result<(), ToolError> {
    let (now, limits) = (deps.clock.now(), &deps.settings.limits);
    let next_hour = now.until(Hour::of(now).ends_at());
    match reached {
        Reached::Requests => Err(ToolError::Limited {
            limit: "requests_per_agent_per_hour",
            message: format!(
                "You have made {} new requests in this hour, the most that your operator allows. Nobody was asked. What is \
                 pending can still be checked and withdrawn.",
                limits.requests.get()
            ),
            retry_after: next_hour,
        }),
        Reached::Mails => Err(ToolError::Limited {
            limit: "mails_per_approver_per_hour",
            message: format!(
                "The approver has been sent as many requests in this hour as your operator allows: {}, of which {} are kept for \
                 agents that have not asked in it. Nobody was asked.",
                limits.mails.get(),
                limits.mails.get() - limits.mails.shared()
            ),
            retry_after: next_hour,
        }),
        Reached::Pending(pending) => {
            if deps.store.remove_closed(&agent.name, &pending, now).await? {
                return Ok(());
            }
            let deadline = pending.iter().map(|named| now.until(named.closes_at)).min();
            Err(ToolError::Limited {
                limit: "pending_per_agent",
                message: format!(
                    "{} of your requests are unanswered, the most that your operator allows. Nobody was asked. Wait for an \
                     answer with check_approval, or take back what you no longer need with withdraw_approval.",
                    pending.len()
                ),
                retry_after: deadline.unwrap_or(MAX_PATIENCE).min(MAX_PATIENCE),
            })
        }
    }
}

/// Refuses an action that a human has just denied.
pub(super) fn cool_down(deps: &Deps, id: ApprovalId, outcome: &Outcome) -> Result<(), ToolError> {
    let left = deps.settings.limits.cool_down.left(outcome, deps.clock.now());
    if left.is_zero() {
        return Ok(());
    }
    Err(ToolError::Limited {
        limit: "denied_cool_down",
        message: format!(
            "A human has just said no to exactly this (approval {id}; check_approval has the note). Nobody was asked again. \
             Do not do it, and do not ask for the same in other words. If your user wants it to be asked again:"
        ),
        retry_after: left,
    })
}

/// Refuses because other calls wrote first in every round.
pub(super) fn busy() -> ToolError {
    ToolError::Limited {
        limit: "busy",
        message:
            "Sayso is busy: other requests were written first. Nothing was recorded, and nobody was asked."
                .to_owned(),
        retry_after: Duration::from_secs(1),
    }
}
