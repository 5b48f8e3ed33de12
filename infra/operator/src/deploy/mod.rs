//! `deploy`: checks whether an account is ready for a deployment, and tests a deployment in it.
//!
//! `deploy check` works before and after a deployment. It writes nothing: every call is a `Get`, a `List` or a `Describe`, or
//! the scan that finds the approvers. What cannot be read counts as failed.

use sayso_cloud::Aws;
use sayso_cloud::operator::Registry;
use sayso_model::Limits;
use serde_json::json;

use crate::arguments::{Check, Connection};
use crate::connection;
use crate::outcome::{Report, Stopped};

mod account;
mod concurrency;
mod finding;
mod front_door;
mod mail;
mod smoke;
mod table;

pub(crate) use smoke::smoke;

use finding::Findings;

pub(crate) async fn check(connection: &Connection, check: &Check) -> Result<Report, Stopped> {
    if connection.local.is_some() {
        return Ok(nothing_to_check());
    }
    let sender = check.sender.as_ref().ok_or_else(|| {
        Stopped::usage("say who mails come from: --sender EMAIL (the stack's parameter SenderEmail)")
    })?;
    let aws = connection::account(connection).await?;
    let registry = connection.table.clone().map(|table| Registry::new(aws.dynamodb(), table));
    let mut findings = Findings::default();
    account::look(&aws, &mut findings).await;
    mail::look(&aws, sender, &check.approver, registry.as_ref(), &mut findings).await;
    concurrency::look(&aws, check.reserve, check.waits_per_agent, &mut findings).await;
    limits(check, &mut findings);
    if let Some(registry) = &registry {
        table::look(registry, &mut findings).await;
    }
    Ok(findings.into_report(region(&aws)))
}

/// Whether one agent can use up its approver's mails, so that the requests of others are not mailed.
fn limits(check: &Check, findings: &mut Findings) {
    const CHECK: &str = "limits";
    let limits =
        Limits { requests: check.requests_per_agent, mails: check.mails_per_approver, ..Limits::default() };
    let found = format!(
        "an agent may make {} requests an hour, an approver gets {}",
        limits.requests.get(),
        limits.mails.get()
    );
    if limits.lets_one_agent_fill_an_hour() {
        let advice = format!(
            "lower RequestsPerAgentPerHour well below {}, or raise MailsPerApproverPerHour: one agent can use up its approver's hourly limit, except the part reserved for other agents",
            limits.mails.shared()
        );
        return findings.attention(CHECK, found, advice);
    }
    findings.well(CHECK, found);
}

fn region(aws: &Aws) -> &str {
    aws.config().region().map_or("", AsRef::as_ref)
}

fn nothing_to_check() -> Report {
    let text = "These checks need AWS. For a local host run `sayso --local doctor`.\n";
    Report::done(text.to_owned(), json!({"ready": true, "checks": []}))
}
