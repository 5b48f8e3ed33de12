use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{ProgressNotificationParam, ProgressToken, Tool, ToolAnnotations};
use rmcp::service::{Peer, RequestContext};
use sayso_cloud::StoredApproval;
use sayso_model::{
    Agent, Approval, ClosedApproval, NoticeState, Outcome, Request, Timestamp, UndeliveredCause,
    come_back_after, to_the_second,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{no_approval, own_approval, tool};
use crate::Deps;
use crate::answer::{NotDone, arguments, whole_number};

pub(crate) const NAME: &str = "check_approval";

/// The status of an open request whose mail came back.
pub(super) const UNDELIVERABLE: &str = "undeliverable";

const DESCRIPTION: &str = "Find out whether a human has answered a request for approval. By default this waits up to 45 \
    seconds for the answer, so call it once and let it wait, rather than often; while the status is `pending`, call \
    it again. It works from any session, hours later too: only the id is needed. \
    `approved` comes with an approval_token: pass it, unchanged, to whatever executes the action; it permits exactly \
    that action, once. `denied` is a human's no: read the note, do not do it, and do not ask again in other words. \
    `expired` means that nobody answered in time: it is neither a yes nor a no, do not act; ask again if the action is \
    still wanted. `withdrawn` means that you took it back. `undeliverable` means that the mail to the approver came \
    back: waiting is no use, tell your operator.";

/// The longest wait: clients give up after 60 seconds.
const MOST_SECONDS: u64 = 50;
const DEFAULT_SECONDS: u64 = 45;

/// How often a waiting client hears that we are still here.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
struct Arguments {
    approval_id: String,
    #[serde(default, deserialize_with = "whole_number")]
    wait_seconds: Option<i64>,
}

/// What the agent reads.
#[derive(Serialize)]
pub(crate) struct Answer {
    approval_id: String,
    status: &'static str,
    next: String,
    #[serde(flatten)]
    details: Details,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Details {
    Pending {
        open_for: String,
        closes_in: String,
        closes_at: String,
        mail_sent: bool,
        retry_after_seconds: u64,
    },
    Undeliverable {
        closes_at: String,
        mail_sent: bool,
        cause: &'static str,
    },
    Decided {
        decided_at: String,
        proven_by: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<String>,
        #[serde(flatten)]
        token: Option<Token>,
    },
    Ended {},
}

#[derive(Serialize)]
struct Token {
    approval_token: String,
    token_expires_at: String,
}

pub(super) fn definition() -> Tool {
    let input = json!({
        "type": "object",
        "properties": {
            "approval_id": {"type": "string", "description": "The id that request_approval returned."},
            "wait_seconds": {
                "type": "integer", "minimum": 0, "maximum": MOST_SECONDS, "default": DEFAULT_SECONDS,
                "description": "How long to wait for an answer while the request is pending; 0 looks once. Your operator may allow less.",
            },
        },
        "required": ["approval_id"],
        "additionalProperties": false,
    });
    let moment =
        |description: &str| json!({"type": "string", "format": "date-time", "description": description});
    let output = json!({
        "type": "object",
        "properties": {
            "approval_id": {"type": "string"},
            "status": {"type": "string", "enum": ["pending", "undeliverable", "approved", "denied", "expired", "withdrawn"]},
            "next": {"type": "string", "description": "What to do now."},
            "closes_at": moment("While nobody has answered: from then on nobody can decide."),
            "mail_sent": {"type": "boolean", "description": "While nobody has answered: whether the mail to the approver is known to have gone out, and not to have come back."},
            "cause": {"type": "string", "enum": ["bounce", "complaint", "reject"], "description": "When undeliverable: what the mail service reported."},
            "open_for": {"type": "string", "description": "While pending: how long it has been open."},
            "closes_in": {"type": "string", "description": "While pending: how long is left."},
            "retry_after_seconds": {"type": "integer", "description": "While pending: when to check again."},
            "decided_at": moment("When the approver decided."),
            "proven_by": {"type": "string", "description": "How the decision was proven: `email-link`."},
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
    tool(NAME, DESCRIPTION, input, output, hints.open_world(false))
}

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
) -> Result<Answer, NotDone> {
    let Arguments { approval_id, wait_seconds } = arguments(NAME, text)?;
    let wait = wait_duration(wait_seconds)?;
    let stored = own_approval(deps, agent, &approval_id).await?;
    let now = deps.clock.now();
    match stored.clone().judge(now)? {
        Approval::Closed(closed) => Ok(closed_answer(&closed, now)),
        Approval::Overdue(overdue) => close(deps, overdue.expire()).await,
        Approval::Open(_) if stored.undelivered().is_some() || wait.is_zero() => {
            Ok(open_answer(&stored, now))
        }
        Approval::Open(_) => wait_in_turn(deps, agent, &stored, wait, progress).await,
    }
}

/// Waits, unless as many checks of this agent do as the operator allows: that one is told so at once. What it takes to count
/// the wait is a part of it.
async fn wait_in_turn(
    deps: &Deps,
    agent: &Agent,
    stored: &StoredApproval,
    wait: Duration,
    progress: Progress<'_>,
) -> Result<Answer, NotDone> {
    let wait = wait.min(deps.settings.longest_wait.duration());
    let (now, started) = (deps.clock.now(), deps.clock.elapsed());
    let most = deps.settings.limits.waits;
    let Some(counted) = deps.store.begin_wait(&agent.name, now, now.plus(wait), most).await? else {
        return Ok(not_waited(open_answer(stored, now), most.get()));
    };
    let answer = wait_for_answer(deps, stored, started, wait, progress).await;
    if deps.clock.elapsed().saturating_sub(started) < wait {
        // If this fails the wait counts for as long as it might have taken, and no longer.
        let _ = deps.store.end_wait(counted).await;
    }
    answer
}

/// As many checks wait as may: this one came back at once.
fn not_waited(answer: Answer, most: u32) -> Answer {
    let next = format!(
        "{most} of your checks are waiting already, the most that your operator allows, so this one did not wait. {}",
        answer.next
    );
    match answer.details {
        Details::Pending { open_for, closes_in, closes_at, mail_sent, .. } => Answer {
            next,
            details: Details::Pending { open_for, closes_in, closes_at, mail_sent, retry_after_seconds: 30 },
            ..answer
        },
        details => Answer { details, ..answer },
    }
}

fn wait_duration(seconds: Option<i64>) -> Result<Duration, NotDone> {
    match seconds.map_or(Ok(DEFAULT_SECONDS), u64::try_from) {
        Ok(fits) if fits <= MOST_SECONDS => Ok(Duration::from_secs(fits)),
        _ => Err(NotDone::Refused(format!(
            "`wait_seconds` must be 0 to {MOST_SECONDS}, not {}: longer waits are cut by clients",
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
) -> Result<Answer, NotDone> {
    let mut said = None;
    loop {
        let now = deps.clock.now();
        let waited = deps.clock.elapsed().saturating_sub(started);
        let request = &stored.request;
        if let Approval::Overdue(overdue) = Approval::judge(request.clone(), None, now) {
            return close(deps, overdue.expire()).await;
        }
        if waited >= wait {
            // The last look took all the time that there was.
            return Ok(open_answer(stored, now));
        }
        if said.is_none_or(|said| waited >= said + PROGRESS_EVERY) {
            progress.say(waited, wait).await;
            said = Some(waited);
        }
        let pause = poll_interval(request.created_at.until(now)).min(wait - waited);
        deps.clock.sleep(pause).await;
        if waited + pause >= wait {
            return look_again(deps, request).await;
        }
        if let Some(outcome) = deps.store.outcome_so_far(request).await? {
            let closed = ClosedApproval { request: request.clone(), outcome };
            return Ok(closed_answer(&closed, deps.clock.now()));
        }
    }
}

/// Someone who is going to answer at once does so in the first minutes; an old request is looked at less often.
fn poll_interval(age: Duration) -> Duration {
    match age.as_secs() {
        0..300 => Duration::from_millis(250),
        300..3600 => Duration::from_secs(1),
        _ => Duration::from_secs(3),
    }
}

async fn close(deps: &Deps, closed: ClosedApproval) -> Result<Answer, NotDone> {
    let request = closed.request.clone();
    let outcome = deps.store.conclude(closed, deps.settings.retention).await?.into_outcome();
    Ok(closed_answer(&ClosedApproval { request, outcome }, deps.clock.now()))
}

/// A wait ends with a look at everything, as a check without a wait: the mail may have come back meanwhile.
async fn look_again(deps: &Deps, request: &Request) -> Result<Answer, NotDone> {
    let now = deps.clock.now();
    let stored = deps.store.approval(request.id, now).await?.ok_or_else(|| no_approval(request.id))?;
    match stored.clone().judge(now)? {
        Approval::Closed(closed) => Ok(closed_answer(&closed, now)),
        Approval::Overdue(overdue) => close(deps, overdue.expire()).await,
        Approval::Open(_) => Ok(open_answer(&stored, now)),
    }
}

fn open_answer(stored: &StoredApproval, now: Timestamp) -> Answer {
    let (request, closes_at) = (&stored.request, stored.request.closes_at.to_string());
    let approval_id = request.id.to_string();
    if let Some(report) = stored.undelivered() {
        let details = Details::Undeliverable { closes_at, mail_sent: false, cause: report.cause.as_str() };
        let next = when_undelivered(report.cause).to_owned();
        return Answer { approval_id, status: UNDELIVERABLE, next, details };
    }
    let mail_sent =
        matches!(&stored.notice, Some(notice) if matches!(notice.state, NoticeState::Accepted { .. }));
    let next = if mail_sent {
        "Nobody has answered yet. Do not act. Call check_approval again: it waits for the answer. If you have other work \
         that does not depend on this, do that first."
    } else {
        "Nobody has answered yet, and it is not certain that the approver got the mail. Do not act. Call \
         request_approval again with the same tool and arguments: it sends the mail if it was not sent."
    };
    let (open_for, left) = (request.created_at.until(now), now.until(request.closes_at));
    let (said, closes_in) = (to_the_second(open_for), to_the_second(left));
    let retry_after_seconds = come_back_after(open_for).min(left).as_secs().max(1);
    let next = format!(
        "{next} It has been open for {said}, and {closes_in} are left. Without a wait, check again in {retry_after_seconds} s."
    );
    let details = Details::Pending { open_for: said, closes_in, closes_at, mail_sent, retry_after_seconds };
    Answer { approval_id, status: "pending", next, details }
}

/// What an agent whose approver was not reached does now.
pub(super) fn when_undelivered(cause: UndeliveredCause) -> &'static str {
    match cause {
        UndeliveredCause::Bounce => {
            "The mail to the approver came back: as far as is known, nobody has been asked. Do not act, and do not wait. Tell the \
             user and your operator that the approver's address does not take mail. Once it is changed, call request_approval \
             again with the same tool and arguments: it mails the new address. If the address was right and takes mail again, \
             call withdraw_approval first, and then request_approval. If it is no longer wanted, call withdraw_approval."
        }
        UndeliveredCause::Complaint => {
            "The mail to the approver was reported as spam, and no more will reach that address. Do not act, and do not wait. Tell \
             the user and your operator. Once the approver's address is changed, call withdraw_approval, and then \
             request_approval: whoever has this request's mail must not decide about it."
        }
        UndeliveredCause::Reject => {
            "The mail service took the mail for malware and did not deliver it: nobody has been asked. Do not act, and do not \
             wait. Tell the user and your operator. Call withdraw_approval; if the action can be written in another form, ask \
             for that."
        }
    }
}

fn closed_answer(closed: &ClosedApproval, now: Timestamp) -> Answer {
    let ClosedApproval { request, outcome } = closed;
    let token_ends = outcome.at().plus(request.token_lifetime.duration());
    let token = match outcome {
        Outcome::Approved { token, .. } => Some(Token {
            approval_token: token.expose().to_owned(),
            token_expires_at: token_ends.to_string(),
        }),
        _ => None,
    };
    let details = match outcome.decision() {
        Some(decision) => Details::Decided {
            decided_at: decision.at.to_string(),
            proven_by: decision.proven_by.as_str(),
            note: decision.note.as_ref().map(|note| note.as_str().to_owned()),
            token,
        },
        None => Details::Ended {},
    };
    Answer {
        approval_id: request.id.to_string(),
        status: outcome.status(),
        next: next_when(outcome, token_ends, now),
        details,
    }
}

fn next_when(outcome: &Outcome, token_ends: Timestamp, now: Timestamp) -> String {
    match outcome {
        Outcome::Approved { .. } if now >= token_ends => format!(
            "A human approved this, and the approval_token expired at {token_ends}. If the action was not executed, do \
             not execute it now: call request_approval again."
        ),
        Outcome::Approved { .. } => format!(
            "A human approved exactly this action. Execute it now, with exactly these arguments, and pass approval_token \
             to what executes it. It works once, until {token_ends}. Read the note, if there is one."
        ),
        Outcome::Denied(_) => {
            "A human said no. Do not do this, and do not ask for the same thing in other words. Read the \
             note, tell the user, and propose something else."
                .to_owned()
        }
        Outcome::Expired { .. } => {
            "Nobody answered before the deadline. This is not a denial, and not an approval: do not \
             act. Tell the user; if the action is still wanted, call request_approval again."
                .to_owned()
        }
        Outcome::Withdrawn { .. } => {
            "You withdrew this request. Do not act on it; call request_approval if the action is \
             wanted after all."
                .to_owned()
        }
    }
}
