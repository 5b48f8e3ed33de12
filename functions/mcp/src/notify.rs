//! Sends the mail once, from one call, and records the result. A failure loses nothing: the request stays open, and the
//! agent's retry sends again.

use sayso_cloud::{Failure, SendError, StoredApproval, random};
use sayso_model::{Agent, LinkSecret, Masks, Notice, NoticeState, Request, UndeliveredCause};

use crate::Deps;
use crate::answer::incident;
use crate::mail;

/// The result of sending the mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notified {
    /// The mail service has it.
    Accepted,
    /// Another call is sending it at this moment.
    BySomeoneElse,
    /// The mail service did not take it.
    Failed,
    /// The mail service did not say whether it took it.
    Unknown,
    /// The mail service took it and reported that it did not arrive or was complained about; nothing more is sent.
    Undelivered(UndeliveredCause),
    /// The operator has named another approver since. This request can be decided by the first one only.
    ApproverChanged,
}

/// The first mail, sent by the call that wrote the request.
pub(crate) async fn first(deps: &Deps, agent: &Agent, request: &Request, secret: &LinkSecret) -> Notified {
    let masks = deps.store.masks(&request.audience).await;
    let (state, notified) = send(deps, agent, request, masks, secret).await;
    if let Some(state) = state {
        record(deps, request, None, &Notice::first(state)).await;
    }
    notified
}

/// A later mail: if the last was not accepted, the call that sent it died, or it came back from an address that the
/// operator has corrected since. Many calls may try, one sends.
pub(crate) async fn again(deps: &Deps, agent: &Agent, stored: &StoredApproval) -> Result<Notified, Failure> {
    let (request, notice) = (&stored.request, stored.notice.as_ref());
    let undelivered = stored.undelivered();
    if let Some(notice @ Notice { state: NoticeState::Accepted { .. }, .. }) = notice {
        match undelivered {
            None => return Ok(Notified::Accepted),
            Some(report) if !notice.may_go_elsewhere(report, &agent.approver.email) => {
                return Ok(Notified::Undelivered(report.cause));
            }
            Some(_) => {}
        }
    }
    if request.approver != agent.approver.id {
        return Ok(Notified::ApproverChanged);
    }
    let secret = random::link_secret();
    let Some(attempt) = Notice::retry(request, notice, undelivered.is_some(), &secret, deps.clock.now())
    else {
        return Ok(Notified::BySomeoneElse);
    };
    // At once: the calls in a row are counted, see CLAIMING_LIMIT.
    let (claimed, masks) = tokio::join!(
        deps.store.put_notice(request, notice, &attempt, deps.settings.retention),
        deps.store.masks(&request.audience)
    );
    if !claimed? {
        return Ok(Notified::BySomeoneElse);
    }
    let (state, notified) = send(deps, agent, request, masks, &secret).await;
    if let Some(state) = state {
        record(deps, request, Some(&attempt), &attempt.clone().ended(state)).await;
    }
    Ok(notified)
}

/// Sends, and returns how the attempt ended, if that is known. A mail that may have gone out stays recorded as being sent,
/// like that of a call that died: the next one comes after [`sayso_model::SENDING_LIMIT`], so that an agent that goes on asking
/// while SES's answers are lost does not mail the approver each time.
async fn send(
    deps: &Deps,
    agent: &Agent,
    request: &Request,
    masks: Result<Masks, Failure>,
    secret: &LinkSecret,
) -> (Option<NoticeState>, Notified) {
    let masks = match masks {
        Ok(masks) => masks,
        Err(failure) => {
            incident(&failure);
            return (Some(NoticeState::Failed), Notified::Failed);
        }
    };
    let link = format!("{}/{}/{}", deps.settings.page_url, request.id, secret.expose());
    match deps.mailer.send(&mail::compose(agent, request, &masks, &link)).await {
        Ok(message_id) => {
            let accepted = NoticeState::Accepted { message_id, at: Some(deps.clock.now()) };
            (Some(accepted), Notified::Accepted)
        }
        Err(SendError::Refused(failure)) => {
            incident(&failure);
            (Some(NoticeState::Failed), Notified::Failed)
        }
        Err(SendError::Unknown(failure)) => {
            incident(&failure);
            (None, Notified::Unknown)
        }
    }
}

/// Writes the record, or logs that it could not: the mail is out, and at worst a retry sends a second one.
async fn record(deps: &Deps, request: &Request, known: Option<&Notice>, notice: &Notice) {
    if let Err(failure) = deps.store.put_notice(request, known, notice, deps.settings.retention).await {
        incident(&failure);
    }
}
