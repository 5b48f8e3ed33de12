use std::time::Duration;

use sayso_cloud::{Claim, Named, PointerClaim, StoredApproval, random};
use sayso_model::{
    Action, Agent, Approval, ApprovalId, CanonicalJson, ExpiresIn, IdempotencyKey, LinkSecret, Outcome,
    Reason, Request, Summary, ToolName,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{check_approval, limited};
use crate::Deps;
use crate::answer::{NotDone, arguments, incident, whole_number};
use crate::notify::{self, Notified};

mod definition;

pub(super) use definition::definition;

pub(crate) const NAME: &str = "request_approval";

/// How often a claim is tried while others write: each round somebody wins, and twenty at once need a few.
const MOST_CLAIMS: u32 = 10;

/// After this long no other claim is begun, however many were made: what a claim leads to takes eight calls to AWS in a row
/// at worst, and has to end before the function's own time.
const CLAIMING_LIMIT: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
struct Arguments<'a> {
    tool: String,
    #[serde(borrow)]
    arguments: &'a RawValue,
    summary: String,
    reason: Option<String>,
    audience: Option<String>,
    #[serde(default, deserialize_with = "whole_number")]
    expires_in_seconds: Option<i64>,
    idempotency_key: Option<String>,
    earlier_approval_id: Option<String>,
}

/// What the agent reads. The status link locates the request and decides nothing.
#[derive(Serialize)]
pub(crate) struct Answer {
    approval_id: String,
    status: &'static str,
    status_url: String,
    closes_at: String,
    approver: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mail_sent: Option<bool>,
    /// What stands there may be another's words for the same action.
    summary: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    created_at: String,
    next: String,
}

/// A request that is complete but not written, with the secret whose hash it holds.
struct Draft {
    request: Request,
    secret: LinkSecret,
    key: Option<IdempotencyKey>,
    earlier: Option<ApprovalId>,
}

pub(crate) async fn call(deps: &Deps, agent: &Agent, text: &str) -> Result<Answer, NotDone> {
    let draft = draft(deps, agent, text)?;
    let (mut replaces, mut replaces_key) = (None, None);
    let started = deps.clock.elapsed();
    for round in 0..MOST_CLAIMS {
        if deps.clock.elapsed().saturating_sub(started) > CLAIMING_LIMIT {
            break;
        }
        let claim = PointerClaim {
            request: &draft.request,
            idempotency_key: draft.key.as_ref(),
            replaces,
            replaces_key,
        };
        match deps.store.claim(&claim, &deps.settings.limits, deps.settings.retention).await? {
            Claim::Won => return open(deps, agent, draft).await,
            Claim::KeyedForAnotherAction => return Err(key_is_taken()),
            Claim::Limited(reached) => limited::make_room(deps, agent, reached).await?,
            Claim::Keyed(named) => match find(deps, named).await? {
                Found::Forgotten => replaces_key = Some(named.id),
                found => return join(deps, agent, draft, named, found).await,
            },
            Claim::Held(named) => match find(deps, named).await? {
                Found::Over(outcome) => {
                    limited::cool_down(deps, named.id, &outcome)?;
                    replaces = Some(named.id);
                }
                Found::Forgotten => replaces = Some(named.id),
                found => match share_key(deps, &draft, named, replaces_key).await? {
                    Shared::Yes => return join(deps, agent, draft, named, found).await,
                    // The next round meets the key's own request.
                    Shared::No => replaces = None,
                },
            },
            Claim::Contended => {
                replaces = None;
                deps.clock.sleep(pause(round)).await;
            }
        }
    }
    Err(limited::busy())
}

/// A growing pause, different for each of those who wait: 10 to 20 ms, then twice that, up to a second.
fn pause(round: u32) -> Duration {
    let longest = (20_u64 << round).min(1_000);
    let [jitter] = random::bytes();
    Duration::from_millis(longest / 2 + longest * u64::from(jitter) / 512)
}

/// What a row's request turns out to be.
enum Found {
    /// It is there, and someone may still decide.
    Open(Box<StoredApproval>),
    /// It is there, and closed; whoever notices that its deadline has passed has recorded it.
    Over(Outcome),
    /// Its writer is between two writes, or died there.
    NotYet,
    /// Its time is over, and DynamoDB has deleted it before the row that names it.
    Forgotten,
}

async fn find(deps: &Deps, named: Named) -> Result<Found, NotDone> {
    let now = deps.clock.now();
    let Some(stored) = deps.store.approval(named.id, now).await? else {
        return Ok(if now < named.closes_at { Found::NotYet } else { Found::Forgotten });
    };
    match stored.clone().judge(now)? {
        Approval::Open(_) => Ok(Found::Open(Box::new(stored))),
        Approval::Closed(closed) => Ok(Found::Over(closed.outcome)),
        Approval::Overdue(overdue) => {
            let concluded = deps.store.conclude(overdue.expire(), deps.settings.retention).await?;
            Ok(Found::Over(concluded.into_outcome()))
        }
    }
}

fn draft(deps: &Deps, agent: &Agent, text: &str) -> Result<Draft, NotDone> {
    let given: Arguments<'_> = arguments(NAME, text)?;
    let canonical = CanonicalJson::parse(given.arguments.get()).map_err(|violation| {
        NotDone::Refused(format!(
            "`arguments` cannot be approved as written: {violation}. Correct it and call again."
        ))
    })?;
    let expires_in = given.expires_in_seconds.map_or(Ok(ExpiresIn::default()), ExpiresIn::from_seconds)?;
    let now = deps.clock.now();
    let secret = random::link_secret();
    let request = Request {
        id: random::approval_id(now),
        agent: agent.name.clone(),
        approver: agent.approver.id.clone(),
        audience: agent.audiences.choose(given.audience.as_deref())?.clone(),
        action: Action { tool: ToolName::asked(&given.tool)?, arguments: canonical },
        summary: Summary::parse(&given.summary)?,
        reason: given.reason.as_deref().map(Reason::parse).transpose()?,
        created_at: now,
        closes_at: now.plus(expires_in.duration()),
        token_lifetime: deps.settings.token_lifetime,
        link_secret_hash: secret.hash(),
    };
    let key = given.idempotency_key.as_deref().map(IdempotencyKey::parse).transpose()?;
    let earlier = given.earlier_approval_id.as_deref().map(ApprovalId::parse).transpose()?;
    Ok(Draft { request, secret, key, earlier })
}

fn key_is_taken() -> NotDone {
    NotDone::Refused(
        "This `idempotency_key` was used for another action. Use a new key for a new action, or repeat the first one exactly."
            .to_owned(),
    )
}

enum Shared {
    Yes,
    No,
}

/// Lets the idempotency key, if there is one, stand for the request that is open already.
async fn share_key(
    deps: &Deps,
    draft: &Draft,
    named: Named,
    replaces_key: Option<ApprovalId>,
) -> Result<Shared, NotDone> {
    let Some(key) = &draft.key else { return Ok(Shared::Yes) };
    let there = Request { id: named.id, closes_at: named.closes_at, ..draft.request.clone() };
    let claim = PointerClaim { request: &there, idempotency_key: None, replaces: None, replaces_key };
    match deps.store.claim_key(&claim, key, deps.settings.retention).await? {
        Claim::Won => Ok(Shared::Yes),
        Claim::KeyedForAnotherAction => Err(key_is_taken()),
        // A key alone is not measured against a limit.
        Claim::Keyed(_) | Claim::Held(_) | Claim::Contended | Claim::Limited(_) => Ok(Shared::No),
    }
}

/// Writes the request under its id and mails it; if someone else wrote it first, theirs counts.
async fn open(deps: &Deps, agent: &Agent, draft: Draft) -> Result<Answer, NotDone> {
    if deps.store.put_request(&draft.request, deps.settings.retention).await? {
        let ((), notified) = tokio::join!(
            tell_of_newer(deps, draft.earlier, &draft.request),
            notify::first(deps, agent, &draft.request, &draft.secret)
        );
        return Ok(answer(deps, agent, &draft.request, "pending", notified));
    }
    let id = draft.request.id;
    match deps.store.approval(id, deps.clock.now()).await? {
        Some(stored) => resume(deps, agent, &draft, stored).await,
        None => Err(vanished(id)),
    }
}

/// Tells the approver of the request that this one names as its earlier. Whether it is one, the page sees. What cannot be written
/// is worth a line in the log and no more: the approver has a mail about each.
async fn tell_of_newer(deps: &Deps, earlier: Option<ApprovalId>, request: &Request) {
    let Some(earlier) = earlier else { return };
    if let Err(failure) = deps.store.put_newer(earlier, request, deps.settings.retention).await {
        incident(&failure);
    }
}

/// Goes on with the approval that a row names: answers for it, or writes it in the stead of whoever named it, to close
/// when that one would have.
async fn join(
    deps: &Deps,
    agent: &Agent,
    draft: Draft,
    named: Named,
    found: Found,
) -> Result<Answer, NotDone> {
    match found {
        Found::Open(stored) => resume(deps, agent, &draft, *stored).await,
        Found::NotYet | Found::Forgotten => {
            let request = Request { id: named.id, closes_at: named.closes_at, ..draft.request };
            open(deps, agent, Draft { request, ..draft }).await
        }
        Found::Over(_) => match deps.store.approval(named.id, deps.clock.now()).await? {
            Some(stored) => resume(deps, agent, &draft, stored).await,
            None => Err(vanished(named.id)),
        },
    }
}

/// Answers for an approval that is there, and sends its mail if nobody has.
async fn resume(
    deps: &Deps,
    agent: &Agent,
    draft: &Draft,
    stored: StoredApproval,
) -> Result<Answer, NotDone> {
    match stored.clone().judge(deps.clock.now())? {
        Approval::Open(open) => {
            // While it is not mailed: each call would write the same.
            let earlier = draft.earlier.filter(|_| !stored.is_mailed());
            let ((), notified) = tokio::join!(
                tell_of_newer(deps, earlier, open.request()),
                notify::again(deps, agent, &stored)
            );
            let notified = notified?;
            let there = open.request();
            let mut answer = answer(deps, agent, there, open_status(notified), notified);
            if (&there.summary, &there.reason) != (&draft.request.summary, &draft.request.reason) {
                answer.next = format!("{IN_OTHER_WORDS} {}", answer.next);
            }
            Ok(answer)
        }
        Approval::Closed(closed) => {
            Ok(answer(deps, agent, &closed.request, closed.outcome.status(), Notified::Accepted))
        }
        Approval::Overdue(overdue) => {
            let closed = overdue.expire();
            let request = closed.request.clone();
            let outcome = deps.store.conclude(closed, deps.settings.retention).await?.into_outcome();
            Ok(answer(deps, agent, &request, outcome.status(), Notified::Accepted))
        }
    }
}

/// An open request's status: waiting for a human who is not known to have been asked is told apart.
fn open_status(notified: Notified) -> &'static str {
    match notified {
        Notified::Undelivered(_) => check_approval::UNDELIVERABLE,
        _ => "pending",
    }
}

fn vanished(id: ApprovalId) -> NotDone {
    NotDone::Refused(format!("The request {id} was removed while it was being made. Call again."))
}

/// What the agent wrote this time has reached nobody.
const IN_OTHER_WORDS: &str = "This action was pending already, and the approver reads the words it was asked with, not these: they are in \
    `summary` and `reason`. If they are wrong, call withdraw_approval, then request_approval again.";

fn answer(deps: &Deps, agent: &Agent, request: &Request, status: &'static str, notified: Notified) -> Answer {
    let next = match (status, notified) {
        ("pending", Notified::Accepted) => {
            "The approver has been e-mailed. Do not act yet. Call check_approval with this approval_id: it waits for the answer."
        }
        ("pending", Notified::BySomeoneElse) => {
            "The mail to the approver is on its way. Do not act yet. Call check_approval with this approval_id: it waits for the answer."
        }
        ("pending", Notified::Failed) => {
            "The request is kept, but the mail to the approver could not be sent. Do not act. Call request_approval again with \
             the same tool and arguments in a minute: it sends the mail. If it stays so, tell your operator."
        }
        ("pending", Notified::Unknown) => {
            "The request is kept, and it is not known whether the mail to the approver has gone out. Do not act yet. Call \
             check_approval with this approval_id: it waits for the answer. If nobody has answered in two minutes, call \
             request_approval again with the same tool and arguments: it sends another mail. If it stays so, tell your operator."
        }
        ("pending", Notified::ApproverChanged) => {
            "Your operator has named another approver since you asked, and the one before was not reached. Call \
             withdraw_approval with this approval_id, then request_approval again."
        }
        (check_approval::UNDELIVERABLE, Notified::Undelivered(cause)) => {
            check_approval::when_undelivered(cause)
        }
        _ => {
            "This request was answered or closed before. Call check_approval with this approval_id for the outcome."
        }
    };
    Answer {
        approval_id: request.id.to_string(),
        status,
        status_url: format!("{}/{}", deps.settings.page_url, request.id),
        closes_at: request.closes_at.to_string(),
        approver: if request.approver == agent.approver.id {
            agent.approver.email.masked()
        } else {
            "the approver your operator named before the current one".to_owned()
        },
        mail_sent: matches!(status, "pending" | check_approval::UNDELIVERABLE)
            .then_some(matches!(notified, Notified::Accepted)),
        summary: request.summary.as_str().to_owned(),
        reason: request.reason.as_ref().map(|reason| reason.as_str().to_owned()),
        created_at: request.created_at.to_string(),
        next: next.to_owned(),
    }
}
