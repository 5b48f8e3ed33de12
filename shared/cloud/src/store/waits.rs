//! How many checks of one agent wait for an answer at this moment. Each holds a concurrent execution of Lambda, of which a
//! new account has ten for all functions together: an agent that held them all would lock its approver out.
//!
//! A wait is entered with the time at which it ends by itself, so that one that was cut off is not counted for long.

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
use sayso_model::{AgentName, Timestamp, WaitLimit};

use super::kind::Kind;
use super::limits::number;
use super::{Item, Store, text};
use crate::{Failure, random};

const UPDATE: &str = "dynamodb:UpdateItem";

/// `ttl` is a reserved word.
const ENTER: &str = "ADD waits :entry SET #ttl = :ttl";
const ENTRY_FITS: &str = "attribute_not_exists(waits) OR size(waits) < :most";
const LEAVE: &str = "DELETE waits :entries SET #ttl = :ttl";

/// How long a row is kept after its last wait, in seconds.
const KEPT: i64 = 86_400;

/// A wait that is counted.
#[derive(Debug)]
pub struct Wait {
    pk: String,
    entry: String,
    ttl: i64,
}

impl Store {
    /// Counts a wait of this agent until `until`; `None` if that many are counted. One write, or three where the row holds
    /// waits that have ended by themselves.
    pub async fn begin_wait(
        &self,
        agent: &AgentName,
        now: Timestamp,
        until: Timestamp,
        most: WaitLimit,
    ) -> Result<Option<Wait>, Failure> {
        let wait = Wait {
            pk: Kind::Limit.key(format_args!("WAITS#{agent}")),
            // Two waits that end in the same second are two.
            entry: format!("{}#{}", until.as_unix_seconds(), random::error_id()),
            ttl: until.as_unix_seconds() + KEPT,
        };
        let Some(counted) = self.enter_wait(&wait, most).await? else { return Ok(Some(wait)) };
        let over = |entry: &String| {
            let ends = entry.split('#').next().and_then(|seconds| seconds.parse::<i64>().ok());
            ends.is_none_or(|ends| ends < now.as_unix_seconds())
        };
        let over: Vec<String> = counted.into_iter().filter(over).collect();
        if over.is_empty() {
            return Ok(None);
        }
        self.leave_waits(&wait, over).await?;
        Ok(self.enter_wait(&wait, most).await?.is_none().then_some(wait))
    }

    /// A wait is over before it ends by itself.
    pub async fn end_wait(&self, wait: Wait) -> Result<(), Failure> {
        let entry = wait.entry.clone();
        self.leave_waits(&wait, vec![entry]).await
    }

    /// The entries that are there, if there is no room.
    async fn enter_wait(&self, wait: &Wait, most: WaitLimit) -> Result<Option<Vec<String>>, Failure> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", text(wait.pk.clone()))
            .update_expression(ENTER)
            .condition_expression(ENTRY_FITS)
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":entry", AttributeValue::Ss(vec![wait.entry.clone()]))
            .expression_attribute_values(":ttl", number(wait.ttl))
            .expression_attribute_values(":most", number(most.get()))
            .return_values_on_condition_check_failure(AllOld);
        let Err(error) = update.send().await else { return Ok(None) };
        match error.as_service_error() {
            Some(
                aws_sdk_dynamodb::operation::update_item::UpdateItemError::ConditionalCheckFailedException(
                    refused,
                ),
            ) => Ok(Some(entries(refused.item.as_ref()))),
            _ => Err(Failure::call(UPDATE, &error)),
        }
    }

    async fn leave_waits(&self, wait: &Wait, entries: Vec<String>) -> Result<(), Failure> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", text(wait.pk.clone()))
            .update_expression(LEAVE)
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":entries", AttributeValue::Ss(entries))
            .expression_attribute_values(":ttl", number(wait.ttl));
        update.send().await.map(drop).map_err(|e| Failure::call(UPDATE, &e))
    }
}

fn entries(item: Option<&Item>) -> Vec<String> {
    let waits = item.and_then(|item| item.get("waits")).and_then(|waits| waits.as_ss().ok());
    waits.cloned().unwrap_or_default()
}
