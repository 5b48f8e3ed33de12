//! The table: append-only facts, every write conditional. First writer wins, so whatever races for one row happens
//! exactly once. Two rows are ever replaced, each by compare-and-swap: the pointer to an agent's open request, and
//! the record of a mail until it is accepted; and what limits count is updated in place. One file an operation.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
use sayso_model::token::{Jwks, attests};
use sayso_model::{Outcome, Request};
use serde::de::DeserializeOwned;

use self::items::OutcomeItem;
use crate::Failure;

mod agent;
mod approval;
mod conclude;
mod gate;
mod items;
mod kind;
mod limits;
mod newer;
mod notice;
mod passkey;
mod pointer;
mod redemption;
mod request;
mod rows;
pub(crate) mod transaction;
mod undelivered;
mod waits;

pub(crate) use agent::{AGENT, AgentItem, agent_key};
pub use approval::StoredApproval;
pub use conclude::{Concluded, Settled};
pub use gate::RegisteredGate;
pub(crate) use gate::{GATE, GateItem, gate_key};
pub(crate) use items::{NoticeItem, OUTCOME_STAYS, RequestItem};
pub(crate) use kind::Kind;
pub use limits::Reached;
pub(crate) use limits::number;
pub use passkey::{Enrolled, MAX_PASSKEYS, Passkeys};
pub(crate) use passkey::{PasskeysItem, required};
pub use pointer::{Claim, PointerClaim};
pub use redemption::Redeemed;
pub use request::RequestRef;
pub(crate) use rows::{ApprovalRows, receipt};
pub(crate) use undelivered::reports;
pub use waits::Wait;

pub(crate) type Item = HashMap<String, AttributeValue>;

const PUT: &str = "dynamodb:PutItem";

/// The condition on every write that makes a fact.
pub(crate) const FIRST: &str = "attribute_not_exists(pk)";

/// The table, and the keys that approved rows must verify under.
#[derive(Clone)]
pub struct Store {
    pub(crate) client: Client,
    pub(crate) table: String,
    pub(crate) keys: Arc<Jwks>,
}

impl Store {
    /// One row, strongly consistent.
    pub(crate) async fn row(&self, pk: String) -> Result<Option<Item>, Failure> {
        row(&self.client, &self.table, &pk).await
    }

    /// `keys` are the ones that sign approvals, or have: the table is not trusted to say that something was approved.
    pub fn new(client: Client, table: String, keys: impl Into<Jwks>) -> Self {
        Self { client, table, keys: Arc::new(keys.into()) }
    }
}

/// Reads an outcome, and lets it pass if it carries its own proof: an `approved` row whose token does not verify for this
/// very request is corrupt, never an approval.
pub(crate) fn attested(request: &Request, item: Item, keys: &Jwks) -> Result<Outcome, Failure> {
    let row = Kind::Outcome.key(request.id);
    let outcome = from_item::<OutcomeItem>(item, &row)?.parse()?;
    if let Outcome::Approved { decision, token } = &outcome {
        attests(token, keys, request, decision).map_err(|e| Failure::corrupt(&row, "token", e))?;
    }
    Ok(outcome)
}

/// One row, strongly consistent.
pub(crate) async fn row(client: &Client, table: &str, pk: &str) -> Result<Option<Item>, Failure> {
    let get = client.get_item().table_name(table).key("pk", text(pk)).consistent_read(true);
    Ok(get.send().await.map_err(|e| Failure::call("dynamodb:GetItem", &e))?.item)
}

pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(crate) fn to_item(item: &impl serde::Serialize) -> Result<Item, Failure> {
    serde_dynamo::to_item(item).map_err(|_| Failure::not_built(PUT))
}

/// What the deserializer says is not repeated: it quotes the row, and anything may stand in one that is not ours.
pub(crate) fn from_item<T: DeserializeOwned>(item: Item, row: &str) -> Result<T, Failure> {
    let shape = "it is not of the shape of such a row";
    serde_dynamo::from_item(item).map_err(|_| Failure::corrupt(row, "item", shape))
}

/// A conditional put's answer as an outcome: a lost race is no error.
enum Written {
    /// The row is this one.
    Now,
    /// The row was there, as it stands here.
    Before(Item),
}

impl Store {
    /// Writes a fact, if it is the first.
    async fn put_first(&self, item: Item) -> Result<Written, Failure> {
        self.put_if(self.client.put_item().set_item(Some(item)).condition_expression(FIRST)).await
    }

    /// Writes a row under the condition that `put` names.
    async fn put_if(&self, put: PutItemFluentBuilder) -> Result<Written, Failure> {
        let put = put.table_name(&self.table).return_values_on_condition_check_failure(AllOld);
        let Err(error) = put.send().await else { return Ok(Written::Now) };
        let lost = match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(lost)) => lost.item.clone(),
            _ => None,
        };
        lost.map(Written::Before).ok_or_else(|| Failure::call(PUT, &error))
    }
}

/// Every row of these kinds, in no order.
pub(crate) async fn scan(client: &Client, table: &str, kinds: &[Kind]) -> Result<Vec<Item>, Failure> {
    let name = |at: usize| format!(":p{at}");
    let filter: Vec<_> = (0..kinds.len()).map(|at| format!("begins_with(pk, {})", name(at))).collect();
    let values = kinds.iter().enumerate().map(|(at, kind)| (name(at), text(kind.prefix()))).collect();
    let scan = client.scan().table_name(table).consistent_read(true);
    let mut pages = scan
        .filter_expression(filter.join(" OR "))
        .set_expression_attribute_values(Some(values))
        .into_paginator()
        .send();
    let mut rows = Vec::new();
    while let Some(page) = pages.next().await {
        rows.extend(page.map_err(|e| Failure::call("dynamodb:Scan", &e))?.items.unwrap_or_default());
    }
    Ok(rows)
}

/// A text of a row; empty when it is not there.
pub(crate) fn string(item: &Item, attribute: &str) -> String {
    item.get(attribute).and_then(|value: &AttributeValue| value.as_s().ok()).cloned().unwrap_or_default()
}
