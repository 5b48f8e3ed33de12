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

use self::items::{OutcomeItem, outcome_key};
use crate::Failure;

mod agent;
mod approval;
mod audit;
mod conclude;
mod gate;
mod items;
mod limits;
mod newer;
mod notice;
mod pointer;
mod recorded;
mod redemption;
mod request;
mod undelivered;
mod waits;

pub(crate) use agent::{AGENT, AgentItem, agent_key};
pub use approval::StoredApproval;
pub use audit::Audited;
pub use conclude::{Concluded, Settled};
pub use gate::RegisteredGate;
pub(crate) use gate::{GATE, GateItem, gate_key};
pub use limits::Reached;
pub use pointer::{Claim, Named, PointerClaim};
pub use recorded::{Recorded, RecordedApproval};
pub(crate) use recorded::{scan, string};
pub use redemption::Redeemed;
pub use waits::Wait;

pub(crate) type Item = HashMap<String, AttributeValue>;

/// The condition on every write that makes a fact.
pub(crate) const FIRST: &str = "attribute_not_exists(pk)";

/// The table, and the keys that approved rows must verify under.
#[derive(Clone)]
pub struct Store {
    client: Client,
    table: String,
    keys: Arc<Jwks>,
}

impl Store {
    /// One row, strongly consistent.
    async fn row(&self, pk: String) -> Result<Option<Item>, Failure> {
        let get = self.client.get_item().table_name(&self.table).key("pk", text(pk)).consistent_read(true);
        let answer = get.send().await.map_err(|e| Failure::call("dynamodb:GetItem", &e))?;
        Ok(answer.item)
    }

    /// `keys` are the ones that sign approvals, or have: the table is not trusted to say that something was approved.
    pub fn new(client: Client, table: String, keys: impl Into<Jwks>) -> Self {
        Self { client, table, keys: Arc::new(keys.into()) }
    }
}

/// Reads an outcome, and lets it pass if it carries its own proof: an `approved` row whose token does not verify for this
/// very request is corrupt, never an approval.
fn attested(request: &Request, item: Item, keys: &Jwks) -> Result<Outcome, Failure> {
    let row = outcome_key(request.id);
    let outcome = from_item::<OutcomeItem>(item, &row)?.parse()?;
    if let Outcome::Approved { decision, token } = &outcome {
        attests(token, keys, request, decision).map_err(|e| Failure::corrupt(&row, "token", e))?;
    }
    Ok(outcome)
}

pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(crate) fn to_item(item: &impl serde::Serialize, row: &str) -> Result<Item, Failure> {
    serde_dynamo::to_item(item).map_err(|e| Failure::corrupt(row, "item", e))
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
        lost.map(Written::Before).ok_or_else(|| Failure::call("dynamodb:PutItem", &error))
    }
}
