use std::path::Path;

use sayso_model::audit::{Verified, Verifier};
use sayso_model::token::{Issuer, Jwks, KeyId};
use serde_json::{Value, json};

use super::file::{named, read};
use super::keys::{key_ids, keys_in};
use super::{in_json, in_words};
use crate::arguments::{Connection, Verify};
use crate::connection::{audit_signer, issuer, published_keys, roots};
use crate::outcome::{Report, Stopped, status};
use crate::terminal::{one_line, table};

pub(super) async fn verify(wanted: &Verify, connection: &Connection) -> Result<Report, Stopped> {
    let trusted = trusted(wanted, connection).await?;
    let (issuer, tokens) = token_keys(wanted, connection).await?;
    let looked_at_tokens = tokens.is_some();
    let mut verifier = Verifier::new(trusted, issuer, tokens);
    let mut files = Vec::new();
    for path in &wanted.files {
        files.push((path.as_path(), read(path, &mut verifier)?));
    }
    let (approved, attested) = verifier.approved_and_attested();
    let tokens = looked_at_tokens.then_some(attested);
    Ok(report(&files, approved, tokens, verifier.masked()))
}

/// The keys that the operator names. The key in the file is never trusted by itself.
async fn trusted(wanted: &Verify, connection: &Connection) -> Result<Vec<KeyId>, Stopped> {
    if wanted.key.is_empty() {
        if connection.local.is_none() && connection.audit_key.is_none() {
            return Err(Stopped::usage(
                "name the key to trust: --key FILE (saved output of `sayso audit keys`), --key THUMBPRINT, or --audit-key or --local to ask the deployment",
            ));
        }
        return Ok(vec![audit_signer(connection).await?.public_key().id()]);
    }
    key_ids(&wanted.key)
}

/// The issuer of the tokens and the keys to verify them, if they are named.
async fn token_keys(
    wanted: &Verify,
    connection: &Connection,
) -> Result<(Option<Issuer>, Option<Jwks>), Stopped> {
    let issuer = issuer(connection).await?;
    if !wanted.issuer_keys.is_empty() {
        return Ok((issuer, Some(Jwks { keys: keys_in(&wanted.issuer_keys)? })));
    }
    let keys = match &issuer {
        Some(issuer) => Some(published_keys(issuer, roots(connection)?.as_ref()).await?),
        None => None,
    };
    Ok((issuer, keys))
}

fn report(files: &[(&Path, Verified)], approved: u64, tokens: Option<u64>, masked: u64) -> Report {
    let holds = files.iter().all(|(_, verified)| verified.findings.is_empty());
    let listed: Vec<_> = files.iter().map(|(path, verified)| in_full(path, verified)).collect();
    let json = json!({"holds": holds, "files": listed, "approved": approved, "tokens_verified": tokens, "masked": masked});
    let mut text = for_people(files, approved, tokens, holds);
    if holds && masked > 0 {
        text.push_str(&format!(
            "{} masked arguments: the values shown are not verified, only the digest of what was approved.\n",
            if masked == 1 { "1 request has".to_owned() } else { format!("{masked} requests have") }
        ));
    }
    Report { text, json, status: if holds { status::DONE } else { status::NOT_DONE } }
}

fn for_people(files: &[(&Path, Verified)], approved: u64, tokens: Option<u64>, holds: bool) -> String {
    let rows: Vec<_> = files.iter().map(|(path, verified)| row(path, verified)).collect();
    let mut text = table(["FILE", "FROM", "UNTIL", "HOLDS", "ENTRIES"], &rows);
    text.push('\n');
    for (path, verified) in files {
        for finding in &verified.findings {
            let place = if finding.line == 0 { String::new() } else { format!("line {}: ", finding.line) };
            text.push_str(&format!("{}: {place}{}\n", named(path), finding.problem));
        }
    }
    if !holds {
        text.push_str("Verification failed: something was removed, changed, added or reordered, or is not signed by a key you trust.\n");
        return text;
    }
    if let Some((_, Verified { header: Some(header), key: Some(key), .. })) = files.first() {
        let (table, issuer) = (one_line(&header.table), &header.issuer);
        text.push_str(&format!("Table {table}, issuer {issuer}, signed by key {key}.\n"));
        if header.previous.is_some() {
            text.push_str("It continues an export that was not given.\n");
        }
    }
    text.push_str(&match tokens {
        Some(verified) => format!(
            "Approvals: {approved}; with a token that verifies: {verified} (a token is exported when it has expired).\n"
        ),
        None => format!("Approvals: {approved}; no token was verified (use --issuer-keys or --issuer).\n"),
    });
    text.push_str("Nothing was removed, changed, added or reordered.\n");
    text
}

fn row(path: &Path, verified: &Verified) -> [String; 5] {
    let range = verified.header.as_ref().map(|header| header.range);
    let until = range.map(|range| range.to().to_string()).unwrap_or_default();
    let from = range.map_or(String::new(), |range| {
        range.from().map_or("the beginning".to_owned(), |from| from.to_string())
    });
    let holds = if verified.findings.is_empty() { "yes" } else { "NO" };
    let entries: Vec<_> = verified.entries.clone().into_iter().collect();
    [named(path), from, until, holds.to_owned(), in_words(&entries)]
}

fn in_full(path: &Path, verified: &Verified) -> Value {
    let header = verified.header.as_ref();
    let findings = verified.findings.iter();
    let findings: Vec<_> =
        findings.map(|found| json!({"line": found.line, "problem": found.problem})).collect();
    let entries: Vec<_> = verified.entries.clone().into_iter().collect();
    json!({
        "file": path.display().to_string(),
        "holds": verified.findings.is_empty(),
        "findings": findings,
        "table": header.map(|header| header.table.clone()),
        "issuer": header.map(|header| header.issuer.as_str()),
        "from": header.and_then(|header| header.range.from()).map(|from| from.to_string()),
        "to": header.map(|header| header.range.to().to_string()),
        "kinds": in_json(&entries),
        "head": verified.head.map(|head| head.to_string()),
        "key_id": verified.key.as_ref().map(ToString::to_string),
        "exported_at": verified.exported_at.map(|at| at.to_string()),
    })
}
