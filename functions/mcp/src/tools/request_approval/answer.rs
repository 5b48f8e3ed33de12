//! What the agent reads, and what it does now.

use sayso_model::wire::RequestApprovalResult;
use sayso_model::{Agent, ClosedApproval, Request, Status};

use crate::Deps;
use crate::notify::Notified;
use crate::tools::check_approval;

/// The words of this call reached nobody.
const IN_OTHER_WORDS: &str = "This action was pending already, and the approver reads the words it was asked with, not these: they are in \
    `summary` and `reason`. If they are wrong, call withdraw_approval, then request_approval again.";

const CLOSED: &str =
    "This request was answered or closed before. Call check_approval with this approval_id for the outcome.";

/// A request that somebody may still decide.
pub(super) fn open(
    deps: &Deps,
    agent: &Agent,
    request: &Request,
    notified: Notified,
) -> RequestApprovalResult {
    let (status, next) = match notified {
        Notified::Accepted => (
            Status::Pending,
            "The approver has been e-mailed. Do not act yet. Call check_approval with this approval_id: it waits for the answer.",
        ),
        Notified::BySomeoneElse => (
            Status::Pending,
            "The mail to the approver is on its way. Do not act yet. Call check_approval with this approval_id: it waits for the answer.",
        ),
        Notified::Failed => (
            Status::Pending,
            "The request is kept, but the mail to the approver could not be sent. Do not act. Call request_approval again with \
             the same tool and arguments in a minute: it sends the mail. If it stays so, tell your operator.",
        ),
        Notified::Unknown => (
            Status::Pending,
            "The request is kept, and it is not known whether the mail to the approver has gone out. Do not act yet. Call \
             check_approval with this approval_id: it waits for the answer. If nobody has answered in two minutes, call \
             request_approval again with the same tool and arguments: it sends another mail. If it stays so, tell your operator.",
        ),
        Notified::ApproverChanged => (
            Status::Pending,
            "Your operator has named another approver since you asked, and the one before was not reached. Call \
             withdraw_approval with this approval_id, then request_approval again.",
        ),
        Notified::Undelivered(cause) => (Status::Undeliverable, check_approval::when_undelivered(cause)),
    };
    let mail_sent = Some(matches!(notified, Notified::Accepted));
    RequestApprovalResult { mail_sent, ..result(deps, agent, request, status, next) }
}

/// A request whose outcome is recorded.
pub(super) fn closed(deps: &Deps, agent: &Agent, closed: &ClosedApproval) -> RequestApprovalResult {
    result(deps, agent, &closed.request, closed.outcome.status(), CLOSED)
}

/// Tells the agent if the approver reads other words for the same action.
pub(super) fn in_whose_words(answer: RequestApprovalResult, asked: &Request) -> RequestApprovalResult {
    if answer.summary.as_ref() == Some(&asked.summary) && answer.reason == asked.reason {
        return answer;
    }
    RequestApprovalResult { next: format!("{IN_OTHER_WORDS} {}", answer.next), ..answer }
}

fn result(
    deps: &Deps,
    agent: &Agent,
    request: &Request,
    status: Status,
    next: &str,
) -> RequestApprovalResult {
    RequestApprovalResult {
        approval_id: request.id,
        status,
        status_url: format!("{}/{}", deps.settings.page_url, request.id),
        closes_at: request.closes_at,
        approver: if request.approver == agent.approver.id {
            agent.approver.email.masked()
        } else {
            "the approver your operator named before the current one".to_owned()
        },
        mail_sent: None,
        summary: Some(request.summary.clone()),
        reason: request.reason.clone(),
        created_at: Some(request.created_at),
        next: next.to_owned(),
    }
}
