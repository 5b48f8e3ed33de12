//! `check_approval`: returns an approval's status, and waits for the human.

use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RequestContext};
use sayso_cloud::{Settled, StoredApproval};
use sayso_model::wire::{CHECK_APPROVAL, CheckApprovalArguments, CheckApprovalResult};
use sayso_model::{Agent, ClosedApproval};

use super::{no_approval, own_approval};
use crate::Deps;
use crate::answer::{ToolError, arguments};

mod answer;
mod definition;

pub(super) use answer::when_undelivered;
pub(super) use definition::definition;

/// The longest wait: clients give up after 60 seconds.
const MAX_SECONDS: u64 = 50;
const DEFAULT_SECONDS: u64 = 45;

/// How often a waiting client gets a progress notification.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// Tells a client that asked for it that the wait goes on.
pub(crate) struct Progress<'a> {
    to: Option<(&'a Peer<RoleServer>, ProgressToken)>,
}

impl<'a> Progress<'a> {
    /// Silent unless the client sent a progress token and reads a stream of events.
    pub(crate) fn new(context: &'a RequestContext<RoleServer>, reads_events: bool) -> Self {
        let token = context.meta.get_progress_token().filter(|_| reads_events);
        Self { to: token.map(|token| (&context.peer, token.clone())) }
    }

    async fn say(&self, waited: Duration, wait: Duration) {
        if let Some((peer, token)) = &self.to {
            let progress = ProgressNotificationParam::new(token.clone(), waited.as_secs_f64())
                .with_total(wait.as_secs_f64())
                .with_message("waiting for the approver's answer");
            // A client that has gone is not an error: the answer is in the table.
            let _ = peer.notify_progress(progress).await;
        }
    }
}

pub(crate) async fn call(
    deps: &Deps,
    agent: &Agent,
    text: &str,
    progress: Progress<'_>,
) -> Result<CheckApprovalResult, ToolError> {
    let CheckApprovalArguments { approval_id, wait_seconds } = arguments(CHECK_APPROVAL, text)?;
    let wait = wait_duration(wait_seconds)?;
    let stored = own_approval(deps, agent, &approval_id).await?;
    let waits = !wait.is_zero() && stored.undelivered().is_none();
    match look(deps, &stored).await? {
        Settled::Open(_) if waits => wait_in_turn(deps, agent, &stored, wait, progress).await,
        settled => Ok(answer(deps, &stored, &settled)),
    }
}

async fn look(deps: &Deps, stored: &StoredApproval) -> Result<Settled, ToolError> {
    Ok(deps.store.settle(stored, deps.clock.now(), deps.settings.retention).await?)
}

fn answer(deps: &Deps, stored: &StoredApproval, settled: &Settled) -> CheckApprovalResult {
    match settled {
        Settled::Open(_) => answer::open(stored, deps.clock.now()),
        Settled::Closed(closed) => answer::closed(closed, deps.clock.now()),
    }
}

/// Waits, unless the operator's limit of waiting checks is reached: then it answers at once. The time that counting takes
/// belongs to the wait.
async fn wait_in_turn(
    deps: &Deps,
    agent: &Agent,
    stored: &StoredApproval,
    wait: Duration,
    progress: Progress<'_>,
) -> Result<CheckApprovalResult, ToolError> {
    let wait = wait.min(deps.settings.longest_wait.duration());
    let (now, started) = (deps.clock.now(), deps.clock.elapsed());
    let most = deps.settings.limits.waits;
    let Some(counted) = deps.store.begin_wait(&agent.name, now, now.plus(wait), most).await? else {
        return Ok(answer::not_waited(answer::open(stored, now), most.get()));
    };
    let answer = wait_for_answer(deps, stored, started, wait, progress).await;
    if deps.clock.elapsed().saturating_sub(started) < wait {
        // If this fails the wait counts for as long as it might have taken, and no longer.
        let _ = deps.store.end_wait(counted).await;
    }
    answer
}

fn wait_duration(seconds: Option<i64>) -> Result<Duration, ToolError> {
    match seconds.map_or(Ok(DEFAULT_SECONDS), u64::try_from) {
        Ok(fits) if fits <= MAX_SECONDS => Ok(Duration::from_secs(fits)),
        _ => Err(ToolError::Refused(format!(
            "`wait_seconds` must be 0 to {MAX_SECONDS}, not {}: longer waits are cut by clients",
            seconds.unwrap_or_default()
        ))),
    }
}

async fn wait_for_answer(
    deps: &Deps,
    stored: &StoredApproval,
    started: Duration,
    wait: Duration,
    progress: Progress<'_>,
) -> Result<CheckApprovalResult, ToolError> {
    let request = &stored.request;
    let mut said = None;
    loop {
        let waited = deps.clock.elapsed().saturating_sub(started);
        // The deadline may pass during the wait. Until then this makes no calls.
        let settled = look(deps, stored).await?;
        if matches!(settled, Settled::Closed(_)) || waited >= wait {
            // The outcome is there, or the last look took the rest of the time.
            return Ok(answer(deps, stored, &settled));
        }
        if said.is_none_or(|said| waited >= said + PROGRESS_EVERY) {
            progress.say(waited, wait).await;
            said = Some(waited);
        }
        let pause = poll_interval(request.created_at.until(deps.clock.now())).min(wait - waited);
        deps.clock.sleep(pause).await;
        if waited + pause >= wait {
            // A wait ends with a full look, like a check without a wait: the mail may have bounced meanwhile.
            let now = deps.clock.now();
            let stored =
                deps.store.approval(request.id, now).await?.ok_or_else(|| no_approval(request.id))?;
            return Ok(answer(deps, &stored, &look(deps, &stored).await?));
        }
        if let Some(outcome) = deps.store.outcome_so_far(request).await? {
            let closed = ClosedApproval { request: request.clone(), outcome };
            return Ok(answer::closed(&closed, deps.clock.now()));
        }
    }
}

/// People who answer at once do so in the first minutes. An old request is polled less often.
fn poll_interval(age: Duration) -> Duration {
    match age.as_secs() {
        0..300 => Duration::from_millis(250),
        300..3600 => Duration::from_secs(1),
        _ => Duration::from_secs(3),
    }
}
