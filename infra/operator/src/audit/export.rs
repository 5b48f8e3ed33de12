use std::collections::BTreeMap;
use std::path::Path;

use sayso_cloud::{Audited, Signer};
use sayso_model::audit::{
    Chain, CorruptRow, Fact, Header, Kind, LineDigest, Range, SETTLING, Verified, Verifier,
};
use sayso_model::{GateMasks, Timestamp};
use serde_json::json;

use super::file::{Whole, named, read};
use super::keys::{key_ids, keys_in};
use super::{in_json, in_words};
use crate::arguments::Export;
use crate::connection::Deployment;
use crate::outcome::{Report, Stopped};
use crate::terminal::{complain, count};

pub(super) async fn export(to: &Deployment, wanted: &Export, now: Timestamp) -> Result<Report, Stopped> {
    let mut file = Whole::begin(&wanted.output)?;
    let issuer = to.need_issuer()?.clone();
    let signer = to.audit_signer().await?;
    let before = wanted.previous.as_deref().map(|path| previous(to, path, wanted, &signer)).transpose()?;
    let range = range(wanted, before.as_ref(), now)?;
    let mut keys = to.published_keys(&issuer).await?;
    keys.keys.extend(keys_in(&wanted.issuer_keys)?);
    let audited = to.store_under(keys.clone()).audited(range, now).await?;
    let masks = to.registry.masks().await?;
    let previous = before.map(|before| before.head);
    let mut verifier = Verifier::new(vec![signer.public_key().id()], Some(issuer.clone()), Some(keys));
    let header = Header { table: to.table.clone(), issuer, range, previous };
    let head = write(&mut file, &mut verifier, header, masks, &audited, &signer, now).await?;
    must_hold(&verifier.end_of_file(false))?;
    file.end()?;
    Ok(report(wanted, range, &audited, head, &signer))
}

/// The export that this one continues.
struct Before {
    head: LineDigest,
    ends: Timestamp,
}

/// Refuses to leave behind an export that `verify` would refuse.
fn must_hold(verified: &Verified) -> Result<(), Stopped> {
    let Some(finding) = verified.findings.first() else { return Ok(()) };
    Err(Stopped::not_done(format!(
        "nothing was written: `audit verify` would refuse this export (line {}: {}). Somebody may have written to the table: look up the approval of that entry with `approvals show`",
        finding.line, finding.problem
    )))
}

/// Reads the previous export. It must be complete, of this deployment, and signed by the current key or one that is named. Its
/// tokens are not verified here: `verify` does that, with the keys of their time.
fn previous(to: &Deployment, path: &Path, wanted: &Export, signer: &Signer) -> Result<Before, Stopped> {
    let trusted = [vec![signer.public_key().id()], key_ids(&wanted.key)?].concat();
    let mut verifier = Verifier::new(trusted, Some(to.need_issuer()?.clone()), None);
    let verified = read(path, &mut verifier)?;
    let refuse = |why: String| Stopped::not_done(format!("{} cannot be continued: {why}", named(path)));
    if let Some(finding) = verified.findings.first() {
        return Err(refuse(format!("line {}: {}", finding.line, finding.problem)));
    }
    match (verified.header, verified.head) {
        (Some(header), Some(head)) if header.table == to.table => {
            Ok(Before { head, ends: header.range.to() })
        }
        _ => Err(refuse("it is an export of another table".to_owned())),
    }
}

fn range(wanted: &Export, before: Option<&Before>, now: Timestamp) -> Result<Range, Stopped> {
    let settled = now.minus(SETTLING);
    let from = match (wanted.from, before) {
        (Some(from), Some(before)) if from != before.ends => {
            let ends = before.ends;
            return Err(Stopped::usage(format!(
                "--previous ends at {ends}, where this export must begin: leave --from out"
            )));
        }
        (from, before) => from.or(before.map(|before| before.ends)),
    };
    let to = wanted.to.unwrap_or(settled);
    if to > settled {
        return Err(Stopped::usage(format!(
            "--to may be {settled} at the latest: entries of the last ten minutes may still be incomplete"
        )));
    }
    Range::new(from, to).map_err(Stopped::usage)
}

async fn write(
    file: &mut Whole<'_>,
    verifier: &mut Verifier,
    header: Header,
    masks: GateMasks,
    audited: &Audited,
    signer: &Signer,
    now: Timestamp,
) -> Result<LineDigest, Stopped> {
    let mut put = |line: &str| {
        verifier.line(line.as_bytes());
        file.line(line)
    };
    let (mut chain, first) = Chain::begin(header, masks);
    put(&first)?;
    for fact in &audited.facts {
        put(&chain.fact(fact))?;
    }
    for row in &audited.corrupt {
        put(&chain.corrupt(row))?;
    }
    let unsigned = chain.end(now, signer.public_key());
    let signature = signer.sign(unsigned.digest()).await?;
    let head = unsigned.signed(&signature);
    put(&head)?;
    Ok(LineDigest::of(head.as_bytes()))
}

fn report(wanted: &Export, range: Range, audited: &Audited, head: LineDigest, signer: &Signer) -> Report {
    let entries = counted(&audited.facts, &audited.corrupt);
    let total = audited.facts.len() + audited.corrupt.len();
    let (file, key) = (named(&wanted.output), signer.public_key().id());
    if !audited.corrupt.is_empty() {
        complain(&format!(
            "{} failed verification, exported as `corrupt`: find out who can write to the table",
            count(audited.corrupt.len(), "row")
        ));
    }
    let from = range.from().map_or("the beginning".to_owned(), |from| from.to_string());
    let entries_in_words = if total == 1 { "1 entry".to_owned() } else { format!("{total} entries") };
    let text = format!(
        "Exported {entries_in_words} ({}) from {from} until {} into {file}.\n\
         Its head is signed by key {key}. Keep the file and this digest: {head}\n",
        in_words(&entries),
        range.to(),
    );
    let json = json!({
        "file": wanted.output.display().to_string(),
        "from": range.from().map(|from| from.to_string()),
        "to": range.to().to_string(),
        "entries": total,
        "kinds": in_json(&entries),
        "corrupt": audited.corrupt.len(),
        "head": head.to_string(),
        "key_id": key.to_string(),
    });
    Report::done(text, json)
}

fn counted(facts: &[Fact], corrupt: &[CorruptRow]) -> Vec<(Kind, u64)> {
    let kinds = facts.iter().map(Fact::kind).chain(corrupt.iter().map(|_| Kind::Corrupt));
    let mut entries = BTreeMap::new();
    for kind in kinds {
        *entries.entry(kind).or_default() += 1;
    }
    entries.into_iter().collect()
}
