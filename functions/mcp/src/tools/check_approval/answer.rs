//! What the agent reads, and what it does now.

use sayso_cloud::StoredApproval;
use sayso_model::wire::{CheckApprovalResult, CheckedStatus};
use sayso_model::{ClosedApproval, Outcome, Timestamp, UndeliveredCause, come_back_after, to_the_second};

/// Nobody has answered, and somebody still may.
pub(super) fn open(stored: &StoredApproval, now: Timestamp) -> CheckApprovalResult {
    let request = &stored.request;
    let (approval_id, closes_at) = (request.id, request.closes_at);
    if let Some(report) = stored.undelivered() {
        let status = CheckedStatus::Undeliverable { closes_at, mail_sent: false, cause: report.cause };
        return CheckApprovalResult { approval_id, status, next: when_undelivered(report.cause).to_owned() };
    }
    let mail_sent = stored.is_mailed();
    let next = if mail_sent {
        "Nobody has answered yet. Do not act. Call check_approval again: it waits for the answer. If you have other work \
         that does not depend on this, do that first."
    } else {
        "Nobody has answered yet, and it is not certain that the approver got the mail. Do not act. Call \
         request_approval again with the same tool and arguments: it sends the mail if it was not sent."
    };
    let (age, left) = (request.created_at.until(now), now.until(closes_at));
    let (open_for, closes_in) = (to_the_second(age), to_the_second(left));
    let retry_after_seconds = come_back_after(age).min(left).as_secs().max(1);
    let next = format!(
        "{next} It has been open for {open_for}, and {closes_in} are left. Without a wait, check again in {retry_after_seconds} s."
    );
    let status = CheckedStatus::Pending { closes_at, mail_sent, open_for, closes_in, retry_after_seconds };
    CheckApprovalResult { approval_id, status, next }
}

/// As many checks wait as may: this one returned at once.
pub(super) fn not_waited(answer: CheckApprovalResult, waiting: u32) -> CheckApprovalResult {
    let CheckApprovalResult { approval_id, mut status, next } = answer;
    if let CheckedStatus::Pending { retry_after_seconds, .. } = &mut status {
        *retry_after_seconds = 30;
    }
    let next = format!(
        "{waiting} of your checks are waiting already, the most that your operator allows, so this one did not wait. {next}"
    );
    CheckApprovalResult { approval_id, status, next }
}

/// The outcome is recorded.
pub(super) fn closed(closed: &ClosedApproval, now: Timestamp) -> CheckApprovalResult {
    let ClosedApproval { request, outcome } = closed;
    let token_expires_at = outcome.at().plus(request.token_lifetime.duration());
    let status = match outcome {
        Outcome::Approved { decision, token } => CheckedStatus::Approved {
            decided_at: decision.at,
            proven_by: decision.proven_by.to_string(),
            note: decision.note.clone(),
            approval_token: token.clone(),
            token_expires_at,
        },
        Outcome::Denied(decision) => CheckedStatus::Denied {
            decided_at: decision.at,
            proven_by: decision.proven_by.to_string(),
            note: decision.note.clone(),
        },
        Outcome::Expired { .. } => CheckedStatus::Expired,
        Outcome::Withdrawn { .. } => CheckedStatus::Withdrawn,
    };
    let next = next_when(outcome, token_expires_at, now);
    CheckApprovalResult { approval_id: request.id, status, next }
}

/// What an agent whose approver was not reached does now.
pub(in crate::tools) fn when_undelivered(cause: UndeliveredCause) -> &'static str {
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
             request_approval: the person who got this request's mail must not decide about it."
        }
        UndeliveredCause::Reject => {
            "The mail service took the mail for malware and did not deliver it: nobody has been asked. Do not act, and do not \
             wait. Tell the user and your operator. Call withdraw_approval; if the action can be written in another form, ask \
             for that."
        }
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
