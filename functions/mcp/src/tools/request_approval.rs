//! `request_approval`: reads what is asked, claims it ([`claim`]), writes it, and sends the mail.

use sayso_cloud::{RequestRef, Settled, StoredApproval, random};
use sayso_model::wire::{REQUEST_APPROVAL, RequestApprovalArguments, RequestApprovalResult};
use sayso_model::{
    Action, Agent, ApprovalId, CanonicalJson, ExpiresIn, IdempotencyKey, LinkSecret, Reason, Request,
    Summary, ToolName,
};

use crate::Deps;
use crate::answer::{ToolError, arguments, incident};
use crate::notify;

mod answer;
mod claim;
mod definition;

use claim::{Claimed, Found};
pub(super) use definition::definition;

/// A request that is complete but not written, with the secret whose hash it holds.
struct Draft {
    request: Request,
    secret: LinkSecret,
    key: Option<IdempotencyKey>,
    earlier: Option<ApprovalId>,
}

pub(crate) async fn call(deps: &Deps, agent: &Agent, text: &str) -> Result<RequestApprovalResult, ToolError> {
    let draft = draft(deps, agent, text)?;
    match claim::claim(deps, agent, &draft).await? {
        Claimed::Won => open(deps, agent, draft).await,
        Claimed::Taken(named, found) => join(deps, agent, draft, named, found).await,
    }
}

fn draft(deps: &Deps, agent: &Agent, text: &str) -> Result<Draft, ToolError> {
    let given: RequestApprovalArguments<'_> = arguments(REQUEST_APPROVAL, text)?;
    let canonical = CanonicalJson::parse(given.arguments.get()).map_err(|violation| {
        ToolError::Refused(format!(
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

/// Writes the request under its id and mails it; if someone else wrote it first, theirs counts.
async fn open(deps: &Deps, agent: &Agent, draft: Draft) -> Result<RequestApprovalResult, ToolError> {
    if deps.store.put_request(&draft.request, deps.settings.retention).await? {
        let ((), notified) = tokio::join!(
            tell_of_newer(deps, draft.earlier, &draft.request),
            notify::first(deps, agent, &draft.request, &draft.secret)
        );
        return Ok(answer::open(deps, agent, &draft.request, notified));
    }
    let id = draft.request.id;
    match deps.store.approval(id, deps.clock.now()).await? {
        Some(stored) => resume(deps, agent, &draft, stored).await,
        None => Err(vanished(id)),
    }
}

/// Tells the approver of the earlier request about this newer one. The page checks whether it is one. If that cannot be written,
/// it is only logged: the approver has a mail about each.
async fn tell_of_newer(deps: &Deps, earlier: Option<ApprovalId>, request: &Request) {
    let Some(earlier) = earlier else { return };
    if let Err(failure) = deps.store.put_newer(earlier, request, deps.settings.retention).await {
        incident(&failure);
    }
}

/// Continues with the approval that a row names: answers for it, or writes the request for a caller that died before it
/// could, with the same deadline.
async fn join(
    deps: &Deps,
    agent: &Agent,
    draft: Draft,
    named: RequestRef,
    found: Found,
) -> Result<RequestApprovalResult, ToolError> {
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
) -> Result<RequestApprovalResult, ToolError> {
    match deps.store.settle(&stored, deps.clock.now(), deps.settings.retention).await? {
        Settled::Closed(closed) => Ok(answer::closed(deps, agent, &closed)),
        Settled::Open(open) => {
            // Only while it is not mailed: later calls would write the same again.
            let earlier = draft.earlier.filter(|_| !stored.is_mailed());
            let ((), notified) = tokio::join!(
                tell_of_newer(deps, earlier, open.request()),
                notify::again(deps, agent, &stored)
            );
            let answer = answer::open(deps, agent, open.request(), notified?);
            Ok(answer::in_whose_words(answer, &draft.request))
        }
    }
}

fn vanished(id: ApprovalId) -> ToolError {
    ToolError::Refused(format!("The request {id} was removed while it was being made. Call again."))
}
