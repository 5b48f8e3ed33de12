use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
use aws_sdk_dynamodb::types::{CancellationReason, Put, TransactWriteItem};
use sayso_model::{ActionDigest, AgentName, ApprovalId, IdempotencyKey, Request, Retention, Timestamp};
use serde::{Deserialize, Serialize};

use super::items::{Row, ttl};
use super::{FIRST, Item, Store, from_item, text, to_item};
use crate::Failure;

/// The pointer may go to another request once the one it names is closed.
const STILL_THERE: &str = "approval_id = :replaced";

/// Which request is the agent's open one for this very action.
#[derive(Serialize, Deserialize)]
struct OpenItem {
    pk: String,
    approval_id: String,
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

/// A wish to be the agent's one open request for an action.
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

/// A request that a row names: it may not be written yet, or be forgotten already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// Its id.
    pub id: ApprovalId,
    /// When it closes, or would have: after this a request that is not there will never be.
    pub closes_at: Timestamp,
}

/// Who has the pointer, or the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// The claimant.
    Won,
    /// This request, open when it was written.
    Held(Named),
    /// The idempotency key stands for this request of the same action at the same gate, open or not.
    Keyed(Named),
    /// The idempotency key stands for another action, or another gate.
    KeyedForAnotherAction,
    /// Someone is writing at this moment, or the table is busy: look again after a pause.
    Contended,
}

/// The same action at another gate is another question.
fn open_key(request: &Request) -> String {
    format!("OPEN#{}#{}#{}", request.agent, request.audience, request.action.digest())
}

fn idempotency_key(agent: &AgentName, key: &IdempotencyKey) -> String {
    format!("IDEMPOTENCY#{agent}#{}", key.hash())
}

impl Store {
    /// Claims the pointer with one conditional write; with an idempotency key, both in one transaction.
    pub async fn claim(&self, claim: &PointerClaim<'_>, retention: Retention) -> Result<Claim, Failure> {
        match claim.idempotency_key {
            None => self.claim_pointer(claim).await,
            Some(key) => {
                let writes = vec![self.pointer_put(claim)?, self.key_put(claim, key, retention)?];
                self.transact(writes, claim.request).await
            }
        }
    }

    /// Claims an idempotency key for the open request that the pointer already names.
    pub async fn claim_key(
        &self,
        claim: &PointerClaim<'_>,
        key: &IdempotencyKey,
        retention: Retention,
    ) -> Result<Claim, Failure> {
        self.transact(vec![self.key_put(claim, key, retention)?], claim.request).await
    }

    async fn claim_pointer(&self, claim: &PointerClaim<'_>) -> Result<Claim, Failure> {
        let put = self.pointer_put(claim)?;
        let written = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(put.item))
            .set_condition_expression(put.condition_expression)
            .set_expression_attribute_values(put.expression_attribute_values)
            .return_values_on_condition_check_failure(AllOld)
            .send()
            .await;
        match written {
            Ok(_) => Ok(Claim::Won),
            Err(SdkError::ServiceError(e)) if e.err().is_transaction_conflict_exception() => {
                Ok(Claim::Contended)
            }
            Err(SdkError::ServiceError(e)) if e.err().is_conditional_check_failed_exception() => {
                let PutItemError::ConditionalCheckFailedException(lost) = e.into_err() else {
                    return Ok(Claim::Contended);
                };
                held(lost.item, claim.request)
            }
            Err(e) => Err(Failure::call("dynamodb:PutItem", &e)),
        }
    }

    fn pointer_put(&self, claim: &PointerClaim<'_>) -> Result<Put, Failure> {
        let request = claim.request;
        let item = OpenItem {
            pk: open_key(request),
            approval_id: request.id.to_string(),
            ttl: request.closes_at.as_unix_seconds(),
        };
        self.claiming_put(to_item(&item, "OPEN#")?, claim.replaces)
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
        self.claiming_put(to_item(&item, "IDEMPOTENCY#")?, claim.replaces_key)
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
        .map_err(|e| Failure::corrupt("a pointer", "item", e))
    }

    /// Writes all or none. The last write is the idempotency key's: what it stands for comes before everything else.
    async fn transact(&self, puts: Vec<Put>, request: &Request) -> Result<Claim, Failure> {
        let writes = puts.into_iter().map(|put| TransactWriteItem::builder().put(put).build()).collect();
        let written = self.client.transact_write_items().set_transact_items(Some(writes)).send().await;
        let error = match written {
            Ok(_) => return Ok(Claim::Won),
            Err(error) => error,
        };
        let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error()
        else {
            return Err(Failure::call("dynamodb:TransactWriteItems", &error));
        };
        let reasons = cancelled.cancellation_reasons();
        let failed = |reason: &&CancellationReason| reason.code() == Some("ConditionalCheckFailed");
        match (reasons.last().filter(failed), reasons.first().filter(failed)) {
            (Some(key), _) => keyed(key.item.clone(), request),
            (None, Some(pointer)) => held(pointer.item.clone(), request),
            (None, None) if reasons.iter().any(is_contention) => Ok(Claim::Contended),
            (None, None) => Err(Failure::call("dynamodb:TransactWriteItems", &error)),
        }
    }
}

/// Reasons for which the very same transaction may succeed a moment later.
fn is_contention(reason: &CancellationReason) -> bool {
    matches!(
        reason.code(),
        Some(
            "TransactionConflict"
                | "ThrottlingError"
                | "ProvisionedThroughputExceeded"
                | "RequestLimitExceeded"
        )
    )
}

/// What the pointer holds. A row that has gone since (its time was up) is worth another look; one that is the
/// claimant's own was written by a first attempt whose answer was lost.
fn held(item: Option<Item>, request: &Request) -> Result<Claim, Failure> {
    let Some(item) = item else { return Ok(Claim::Contended) };
    let item: OpenItem = from_item(item, "OPEN#")?;
    let row = Row("OPEN#");
    let id = row.parsed("approval_id", ApprovalId::parse(&item.approval_id))?;
    if id == request.id {
        return Ok(Claim::Won);
    }
    Ok(Claim::Held(Named { id, closes_at: row.parsed("ttl", Timestamp::from_unix_seconds(item.ttl))? }))
}

fn keyed(item: Option<Item>, request: &Request) -> Result<Claim, Failure> {
    let Some(item) = item else { return Ok(Claim::Contended) };
    let item: IdempotencyItem = from_item(item, "IDEMPOTENCY#")?;
    let row = Row("IDEMPOTENCY#");
    let digest = row.parsed("digest", ActionDigest::parse(&item.digest))?;
    if digest != request.action.digest() || item.audience != request.audience.as_str() {
        return Ok(Claim::KeyedForAnotherAction);
    }
    let id = row.parsed("approval_id", ApprovalId::parse(&item.approval_id))?;
    if id == request.id {
        return Ok(Claim::Won);
    }
    Ok(Claim::Keyed(Named {
        id,
        closes_at: row.parsed("closes_at", Timestamp::from_unix_seconds(item.closes_at))?,
    }))
}
