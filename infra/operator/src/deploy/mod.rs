//! `deploy check`: whether an account is ready for a deployment, or still is. Nothing is written: every call is a `Get`, a
//! `List` or a `Describe`, or the scan that finds who decides. What cannot be read is not taken for well.

use sayso_cloud::Aws;
use sayso_cloud::operator::Registry;
use serde_json::json;

use crate::arguments::{Check, Connection};
use crate::connection;
use crate::outcome::{Report, Stopped};

mod account;
mod concurrency;
mod finding;
mod mail;
mod table;

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
    concurrency::look(&aws, check.reserve, &mut findings).await;
    if let Some(registry) = &registry {
        table::look(registry, &mut findings).await;
    }
    Ok(findings.into_report(region(&aws)))
}

fn region(aws: &Aws) -> &str {
    aws.config().region().map_or("", AsRef::as_ref)
}

fn nothing_to_check() -> Report {
    let text = "A local host needs nothing of AWS: `sayso --local doctor` tries it from end to end.\n";
    Report::done(text.to_owned(), json!({"ready": true, "checks": []}))
}
