//! The approval tokens in an export, against what the export says of their approvals. What the audit key signed is what its
//! holder wrote; that something was approved is what another key signed.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde::Deserialize;

use super::fact::{Kind, no_longer_accepted};
use super::lines::Entry;
use crate::token::{self, ApprovalToken, Claims, DETAIL_TYPE, Issuer, Jwks, LEEWAY_SECONDS, verify_jws};
use crate::{Action, ApprovalId, CanonicalJson, ProvenBy, Timestamp, TokenLifetime, ToolName};

#[derive(Deserialize)]
struct Asked {
    agent: String,
    approver: String,
    audience: String,
    tool: String,
    digest: String,
    token_lifetime_seconds: u64,
}

#[derive(Deserialize)]
struct Arguments {
    arguments: String,
}

#[derive(Deserialize)]
struct Ended {
    outcome: String,
    proven_by: Option<String>,
    token_sha256: Option<String>,
}

struct Approved {
    at: Timestamp,
    proven_by: ProvenBy,
    token_sha256: String,
    /// From when on the token may be told.
    due: Timestamp,
}

#[derive(Deserialize)]
struct Shown {
    token: String,
}

const SHAPE: &str = "its fact does not have the members that such a fact has";

/// The longest that a token is valid, as far as an export without its request tells.
const LONGEST: Duration = Duration::from_secs(86_400);

/// What the entries so far have said of approvals: some hundred bytes for each.
pub(super) struct Tokens {
    /// None looks at no signature.
    keys: Option<Jwks>,
    asked: HashMap<ApprovalId, Asked>,
    /// Those whose token is still to come.
    approved: BTreeMap<ApprovalId, Approved>,
    /// How many approvals there were.
    pub(super) approvals: u64,
    /// How many tokens were found to hold.
    pub(super) attested: u64,
}

impl Tokens {
    pub(super) fn new(keys: Option<Jwks>) -> Self {
        Self { keys, asked: HashMap::new(), approved: BTreeMap::new(), approvals: 0, attested: 0 }
    }

    /// The approvals whose token should have been told before `to`, and was not: nothing attests them.
    pub(super) fn overdue(&mut self, to: Timestamp) -> Vec<ApprovalId> {
        if self.keys.is_none() {
            return Vec::new();
        }
        let overdue: Vec<_> =
            self.approved.iter().filter(|(_, approved)| approved.due < to).map(|(id, _)| *id).collect();
        self.approved.retain(|_, approved| approved.due >= to);
        overdue
    }

    /// Says what is wrong with an entry, as far as it concerns tokens.
    pub(super) fn check(&mut self, entry: &Entry, issuer: Option<&Issuer>) -> Result<(), &'static str> {
        let (Some(at), Some(id)) = (entry.at, entry.id) else { return Ok(()) };
        match entry.kind {
            Kind::Request => self.asked(entry, id),
            Kind::Outcome => self.ended(entry, at, id),
            Kind::Token => self.shown(entry, at, id, issuer),
            _ => Ok(()),
        }
    }

    fn asked(&mut self, entry: &Entry, id: ApprovalId) -> Result<(), &'static str> {
        let asked: Asked = shaped(entry)?;
        let Arguments { arguments } = shaped(entry)?;
        let canonical = CanonicalJson::parse(&arguments).ok().filter(|json| json.as_str() == arguments);
        let arguments = canonical.ok_or("its arguments are not in the canonical form")?;
        let tool = ToolName::parse(&asked.tool).map_err(|_| SHAPE)?;
        if (Action { tool, arguments }).digest().to_string() != asked.digest {
            return Err("its digest is not that of its tool and arguments");
        }
        TokenLifetime::from_seconds(asked.token_lifetime_seconds).map_err(|_| SHAPE)?;
        self.asked.insert(id, asked);
        Ok(())
    }

    fn ended(&mut self, entry: &Entry, at: Timestamp, id: ApprovalId) -> Result<(), &'static str> {
        let Ended { outcome, proven_by, token_sha256 } = shaped(entry)?;
        if outcome == "approved" {
            let proven_by = ProvenBy::parse(proven_by.as_deref().unwrap_or_default()).map_err(|_| SHAPE)?;
            let token_sha256 = token_sha256.ok_or(SHAPE)?;
            let lifetime = self.asked.get(&id).map(|asked| Duration::from_secs(asked.token_lifetime_seconds));
            let due = no_longer_accepted(at, lifetime.unwrap_or(LONGEST));
            self.approved.insert(id, Approved { at, proven_by, token_sha256, due });
            self.approvals += 1;
        }
        Ok(())
    }

    fn shown(
        &mut self,
        entry: &Entry,
        at: Timestamp,
        id: ApprovalId,
        issuer: Option<&Issuer>,
    ) -> Result<(), &'static str> {
        let token = ApprovalToken::from_text(&shaped::<Shown>(entry)?.token);
        let approved = self.approved.remove(&id);
        if approved.as_ref().is_some_and(|approved| approved.token_sha256 != token.sha256()) {
            return Err("it is not the token whose digest the outcome has");
        }
        let Some(keys) = &self.keys else { return Ok(()) };
        let claims: Claims = verify_jws(token.expose(), token::TYPE, keys)
            .map_err(|_| "its token is not signed by a key of the issuer that you gave")?;
        let of_this = claims.jti == id.to_string()
            && issuer.is_some_and(|issuer| claims.iss == issuer.as_str())
            && claims.exp.saturating_add(LEEWAY_SECONDS) == at.as_unix_seconds();
        let as_asked = self.asked.get(&id).is_none_or(|asked| permits(&claims, asked));
        let as_decided = approved.is_none_or(|approved| {
            claims.auth_time == approved.at.as_unix_seconds() && claims.amr == approved.proven_by.amr()
        });
        if !(of_this && as_asked && as_decided) {
            return Err("its token is for another approval than the export says");
        }
        self.attested += 1;
        Ok(())
    }
}

fn permits(claims: &Claims, asked: &Asked) -> bool {
    let [detail] = &claims.authorization_details;
    claims.sub == format!("agent:{}", asked.agent)
        && claims.aud == asked.audience
        && claims.approver == asked.approver
        && detail.r#type == DETAIL_TYPE
        && detail.tool == asked.tool
        && detail.digest == asked.digest
}

fn shaped<'a, T: Deserialize<'a>>(entry: &'a Entry) -> Result<T, &'static str> {
    T::deserialize(&entry.fact).map_err(|_| SHAPE)
}
