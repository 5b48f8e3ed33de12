//! Cross-checks all entries about one approval. The audit key proves only who wrote the export. That something was approved is
//! proven by the approval token, which another key signed. It attests only facts that are told once and in order.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::Header;
use super::fact::{Kind, no_longer_accepted};
use super::lines::Entry;
use crate::token::{self, ApprovalToken, Claims, DETAIL_TYPE, Jwks, LEEWAY_SECONDS, verify_jws};
use crate::{Action, ApprovalId, CanonicalJson, MASKED, ProvenBy, Timestamp, TokenLifetime, ToolName};

#[derive(Deserialize)]
struct AskedJson {
    agent: String,
    approver: String,
    audience: String,
    tool: String,
    arguments: String,
    digest: String,
    token_lifetime_seconds: u64,
    #[serde(default)]
    masked: Vec<String>,
}

#[derive(Deserialize)]
struct EndedJson {
    outcome: String,
    proven_by: Option<String>,
    token_sha256: Option<String>,
}

#[derive(Deserialize)]
struct TokenEntry {
    token: String,
}

#[derive(Deserialize)]
struct UsedJson {
    tool: String,
    digest: String,
    proven_by: String,
}

const SHAPE: &str = "its fact does not have the members that such a fact has";
const OTHER: &str = "its token is for another approval than the export says";
const USED_OTHERWISE: &str = "what was used is not what was asked and approved";

/// The longest lifetime of a token. It is used if the export does not have the request.
const MAX_TOKEN_LIFETIME: Duration = Duration::from_secs(86_400);

/// SHA-256 over texts, each with its length. They are only compared, and hashes take less memory.
type Fingerprint = [u8; 32];

fn fingerprint(texts: &[&str]) -> Fingerprint {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(text);
    }
    hash.finalize().into()
}

/// What the entries have told about one approval, over all files. Nothing is told twice.
#[derive(Default)]
struct Told {
    asked: Option<RequestEntry>,
    ended: Option<OutcomeEntry>,
    /// Whether its token was told.
    token: bool,
    redeemed: Option<Redeemed>,
}

struct RequestEntry {
    /// The agent, the gate's audience and the approver.
    between: Fingerprint,
    /// The tool and the digest.
    action: Fingerprint,
    token_lifetime: Duration,
}

enum OutcomeEntry {
    Approved { at: Timestamp, proven_by: ProvenBy, token: Fingerprint },
    Otherwise,
}

struct Redeemed {
    action: Fingerprint,
    proven_by: ProvenBy,
}

impl Redeemed {
    /// Whether it agrees with what else is known.
    fn fits(&self, asked: Option<&RequestEntry>, ended: Option<&OutcomeEntry>) -> bool {
        asked.is_none_or(|asked| asked.action == self.action)
            && match ended {
                Some(OutcomeEntry::Approved { proven_by, .. }) => *proven_by == self.proven_by,
                Some(OutcomeEntry::Otherwise) => false,
                None => true,
            }
    }
}

/// What the entries so far have told about approvals: some hundred bytes for each.
pub(super) struct Tokens {
    /// With `None`, no signature is checked.
    keys: Option<Jwks>,
    /// The start of the first export; `None` is the beginning of everything.
    since: Option<Timestamp>,
    told: HashMap<ApprovalId, Told>,
    /// The approvals whose token is still missing, and the time from which it may be told.
    due: BTreeMap<ApprovalId, Timestamp>,
    /// How many approved requests there were.
    pub(super) approvals: u64,
    /// How many tokens were valid.
    pub(super) attested: u64,
    /// How many requests do not show all their arguments.
    pub(super) masked: u64,
}

/// Whether there is a masked value at each of these places.
fn are_masked(arguments: &CanonicalJson, pointers: &[String]) -> bool {
    // This rounds large numbers, but a masked value is a string.
    let value: Value = serde_json::from_str(arguments.as_str()).unwrap_or_default();
    pointers.iter().all(|pointer| match &**pointer {
        "" => arguments.as_str() == "{}",
        pointer => value.pointer(pointer).and_then(Value::as_str) == Some(MASKED),
    })
}

impl Tokens {
    pub(super) fn new(keys: Option<Jwks>) -> Self {
        Self {
            keys,
            since: None,
            told: HashMap::new(),
            due: BTreeMap::new(),
            approvals: 0,
            attested: 0,
            masked: 0,
        }
    }

    /// Sets the start of the first export. A request made after it must be told before anything else about its approval.
    pub(super) fn begin(&mut self, since: Option<Timestamp>) {
        self.since = since;
    }

    /// The approvals whose token should have been told before `to`, but was not. Nothing attests them.
    pub(super) fn overdue(&mut self, to: Timestamp) -> Vec<ApprovalId> {
        if self.keys.is_none() {
            return Vec::new();
        }
        let overdue: Vec<_> = self.due.iter().filter(|(_, due)| **due < to).map(|(id, _)| *id).collect();
        self.due.retain(|_, due| *due >= to);
        overdue
    }

    /// Checks an entry against what else was told about its approval. The error says what is wrong.
    pub(super) fn check(&mut self, entry: &Entry, header: Option<&Header>) -> Result<(), &'static str> {
        let (Some(at), Some(id)) = (entry.at, entry.id) else { return Ok(()) };
        match entry.kind {
            Kind::Request => self.asked(entry, id),
            Kind::Outcome => self.ended(entry, at, id),
            Kind::Token => self.shown(entry, at, id, header),
            Kind::Redemption => self.used(entry, id),
            Kind::Undelivered | Kind::Mail | Kind::Corrupt => Ok(()),
        }
    }

    fn asked(&mut self, entry: &Entry, id: ApprovalId) -> Result<(), &'static str> {
        let told = self.told.entry(id).or_default();
        if told.asked.is_some() {
            return Err("what was asked was told before");
        }
        if told.ended.is_some() || told.token || told.redeemed.is_some() {
            return Err("what was asked is told after what became of it");
        }
        let json: AskedJson = shaped(entry)?;
        let canonical = CanonicalJson::parse(&json.arguments).ok();
        let canonical = canonical.filter(|canonical| canonical.as_str() == json.arguments);
        let arguments = canonical.ok_or("its arguments are not in the canonical form")?;
        let tool = ToolName::parse(&json.tool).map_err(|_| SHAPE)?;
        if json.masked.is_empty() {
            if (Action { tool, arguments }).digest().to_string() != json.digest {
                return Err("its digest is not that of its tool and arguments");
            }
        } else if !are_masked(&arguments, &json.masked) {
            return Err("its arguments are not masked where it says so");
        } else {
            // The values are missing, so the digest cannot be checked here. Only the token attests it.
            self.masked += 1;
        }
        let lifetime = TokenLifetime::from_seconds(json.token_lifetime_seconds).map_err(|_| SHAPE)?;
        told.asked = Some(RequestEntry {
            between: fingerprint(&[&format!("agent:{}", json.agent), &json.audience, &json.approver]),
            action: fingerprint(&[&json.tool, &json.digest]),
            token_lifetime: lifetime.duration(),
        });
        Ok(())
    }

    fn ended(&mut self, entry: &Entry, at: Timestamp, id: ApprovalId) -> Result<(), &'static str> {
        let known = self.must_be_known(id);
        let told = self.told.entry(id).or_default();
        // Otherwise an approval without a token could be told again each day, and the token would never be missed.
        if told.ended.is_some() {
            return Err("how it ended was told before");
        }
        if told.token {
            return Err("how it ended is told after its token");
        }
        let EndedJson { outcome, proven_by, token_sha256 } = shaped(entry)?;
        let ended = match outcome.as_str() {
            "approved" => {
                let proven_by = proven_by.as_deref().unwrap_or_default();
                let proven_by = ProvenBy::parse(proven_by).map_err(|_| SHAPE)?;
                let lifetime = told.asked.as_ref().map_or(MAX_TOKEN_LIFETIME, |asked| asked.token_lifetime);
                self.due.insert(id, no_longer_accepted(at, lifetime));
                self.approvals += 1;
                OutcomeEntry::Approved { at, proven_by, token: fingerprint(&[&token_sha256.ok_or(SHAPE)?]) }
            }
            "denied" | "expired" | "withdrawn" => OutcomeEntry::Otherwise,
            _ => return Err(SHAPE),
        };
        let ended = told.ended.insert(ended);
        // With two clocks a second apart, the redemption may come first.
        if told.redeemed.as_ref().is_some_and(|redeemed| !redeemed.fits(None, Some(ended))) {
            return Err(USED_OTHERWISE);
        }
        known
    }

    fn shown(
        &mut self,
        entry: &Entry,
        at: Timestamp,
        id: ApprovalId,
        header: Option<&Header>,
    ) -> Result<(), &'static str> {
        let known = self.must_be_known(id);
        let told = self.told.entry(id).or_default();
        if std::mem::replace(&mut told.token, true) {
            return Err("its token was told before");
        }
        self.due.remove(&id);
        let token = ApprovalToken::from_text(&shaped::<TokenEntry>(entry)?.token);
        match &told.ended {
            Some(OutcomeEntry::Approved { token: expected, .. })
                if *expected != fingerprint(&[&token.sha256()]) =>
            {
                return Err("it is not the token whose digest the outcome has");
            }
            Some(OutcomeEntry::Otherwise) => return Err(OTHER),
            _ => {}
        }
        let Some(keys) = &self.keys else { return known };
        let claims: Claims = verify_jws(token.expose(), token::TYPE, keys)
            .map_err(|_| "its token is not signed by a key of the issuer that you gave")?;
        let of_this = claims.jti == id.to_string()
            && header.is_some_and(|header| claims.iss == header.issuer.as_str())
            && claims.exp.saturating_add(LEEWAY_SECONDS) == at.as_unix_seconds();
        if !(of_this && permits(&claims, told)) {
            return Err(OTHER);
        }
        self.attested += 1;
        known
    }

    fn used(&mut self, entry: &Entry, id: ApprovalId) -> Result<(), &'static str> {
        let told = self.told.entry(id).or_default();
        if told.redeemed.is_some() {
            return Err("that it was used was told before");
        }
        let json: UsedJson = shaped(entry)?;
        let proven_by = ProvenBy::parse(&json.proven_by).map_err(|_| SHAPE)?;
        let action = fingerprint(&[&json.tool, &json.digest]);
        let redeemed = told.redeemed.insert(Redeemed { action, proven_by });
        let fits = redeemed.fits(told.asked.as_ref(), told.ended.as_ref());
        if fits { Ok(()) } else { Err(USED_OTHERWISE) }
    }

    /// A token attests a request, so the request must have been told, unless it was made before the first export.
    fn must_be_known(&self, id: ApprovalId) -> Result<(), &'static str> {
        let known = self.told.get(&id).is_some_and(|told| told.asked.is_some());
        if known || self.since.is_some_and(|since| id.made_at() < since) {
            return Ok(());
        }
        Err("what was asked is missing: nothing tells what became of what")
    }
}

fn permits(claims: &Claims, told: &Told) -> bool {
    let [detail] = &claims.authorization_details;
    let as_asked = told.asked.as_ref().is_none_or(|asked| {
        asked.between == fingerprint(&[&claims.sub, &claims.aud, &claims.approver])
            && asked.action == fingerprint(&[&detail.tool, &detail.digest])
    });
    let as_decided = match &told.ended {
        Some(OutcomeEntry::Approved { at, proven_by, .. }) => {
            claims.auth_time == at.as_unix_seconds() && claims.amr == proven_by.amr()
        }
        _ => true,
    };
    detail.r#type == DETAIL_TYPE && as_asked && as_decided
}

fn shaped<'a, T: Deserialize<'a>>(entry: &'a Entry) -> Result<T, &'static str> {
    T::deserialize(&entry.fact).map_err(|_| SHAPE)
}
