use sayso_model::{ApprovalId, Request, Retention};
use serde::{Deserialize, Serialize};

use super::items::{Row, ttl};
use super::{Item, Store, from_item, to_item};
use crate::{Failure, random};

/// That the agent has asked again, in other arguments, while an earlier request of its is open.
#[derive(Serialize, Deserialize)]
struct NewerItem {
    pk: String,
    newer: String,
    ttl: i64,
}

pub(super) fn newer_key(earlier: ApprovalId) -> String {
    format!("NEWER#{earlier}")
}

/// The newer request that a row names. It is only shown, so a row that cannot be read keeps nobody from deciding: it counts as
/// none, and is in the log.
pub(super) fn readable_newer(item: Option<Item>, earlier: ApprovalId) -> Option<ApprovalId> {
    let pk = newer_key(earlier);
    let named = |item| {
        let item: NewerItem = from_item(item, &pk)?;
        Row(&pk).parsed("newer", ApprovalId::parse(&item.newer))
    };
    item.map(named).transpose().unwrap_or_else(|failure: Failure| {
        let error_id = random::error_id();
        tracing::error!(error_id, approval_id = %earlier, %failure, "the row of a newer request cannot be read");
        None
    })
}

impl Store {
    /// Writes that `newer` was asked for while `earlier` is open. The last one that is written stands.
    pub async fn put_newer(
        &self,
        earlier: &Request,
        newer: ApprovalId,
        retention: Retention,
    ) -> Result<(), Failure> {
        let pk = newer_key(earlier.id);
        let row =
            NewerItem { pk: pk.clone(), newer: newer.to_string(), ttl: ttl(earlier.closes_at, retention) };
        let put = self.client.put_item().table_name(&self.table).set_item(Some(to_item(&row, &pk)?));
        put.send().await.map_err(|e| Failure::call("dynamodb:PutItem", &e))?;
        Ok(())
    }
}
