//! `audit`: exports what happened to files that outlive the table, verifies them, and prints the key for that.

mod export;
mod file;
mod keys;
mod verify;

use sayso_model::audit::Kind;
use sayso_model::token::Jwks;
use serde_json::{Value, json};

use crate::arguments::{Audits, Connection};
use crate::connection::{Deployment, audit_signer};
use crate::outcome::{Report, Stopped};

pub(crate) async fn run(audits: &Audits, connection: &Connection) -> Result<Report, Stopped> {
    match audits {
        Audits::Export(wanted) => {
            let deployment = Deployment::connect(connection).await?;
            let now = deployment.clock.now();
            export::export(&deployment, wanted, now).await
        }
        Audits::Verify(wanted) => verify::verify(wanted, connection).await,
        Audits::Keys => keys(connection).await,
    }
}

/// Prints JSON with or without `--json`: it is meant for a file.
async fn keys(connection: &Connection) -> Result<Report, Stopped> {
    let keys = json!(Jwks::of(audit_signer(connection).await?.public_key()));
    Ok(Report::done(format!("{keys:#}\n"), keys))
}

/// How many entries of each kind, in the order of kinds: `3 request, 1 outcome`.
fn in_words(entries: &[(Kind, u64)]) -> String {
    let words: Vec<_> = entries.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

fn in_json(entries: &[(Kind, u64)]) -> Value {
    entries.iter().map(|(kind, count)| (kind.to_string(), Value::from(*count))).collect()
}
