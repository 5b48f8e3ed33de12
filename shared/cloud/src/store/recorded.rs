//! What the operator reads: everything recorded, by a scan that no function is permitted.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use sayso_model::token::Jwks;
use sayso_model::{ApprovalId, Receipt, Timestamp};

use super::items::{NoticeItem, RequestItem, notice_key, outcome_key};
use super::redemption::{RedemptionItem, redemption_key};
use super::undelivered::{UNDELIVERED, readable_reports, undelivered_key};
use super::{Item, Store, StoredApproval, from_item, text};
use crate::Failure;

const REQUEST: &str = "REQUEST#";

/// An approval, and its use.
#[derive(Clone)]
pub struct RecordedApproval {
    /// What was asked, of the mail, and how it stands.
    pub stored: StoredApproval,
    /// That its token was used.
    pub redemption: Option<Receipt>,
}

/// Every approval that is not forgotten, newest first, and what could not be read among them.
pub struct Recorded {
    /// Those that could.
    pub approvals: Vec<RecordedApproval>,
    /// Rows that are not what their writers can have written.
    pub corrupt: Vec<Failure>,
}

impl Store {
    /// As [`Store::new`], verifying under an issuer's published keys.
    pub fn verifying_under(client: Client, table: String, keys: Jwks) -> Self {
        Self { client, table, keys: Arc::new(keys) }
    }

    /// Everything recorded. Reads the whole table, page by page: a fact written meanwhile may be missing.
    pub async fn recorded(&self, now: Timestamp) -> Result<Recorded, Failure> {
        let mut rows = HashMap::new();
        for item in
            scan(&self.client, &self.table, &[REQUEST, "NOTICE#", UNDELIVERED, "OUTCOME#", "REDEMPTION#"])
                .await?
        {
            rows.insert(string(&item, "pk"), item);
        }
        let ids = rows.keys().filter_map(|pk| ApprovalId::parse(pk.strip_prefix(REQUEST)?).ok());
        let mut ids: Vec<_> = ids.collect();
        ids.sort_unstable_by(|a, b| b.cmp(a));
        let mut recorded = Recorded { approvals: Vec::new(), corrupt: Vec::new() };
        for id in ids {
            match self.gathered(id, &mut rows, now) {
                Ok(approval) => recorded.approvals.extend(approval),
                Err(failure) => recorded.corrupt.push(failure),
            }
        }
        Ok(recorded)
    }

    /// One approval and its use, strongly consistent.
    pub async fn recorded_approval(
        &self,
        id: ApprovalId,
        now: Timestamp,
    ) -> Result<Option<RecordedApproval>, Failure> {
        let Some(stored) = self.approval(id, now).await? else { return Ok(None) };
        let key = text(redemption_key(stored.request.id));
        let get = self.client.get_item().table_name(&self.table).key("pk", key).consistent_read(true);
        let answer = get.send().await.map_err(|e| Failure::call("dynamodb:GetItem", &e))?;
        let redemption = answer.item.map(|item| receipt(item, &stored)).transpose()?;
        Ok(Some(RecordedApproval { stored, redemption }))
    }

    fn gathered(
        &self,
        id: ApprovalId,
        rows: &mut HashMap<String, Item>,
        now: Timestamp,
    ) -> Result<Option<RecordedApproval>, Failure> {
        let key = format!("{REQUEST}{id}");
        let Some(request) = rows.remove(&key) else { return Ok(None) };
        let request = from_item::<RequestItem>(request, &key)?;
        if request.is_forgotten(now) {
            return Ok(None);
        }
        let request = Arc::new(request.parse(id)?);
        let notice = rows.remove(&notice_key(id));
        let notice =
            notice.map(|item| from_item::<NoticeItem>(item, &notice_key(id))?.parse()).transpose()?;
        let undelivered = readable_reports(rows.remove(&undelivered_key(id)), id);
        let outcome = rows.remove(&outcome_key(id));
        let stored = StoredApproval { request, notice, undelivered, outcome, keys: Arc::clone(&self.keys) };
        let redemption = rows.remove(&redemption_key(stored.request.id));
        let redemption = redemption.map(|item| receipt(item, &stored)).transpose()?;
        Ok(Some(RecordedApproval { stored, redemption }))
    }
}

fn receipt(item: Item, stored: &StoredApproval) -> Result<Receipt, Failure> {
    from_item::<RedemptionItem>(item, &redemption_key(stored.request.id))?.parse(stored.request.id)
}

/// The rows whose key begins with one of `prefixes`, in no order.
pub(crate) async fn scan(client: &Client, table: &str, prefixes: &[&str]) -> Result<Vec<Item>, Failure> {
    let name = |at: usize| format!(":p{at}");
    let filter: Vec<_> = (0..prefixes.len()).map(|at| format!("begins_with(pk, {})", name(at))).collect();
    let values = prefixes.iter().enumerate().map(|(at, prefix)| (name(at), text(*prefix))).collect();
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
