//! Lists and shows requests. Links, secrets and tokens are never shown, nor read here, except a token's signature, which proves
//! an approval. An address is shown only if its mail came back, and is masked by default.

use sayso_cloud::RecordedApproval;
use sayso_model::passkey::CredentialId;
use sayso_model::{
    Approval, ApprovalId, EmailAddress, Masks, NoticeState, Outcome, Request, Status, Timestamp, Undelivered,
    masked_arguments, shown_arguments,
};
use serde_json::{Value, json};

use crate::arguments::Wanted;
use crate::connection::Deployment;
use crate::outcome::{Report, Stopped};
use crate::terminal::{block, complain, fields, marked, one_line, table};

/// Replaces a value that the operator has named. Where a text has these brackets, they are named.
const MASK: &str = "⟨masked⟩";

/// An approval's status, for the operator.
struct Standing {
    status: &'static str,
    ended_at: Option<Timestamp>,
    proven_by: Option<&'static str>,
    /// The label of the passkey that proved it.
    passkey: Option<String>,
    note: Option<String>,
    /// Why the row is corrupt.
    problem: Option<String>,
}

impl Standing {
    fn of(recorded: &RecordedApproval, now: Timestamp) -> Self {
        let open = |status| Self {
            status,
            ended_at: None,
            proven_by: None,
            passkey: None,
            note: None,
            problem: None,
        };
        match recorded.stored.judge(now) {
            Ok(Approval::Open(_)) => open(recorded.stored.open_status().as_str()),
            // Its expiry is not recorded yet.
            Ok(Approval::Overdue(overdue)) => Self::ended(&overdue.expire().outcome),
            Ok(Approval::Closed(closed)) => Self::ended(&closed.outcome),
            Err(failure) => Self { problem: Some(failure.to_string()), ..open("corrupt") },
        }
    }

    fn ended(outcome: &Outcome) -> Self {
        let decision = outcome.decision();
        Self {
            status: outcome.status().as_str(),
            ended_at: Some(outcome.at()),
            proven_by: decision.map(|decision| decision.proven_by.as_str()),
            passkey: decision.and_then(|d| d.passkey.as_ref()).map(CredentialId::label),
            note: decision.and_then(|d| d.note.as_ref()).map(|note| note.as_str().to_owned()),
            problem: None,
        }
    }
}

pub(crate) async fn list(to: &Deployment, wanted: &Wanted, now: Timestamp) -> Result<Report, Stopped> {
    let recorded = to.store().await?.recorded(now).await?;
    for failure in &recorded.corrupt {
        complain(&format!("left out: {failure}"));
    }
    let all = recorded.approvals.iter().map(|approval| (approval, Standing::of(approval, now)));
    let chosen: Vec<_> = all
        .filter(|(approval, standing)| {
            let agent = &approval.stored.request.agent;
            (!wanted.open || Status::parse(standing.status).is_ok_and(Status::is_open))
                && wanted.agent.as_ref().is_none_or(|wanted| wanted == agent)
        })
        .collect();
    let rows: Vec<_> = chosen
        .iter()
        .map(|(approval, standing)| {
            let Request { id, agent, audience, action, summary, created_at, .. } = &*approval.stored.request;
            let summary = one_line(summary.as_str());
            let status = status_in_short(standing, approval);
            [
                id.to_string(),
                created_at.to_string(),
                agent.to_string(),
                audience.to_string(),
                action.tool.to_string(),
                status,
                summary,
            ]
        })
        .collect();
    let text = if rows.is_empty() {
        "There are no such requests.\n".to_owned()
    } else {
        table(["APPROVAL", "ASKED", "AGENT", "GATE", "TOOL", "STATUS", "IN THE AGENT'S WORDS"], &rows)
    };
    let listed: Vec<_> = chosen.iter().map(|(approval, standing)| in_short(approval, standing)).collect();
    Ok(Report::done(text, json!({"approvals": listed, "left_out": recorded.corrupt.len()})))
}

fn status_in_short(standing: &Standing, approval: &RecordedApproval) -> String {
    let used = if approval.redemption.is_some() { ", used" } else { "" };
    format!("{}{used}", standing.status)
}

pub(crate) async fn show(
    to: &Deployment,
    id: ApprovalId,
    addresses: bool,
    unmasked: bool,
    now: Timestamp,
) -> Result<Report, Stopped> {
    let recorded = to.store().await?.recorded_approval(id, now).await?.ok_or_else(|| {
        Stopped::not_done(format!(
            "there is no approval {id}, or it is past its retention: `sayso approvals list` shows the others"
        ))
    })?;
    let gate = to.registry.gate(&recorded.stored.request.audience).await?;
    let masks = gate.filter(|_| !unmasked).map_or(Masks::NONE, |gate| gate.masks);
    let standing = Standing::of(&recorded, now);
    let text = for_people(&recorded, &standing, &masks, addresses);
    Ok(Report::done(text, in_full(&recorded, &standing, &masks, addresses)))
}

fn for_people(recorded: &RecordedApproval, standing: &Standing, masks: &Masks, addresses: bool) -> String {
    let request = &recorded.stored.request;
    let at = standing.ended_at.map(|at| format!(" at {at}")).unwrap_or_default();
    let passkey = standing.passkey.as_ref().map(|label| format!(" {label}")).unwrap_or_default();
    let proven = standing.proven_by.map(|by| format!(", proven by {by}{passkey}")).unwrap_or_default();
    let used = recorded.redemption.as_ref().map_or("no".to_owned(), |receipt| {
        format!("at {}, by the gate {}", receipt.redeemed_at, one_line(receipt.gate.as_str()))
    });
    let mut text = fields(&[
        ("Approval", request.id.to_string()),
        ("Status", format!("{}{at}{proven}", standing.status)),
        ("Used", used),
        ("Agent", request.agent.to_string()),
        ("Approver", request.approver.to_string()),
        ("Gate", request.audience.to_string()),
        ("Asked", request.created_at.to_string()),
        ("Closes", request.closes_at.to_string()),
        ("Mail", mail(recorded, addresses)),
        ("Tool", request.action.tool.to_string()),
        ("Digest", request.action.digest().to_string()),
    ]);
    let shown = shown_arguments(&request.action.arguments, masks, |_| false, MASK);
    let all = if shown.masked > 0 { " (--unmasked shows all of them)" } else { "" };
    text.push_str(&format!("Arguments{all}\n{}", marked(&shown.text)));
    let mut section = |title: &str, words: Option<&str>| {
        if let Some(words) = words {
            text.push_str(&format!("{title}\n{}", block(words)));
        }
    };
    section("In the agent's words", Some(request.summary.as_str()));
    section("Why, in the agent's words", request.reason.as_ref().map(|reason| reason.as_str()));
    section("The approver's note", standing.note.as_deref());
    section("Why this row is corrupt", standing.problem.as_deref());
    text
}

/// Whether the mail service accepted the mail, and whether it came back.
fn mail(recorded: &RecordedApproval, addresses: bool) -> String {
    if let Some(report) = recorded.stored.undelivered() {
        let Undelivered { address, cause, at, .. } = report;
        return format!("came back from {} at {at} ({})", shown(address, addresses), cause.as_str());
    }
    let state = match recorded.stored.notice.as_ref().map(|notice| &notice.state) {
        Some(NoticeState::Accepted { .. }) => "accepted by the mail service",
        Some(NoticeState::Failed) => "not accepted: the agent's next request sends it again",
        Some(NoticeState::Sending { .. }) | None => "being sent, or the call that was sending it died",
    };
    state.to_owned()
}

fn shown(address: &EmailAddress, addresses: bool) -> String {
    if addresses { address.expose().to_owned() } else { address.masked() }
}

fn in_short(recorded: &RecordedApproval, standing: &Standing) -> Value {
    let request = &recorded.stored.request;
    json!({
        "approval_id": request.id.to_string(),
        "status": standing.status,
        "agent": request.agent.as_str(),
        "approver": request.approver.as_str(),
        "gate": request.audience.as_str(),
        "tool": request.action.tool.as_str(),
        "summary": request.summary.as_str(),
        "asked_at": request.created_at.to_string(),
        "closes_at": request.closes_at.to_string(),
        "ended_at": standing.ended_at.map(|at| at.to_string()),
        "proven_by": standing.proven_by,
        "passkey": standing.passkey,
        "used_at": recorded.redemption.as_ref().map(|receipt| receipt.redeemed_at.to_string()),
        "used_by": recorded.redemption.as_ref().map(|receipt| receipt.gate.as_str()),
    })
}

fn in_full(recorded: &RecordedApproval, standing: &Standing, masks: &Masks, addresses: bool) -> Value {
    let request = &recorded.stored.request;
    let mut json = in_short(recorded, standing);
    json["digest"] = request.action.digest().to_string().into();
    // The canonical text itself: a parser could change a number in it.
    let (arguments, masked) = masked_arguments(&request.action.arguments, masks);
    json["arguments"] = arguments.into();
    json["masked"] = masked.into();
    json["reason"] = request.reason.as_ref().map(|reason| reason.as_str()).into();
    json["note"] = standing.note.as_deref().into();
    json["mail"] = mail(recorded, addresses).into();
    let undelivered = recorded.stored.undelivered.iter().map(|report| {
        json!({
            "address": shown(&report.address, addresses),
            "cause": report.cause.as_str(),
            "at": report.at.to_string(),
        })
    });
    json["undelivered"] = undelivered.collect();
    json["problem"] = standing.problem.as_deref().into();
    json
}
