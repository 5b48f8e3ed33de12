//! What limits count: one row for an agent's hour, one for an approver's, one for an agent's open requests. They are
//! updated in the very transaction that opens a request, so whatever is refused or lost has not been counted, and nothing
//! is opened that has not.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
use aws_sdk_dynamodb::types::{AttributeValue, CancellationReason, TransactWriteItem, Update};
use sayso_model::{AgentName, ApprovalId, Hour, HourlyLimit, Limits, PendingLimit, Request, Timestamp};

use super::items::Row;
use super::kind::Kind;
use super::request::RequestRef;
use super::transaction::{TRANSACT, failed};
use super::{Item, Store, text};
use crate::Failure;

/// `ttl` is a reserved word.
const COUNT: &str = "ADD counted :one SET #ttl = :ttl";
const COUNT_FITS: &str = "attribute_not_exists(counted) OR counted < :most";
/// The last part of the hour is for agents that have asked nothing of this approver in it.
const COUNT_MAIL: &str = "ADD counted :one, asked :agent SET #ttl = :ttl";
const MAIL_FITS: &str =
    "attribute_not_exists(counted) OR counted < :shared OR (counted < :most AND NOT contains(asked, :tag))";
const ENTER: &str = "ADD pending :entry SET #ttl = :ttl";
const ENTRY_FITS: &str = "attribute_not_exists(pending) OR size(pending) < :most";
const LEAVE: &str = "DELETE pending :entries SET #ttl = :ttl";

/// How long a row is kept after its last use could matter: no clock is a day off.
const SLACK: i64 = 86_400;

/// The longest that a request may be open: an entry is never older.
const MAX_OPEN: i64 = 604_800;

/// A limit that a request met: it was not opened, and nothing was counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reached {
    /// The agent's requests in this hour.
    Requests,
    /// The approver's mails in this hour.
    Mails,
    /// The agent's requests that were open when they were last looked at: [`Store::remove_closed`] may make room.
    Pending(Vec<RequestRef>),
}

fn pending_key(agent: &AgentName) -> String {
    Kind::Limit.key(format_args!("PENDING#{agent}"))
}

/// An open request in its agent's row: its id and its deadline.
fn entry(named: RequestRef) -> String {
    format!("{}#{}", named.id, named.closes_at.as_unix_seconds())
}

fn pending_ttl(now: Timestamp) -> i64 {
    now.as_unix_seconds() + MAX_OPEN + SLACK
}

pub(crate) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// The writes that count a new request, in the order that [`reached`] reads their reasons in.
pub(super) fn counting(
    table: &str,
    request: &Request,
    limits: &Limits,
) -> Result<[TransactWriteItem; 3], Failure> {
    let hour = Hour::of(request.created_at);
    let (agent, approver, starts_at) = (&request.agent, &request.approver, hour.starts_at());
    let named = RequestRef { id: request.id, closes_at: request.closes_at };
    Ok([
        count(table, Kind::Limit.key(format_args!("REQUESTS#{agent}#{starts_at}")), limits.requests, hour)?,
        count_mail(
            table,
            Kind::Limit.key(format_args!("MAILS#{approver}#{starts_at}")),
            agent,
            limits.mails,
            hour,
        )?,
        enter(table, pending_key(agent), named, limits.pending, request.created_at)?,
    ])
}

fn count(table: &str, pk: String, most: HourlyLimit, hour: Hour) -> Result<TransactWriteItem, Failure> {
    let update = Update::builder()
        .update_expression(COUNT)
        .condition_expression(COUNT_FITS)
        .expression_attribute_names("#ttl", "ttl")
        .expression_attribute_values(":one", number(1))
        .expression_attribute_values(":ttl", number(hour.ends_at().as_unix_seconds() + SLACK))
        .expression_attribute_values(":most", number(most.get()));
    finish(update.table_name(table).key("pk", text(pk)).build())
}

fn count_mail(
    table: &str,
    pk: String,
    agent: &AgentName,
    most: HourlyLimit,
    hour: Hour,
) -> Result<TransactWriteItem, Failure> {
    // Short, because an hour's row holds one for each agent that asked.
    let tag = agent.tag();
    let update = Update::builder()
        .update_expression(COUNT_MAIL)
        .condition_expression(MAIL_FITS)
        .expression_attribute_names("#ttl", "ttl")
        .expression_attribute_values(":one", number(1))
        .expression_attribute_values(":agent", AttributeValue::Ss(vec![tag.clone()]))
        .expression_attribute_values(":tag", text(tag))
        .expression_attribute_values(":ttl", number(hour.ends_at().as_unix_seconds() + SLACK))
        .expression_attribute_values(":shared", number(most.shared()))
        .expression_attribute_values(":most", number(most.get()));
    finish(update.table_name(table).key("pk", text(pk)).build())
}

fn enter(
    table: &str,
    pk: String,
    named: RequestRef,
    most: PendingLimit,
    now: Timestamp,
) -> Result<TransactWriteItem, Failure> {
    let update = Update::builder()
        .update_expression(ENTER)
        .condition_expression(ENTRY_FITS)
        .expression_attribute_names("#ttl", "ttl")
        .expression_attribute_values(":entry", AttributeValue::Ss(vec![entry(named)]))
        .expression_attribute_values(":ttl", number(pending_ttl(now)))
        .expression_attribute_values(":most", number(most.get()))
        .return_values_on_condition_check_failure(AllOld);
    finish(update.table_name(table).key("pk", text(pk)).build())
}

fn finish(update: Result<Update, BuildError>) -> Result<TransactWriteItem, Failure> {
    let update = update.map_err(|_| Failure::not_built(TRANSACT))?;
    Ok(TransactWriteItem::builder().update(update).build())
}

/// Which limit, if any, these three reasons name.
pub(super) fn reached(reasons: &[CancellationReason]) -> Result<Option<Reached>, Failure> {
    let failed = |at: usize| reasons.get(at).filter(|reason| failed(reason));
    if failed(0).is_some() {
        return Ok(Some(Reached::Requests));
    }
    if failed(1).is_some() {
        return Ok(Some(Reached::Mails));
    }
    let Some(reason) = failed(2) else { return Ok(None) };
    Ok(Some(Reached::Pending(entries(reason.item.as_ref())?)))
}

fn entries(item: Option<&Item>) -> Result<Vec<RequestRef>, Failure> {
    let pending = item.and_then(|item| item.get("pending")).and_then(|pending| pending.as_ss().ok());
    let row = Row(Kind::Limit.prefix());
    let parse = |text: &String| {
        let (id, closes_at) = text.split_once('#').unwrap_or_default();
        let seconds = row.parsed("pending", closes_at.parse::<i64>())?;
        Ok(RequestRef {
            id: row.parsed("pending", ApprovalId::parse(id))?,
            closes_at: row.parsed("pending", Timestamp::from_unix_seconds(seconds))?,
        })
    };
    pending.map(Vec::as_slice).unwrap_or_default().iter().map(parse).collect()
}

impl Store {
    /// Takes the requests that are over out of the agent's row, and says whether there were any. What is over stays over,
    /// so many may do this at once.
    pub async fn remove_closed(
        &self,
        agent: &AgentName,
        pending: &[RequestRef],
        now: Timestamp,
    ) -> Result<bool, Failure> {
        let (overdue, open): (Vec<RequestRef>, Vec<RequestRef>) =
            pending.iter().copied().partition(|named| named.closes_at <= now);
        let mut closed: BTreeSet<String> = overdue.into_iter().map(entry).collect();
        if !open.is_empty() {
            let outcomes = self.read(open.iter().map(|named| Kind::Outcome.key(named.id))).await?;
            let answered =
                open.into_iter().filter(|named| outcomes.contains_key(&Kind::Outcome.key(named.id)));
            closed.extend(answered.map(entry));
        }
        if closed.is_empty() {
            return Ok(false);
        }
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", text(pending_key(agent)))
            .update_expression(LEAVE)
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":ttl", number(pending_ttl(now)))
            .expression_attribute_values(":entries", AttributeValue::Ss(closed.into_iter().collect()));
        update.send().await.map_err(|e| Failure::call("dynamodb:UpdateItem", &e))?;
        Ok(true)
    }
}
