use sayso_model::{ApprovalId, Request, Retention};
use serde::{Deserialize, Serialize};

use super::items::{Row, ttl};
use super::{Item, Store, from_item, to_item};
use crate::Failure;

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

/// The newer request that a row names.
pub(super) fn newer(item: Item, earlier: ApprovalId) -> Result<ApprovalId, Failure> {
    let pk = newer_key(earlier);
    let item: NewerItem = from_item(item, &pk)?;
    Row(&pk).parsed("newer", ApprovalId::parse(&item.newer))
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
