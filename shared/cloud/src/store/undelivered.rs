//! What came back: one row an approval, in which every mail that did not arrive has an attribute of its own. Reports come
//! more than once and in any order, so the first about a mail stands, and none overwrites another's.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use sayso_model::{ApprovalId, EmailAddress, ExpiresIn, MessageId, Retention, Undelivered, UndeliveredCause};
use serde::{Deserialize, Serialize};

use super::items::Row;
use super::kind::Kind;
use super::{Item, Store, text};
use crate::{Failure, random};

const UPDATE: &str = "dynamodb:UpdateItem";

/// What begins the name of a mail's attribute; SES's id of the mail follows.
const MESSAGE: &str = "message#";

const REPORT: &str = "SET #message = if_not_exists(#message, :report), #ttl = :ttl";

#[derive(Serialize, Deserialize)]
struct ReportItem {
    address: String,
    cause: String,
    at: i64,
}

impl ReportItem {
    fn parse(self, row: &Row<'_>, message_id: &str) -> Result<Undelivered, Failure> {
        Ok(Undelivered {
            message_id: row.parsed("message", MessageId::parse(message_id))?,
            address: row.parsed("address", EmailAddress::parse(&self.address))?,
            cause: row.parsed("cause", UndeliveredCause::parse(&self.cause))?,
            at: row.time("at", self.at)?,
        })
    }
}

/// What an approval's row says, oldest first; nothing where there is none.
pub(crate) fn reports(item: Option<Item>, id: ApprovalId) -> Result<Vec<Undelivered>, Failure> {
    let key = Kind::Undelivered.key(id);
    let row = Row(&key);
    let mut reports = Vec::new();
    for (name, value) in item.unwrap_or_default() {
        let Some(message_id) = name.strip_prefix(MESSAGE) else { continue };
        let report = serde_dynamo::from_attribute_value::<_, ReportItem>(value);
        let report = report.map_err(|_| "it is not of the shape of a report");
        reports.push(row.parsed("message", report)?.parse(&row, message_id)?);
    }
    reports.sort_by(|a, b| (a.at, &a.message_id).cmp(&(b.at, &b.message_id)));
    Ok(reports)
}

/// The same, for readers of the approval. A report ends nothing and permits nothing, so one that cannot be read keeps
/// nobody from deciding: it counts as none, and is in the log.
pub(super) fn readable_reports(item: Option<Item>, id: ApprovalId) -> Vec<Undelivered> {
    reports(item, id).unwrap_or_else(|failure| {
        let error_id = random::error_id();
        tracing::error!(error_id, approval_id = %id, %failure, "a report cannot be read");
        Vec::new()
    })
}

impl Store {
    /// Records that a mail about this approval did not arrive: one write, without a read, and the same however often it is
    /// reported. The row is kept as long as any request that was made at the id's time could be.
    pub async fn record_undelivered(
        &self,
        id: ApprovalId,
        report: &Undelivered,
        retention: Retention,
    ) -> Result<(), Failure> {
        let row = Kind::Undelivered.key(id);
        let item = ReportItem {
            address: report.address.expose().to_owned(),
            cause: report.cause.as_str().to_owned(),
            at: report.at.as_unix_seconds(),
        };
        let item: AttributeValue =
            serde_dynamo::to_attribute_value(item).map_err(|_| Failure::not_built(UPDATE))?;
        let names =
            [("#message", format!("{MESSAGE}{}", report.message_id.as_str())), ("#ttl", "ttl".to_owned())];
        let values = [(":report", item), (":ttl", AttributeValue::N(ttl(id, retention).to_string()))];
        let update = self.client.update_item().table_name(&self.table).key("pk", text(&row));
        let update = update
            .update_expression(REPORT)
            .set_expression_attribute_names(Some(owned(names)))
            .set_expression_attribute_values(Some(owned(values)));
        update.send().await.map(drop).map_err(|e| Failure::call(UPDATE, &e))
    }
}

fn ttl(id: ApprovalId, retention: Retention) -> i64 {
    let closes_at = id.made_at().plus(ExpiresIn::LONGEST);
    closes_at.plus(retention.duration()).plus(Duration::from_secs(86_400)).as_unix_seconds()
}

fn owned<T, const N: usize>(pairs: [(&str, T); N]) -> HashMap<String, T> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
