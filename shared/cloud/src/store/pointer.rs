use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use sayso_model::{
    ActionDigest, AgentName, ApprovalId, CoolDown, IdempotencyKey, Limits, Request, Retention, Timestamp,
};
use serde::{Deserialize, Serialize};

use super::items::{Row, ttl};
use super::kind::Kind;
use super::limits::{Reached, counting, reached};
use super::request::RequestRef;
use super::transaction::{TRANSACT, Transacted, cancelled, failed, is_contention, transact};
use super::{FIRST, Item, Store, from_item, text, to_item};
use crate::Failure;

/// The pointer may go to another request once the one it names is closed.
const STILL_THERE: &str = "approval_id = :replaced";

/// Which request is the agent's open one for this very action.
#[derive(Serialize, Deserialize)]
struct OpenItem {
    pk: String,
    approval_id: String,
    /// Absent from rows of before there were limits: there it is the `ttl`.
    closes_at: Option<i64>,
    ttl: i64,
}

/// Which request an agent's idempotency key stands for, for which action and gate, and until when that is open.
#[derive(Serialize, Deserialize)]
struct IdempotencyItem {
    pk: String,
    approval_id: String,
    digest: String,
    audience: String,
    closes_at: i64,
    ttl: i64,
}

/// A claim to be the agent's one open request for an action.
#[derive(Debug)]
pub struct PointerClaim<'a> {
    /// The request that would be opened.
    pub request: &'a Request,
    /// The agent's own name for it, claimed together with the pointer.
    pub idempotency_key: Option<&'a IdempotencyKey>,
    /// The closed request that the pointer still names.
    pub replaces: Option<ApprovalId>,
    /// The forgotten request that the idempotency key still stands for.
    pub replaces_key: Option<ApprovalId>,
}

/// Who has the pointer, or the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The claimant.
    Won,
    /// This request, open when it was written.
    Held(RequestRef),
    /// The idempotency key stands for this request of the same action at the same gate, open or not.
    Keyed(RequestRef),
    /// The idempotency key stands for another action, or another gate.
    KeyedForAnotherAction,
    /// A limit: nothing was written.
    Limited(Reached),
    /// Someone is writing at this moment, or the table is busy: look again after a pause.
    Contended,
}

/// The same action at another gate is another question.
fn open_key(request: &Request) -> String {
    Kind::Open.key(format_args!("{}#{}#{}", request.agent, request.audience, request.action.digest()))
}

fn idempotency_key(agent: &AgentName, key: &IdempotencyKey) -> String {
    Kind::Idempotency.key(format_args!("{agent}#{}", key.hash()))
}

impl Store {
    /// Claims the pointer and counts the request, and claims the idempotency key if there is one: all of it or nothing, in
    /// one transaction. A request that is pending already is never measured against a limit.
    pub async fn claim(
        &self,
        claim: &PointerClaim<'_>,
        limits: &Limits,
        retention: Retention,
    ) -> Result<Claim, Failure> {
        let pointer = self.pointer_put(claim, limits.cool_down)?;
        let [requests, mails, pending] = counting(&self.table, claim.request, limits)?;
        let mut writes = vec![writing(pointer), requests, mails, pending];
        if let Some(key) = claim.idempotency_key {
            writes.push(writing(self.key_put(claim, key, retention)?));
        }
        let reasons = match transact(&self.client, writes).await? {
            Transacted::Done => return Ok(Claim::Won),
            Transacted::Cancelled(reasons) => reasons,
        };
        // What the key stands for comes before everything else, then what the pointer names, then the limits.
        if let Some(key) = reasons.get(4).filter(|reason| failed(reason)) {
            return keyed(key.item.clone(), claim.request);
        }
        if let Some(pointer) = reasons.first().filter(|reason| failed(reason)) {
            return held(pointer.item.clone(), claim.request);
        }
        if reasons.iter().any(is_contention) {
            return Ok(Claim::Contended);
        }
        match reasons.get(1..).map(reached).transpose()?.flatten() {
            Some(reached) => Ok(Claim::Limited(reached)),
            None => Err(cancelled(&reasons)),
        }
    }

    /// Claims an idempotency key for the open request that the pointer already names.
    pub async fn claim_key(
        &self,
        claim: &PointerClaim<'_>,
        key: &IdempotencyKey,
        retention: Retention,
    ) -> Result<Claim, Failure> {
        let reasons =
            match transact(&self.client, vec![writing(self.key_put(claim, key, retention)?)]).await? {
                Transacted::Done => return Ok(Claim::Won),
                Transacted::Cancelled(reasons) => reasons,
            };
        match reasons.first().filter(|reason| failed(reason)) {
            Some(key) => keyed(key.item.clone(), claim.request),
            None if reasons.iter().any(is_contention) => Ok(Claim::Contended),
            None => Err(cancelled(&reasons)),
        }
    }

    /// The row outlives the deadline by the cool-down: a denial found under it refuses the same action.
    fn pointer_put(&self, claim: &PointerClaim<'_>, cool_down: CoolDown) -> Result<Put, Failure> {
        let request = claim.request;
        let item = OpenItem {
            pk: open_key(request),
            approval_id: request.id.to_string(),
            closes_at: Some(request.closes_at.as_unix_seconds()),
            ttl: request.closes_at.plus(cool_down.duration()).as_unix_seconds(),
        };
        self.claiming_put(to_item(&item)?, claim.replaces)
    }

    fn key_put(
        &self,
        claim: &PointerClaim<'_>,
        key: &IdempotencyKey,
        retention: Retention,
    ) -> Result<Put, Failure> {
        let request = claim.request;
        let item = IdempotencyItem {
            pk: idempotency_key(&request.agent, key),
            approval_id: request.id.to_string(),
            digest: request.action.digest().to_string(),
            audience: request.audience.to_string(),
            closes_at: request.closes_at.as_unix_seconds(),
            ttl: ttl(request.closes_at, retention),
        };
        self.claiming_put(to_item(&item)?, claim.replaces_key)
    }

    /// A put that wins if the row is absent, or still names the request it replaces.
    fn claiming_put(&self, item: Item, replaces: Option<ApprovalId>) -> Result<Put, Failure> {
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .return_values_on_condition_check_failure(AllOld);
        match replaces {
            None => put.condition_expression(FIRST),
            Some(replaced) => put
                .condition_expression(STILL_THERE)
                .expression_attribute_values(":replaced", text(replaced.to_string())),
        }
        .build()
        .map_err(|_| Failure::not_built(TRANSACT))
    }
}

fn writing(put: Put) -> TransactWriteItem {
    TransactWriteItem::builder().put(put).build()
}

/// What the pointer holds. A row that has gone since (its time was up) is worth another look; one that is the
/// claimant's own was written by a first attempt whose answer was lost.
fn held(item: Option<Item>, request: &Request) -> Result<Claim, Failure> {
    let Some(item) = item else { return Ok(Claim::Contended) };
    let item: OpenItem = from_item(item, Kind::Open.prefix())?;
    let row = Row(Kind::Open.prefix());
    let id = row.parsed("approval_id", ApprovalId::parse(&item.approval_id))?;
    if id == request.id {
        return Ok(Claim::Won);
    }
    let closes_at = Timestamp::from_unix_seconds(item.closes_at.unwrap_or(item.ttl));
    Ok(Claim::Held(RequestRef { id, closes_at: row.parsed("closes_at", closes_at)? }))
}

fn keyed(item: Option<Item>, request: &Request) -> Result<Claim, Failure> {
    let Some(item) = item else { return Ok(Claim::Contended) };
    let item: IdempotencyItem = from_item(item, Kind::Idempotency.prefix())?;
    let row = Row(Kind::Idempotency.prefix());
    let digest = row.parsed("digest", ActionDigest::parse(&item.digest))?;
    if digest != request.action.digest() || item.audience != request.audience.as_str() {
        return Ok(Claim::KeyedForAnotherAction);
    }
    let id = row.parsed("approval_id", ApprovalId::parse(&item.approval_id))?;
    if id == request.id {
        return Ok(Claim::Won);
    }
    Ok(Claim::Keyed(RequestRef {
        id,
        closes_at: row.parsed("closes_at", Timestamp::from_unix_seconds(item.closes_at))?,
    }))
}
