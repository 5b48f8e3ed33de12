//! What the entries say of one approval, against each other and against its token. What the audit key signed is what its
//! holder wrote; that something was approved is what another key signed, and it attests only what is told once, and in order.

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
struct Shown {
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

/// The longest that a token is valid, as far as an export without its request tells.
const LONGEST: Duration = Duration::from_secs(86_400);

/// SHA-256 over texts, each with its length: they are compared and never shown, and take less room so.
type Fingerprint = [u8; 32];

fn fingerprint(texts: &[&str]) -> Fingerprint {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(text);
    }
    hash.finalize().into()
}

/// What was told of one approval, over all files. Nothing of it is told twice.
#[derive(Default)]
struct Told {
    asked: Option<Asked>,
    ended: Option<Ended>,
    /// Whether its token was.
    token: bool,
    redeemed: Option<Redeemed>,
}

struct Asked {
    /// Who asked whom, and for which gate.
    between: Fingerprint,
    /// The tool and the digest.
    action: Fingerprint,
    token_lifetime: Duration,
}

enum Ended {
    Approved { at: Timestamp, proven_by: ProvenBy, token: Fingerprint },
    Otherwise,
}

struct Redeemed {
    action: Fingerprint,
    proven_by: ProvenBy,
}

impl Redeemed {
    /// As far as the rest is known.
    fn fits(&self, asked: Option<&Asked>, ended: Option<&Ended>) -> bool {
        asked.is_none_or(|asked| asked.action == self.action)
            && match ended {
                Some(Ended::Approved { proven_by, .. }) => *proven_by == self.proven_by,
                Some(Ended::Otherwise) => false,
                None => true,
            }
    }
}

/// What the entries so far have said of approvals: some hundred bytes for each.
pub(super) struct Tokens {
    /// None looks at no signature.
    keys: Option<Jwks>,
    /// From when on everything was told; none is the beginning.
    since: Option<Timestamp>,
    told: HashMap<ApprovalId, Told>,
    /// From when on a token that is still to come may be told.
    due: BTreeMap<ApprovalId, Timestamp>,
    /// How many approvals there were.
    pub(super) approvals: u64,
    /// How many tokens were found to hold.
    pub(super) attested: u64,
    /// How many requests do not show all their arguments.
    pub(super) masked: u64,
}

/// Whether something stands masked at each of these places.
fn are_masked(arguments: &CanonicalJson, pointers: &[String]) -> bool {
    // It rounds large numbers, which are no texts.
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

    /// The first export begins here: what was asked from then on must be told before anything else of it.
    pub(super) fn begin(&mut self, since: Option<Timestamp>) {
        self.since = since;
    }

    /// The approvals whose token should have been told before `to`, and was not: nothing attests them.
    pub(super) fn overdue(&mut self, to: Timestamp) -> Vec<ApprovalId> {
        if self.keys.is_none() {
            return Vec::new();
        }
        let overdue: Vec<_> = self.due.iter().filter(|(_, due)| **due < to).map(|(id, _)| *id).collect();
        self.due.retain(|_, due| *due >= to);
        overdue
    }

    /// Says what is wrong with an entry, as far as it concerns what else is told of its approval.
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
            // Anyone who has the values can compute the digest. Here the token alone attests it.
            self.masked += 1;
        }
        let lifetime = TokenLifetime::from_seconds(json.token_lifetime_seconds).map_err(|_| SHAPE)?;
        told.asked = Some(Asked {
            between: fingerprint(&[&format!("agent:{}", json.agent), &json.audience, &json.approver]),
            action: fingerprint(&[&json.tool, &json.digest]),
            token_lifetime: lifetime.duration(),
        });
        Ok(())
    }

    fn ended(&mut self, entry: &Entry, at: Timestamp, id: ApprovalId) -> Result<(), &'static str> {
        let known = self.must_be_known(id);
        let told = self.told.entry(id).or_default();
        // Also because an approval without a token, told anew each day, would never be missed.
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
                let lifetime = told.asked.as_ref().map_or(LONGEST, |asked| asked.token_lifetime);
                self.due.insert(id, no_longer_accepted(at, lifetime));
                self.approvals += 1;
                Ended::Approved { at, proven_by, token: fingerprint(&[&token_sha256.ok_or(SHAPE)?]) }
            }
            "denied" | "expired" | "withdrawn" => Ended::Otherwise,
            _ => return Err(SHAPE),
        };
        let ended = told.ended.insert(ended);
        // By two clocks a second apart it may have been used before.
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
        let token = ApprovalToken::from_text(&shaped::<Shown>(entry)?.token);
        match &told.ended {
            Some(Ended::Approved { token: expected, .. }) if *expected != fingerprint(&[&token.sha256()]) => {
                return Err("it is not the token whose digest the outcome has");
            }
            Some(Ended::Otherwise) => return Err(OTHER),
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

    /// A token attests what was asked: so this must be told, unless that was before the first export.
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
        Some(Ended::Approved { at, proven_by, .. }) => {
            claims.auth_time == at.as_unix_seconds() && claims.amr == proven_by.amr()
        }
        _ => true,
    };
    detail.r#type == DETAIL_TYPE && as_asked && as_decided
}

fn shaped<'a, T: Deserialize<'a>>(entry: &'a Entry) -> Result<T, &'static str> {
    T::deserialize(&entry.fact).map_err(|_| SHAPE)
}
