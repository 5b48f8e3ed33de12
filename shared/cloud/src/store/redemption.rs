use std::time::Duration;

use sayso_model::{
    ActionDigest, ApprovalId, GateName, Nonce, ProvenBy, Receipt, Request, Retention, Timestamp, ToolName,
};
use serde::{Deserialize, Serialize};

use super::items::{Row, ttl};
use super::kind::Kind;
use super::{Item, Store, Written, from_item, to_item};
use crate::Failure;

/// Kept longer than the approval's other rows, by more than a token can be valid after the deadline (a day): no token
/// outlives the record of its use.
const LONGER: Duration = Duration::from_secs(2 * 86_400);

/// A token works once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redeemed {
    /// By this attempt: the same one may be told so again.
    Now(Receipt),
    /// By another.
    Before(Receipt),
}

#[derive(Serialize, Deserialize)]
pub(super) struct RedemptionItem {
    pk: String,
    at: i64,
    gate: String,
    tool: String,
    digest: String,
    proven_by: String,
    nonce_hash: String,
    ttl: i64,
}

impl RedemptionItem {
    fn new(request: &Request, receipt: &Receipt, nonce: &Nonce, retention: Retention) -> Self {
        Self {
            pk: Kind::Redemption.key(request.id),
            at: receipt.redeemed_at.as_unix_seconds(),
            gate: receipt.gate.as_str().to_owned(),
            tool: receipt.tool.as_str().to_owned(),
            digest: receipt.digest.to_string(),
            proven_by: receipt.proven_by.as_str().to_owned(),
            nonce_hash: nonce.hash(),
            ttl: ttl(request.closes_at.plus(LONGER), retention),
        }
    }

    pub(super) fn parse(self, id: ApprovalId) -> Result<Receipt, Failure> {
        let row = Row(&self.pk);
        Ok(Receipt {
            id,
            redeemed_at: row.parsed("at", Timestamp::from_unix_seconds(self.at))?,
            gate: row.parsed("gate", GateName::parse(&self.gate))?,
            tool: row.parsed("tool", ToolName::parse(&self.tool))?,
            digest: row.parsed("digest", ActionDigest::parse(&self.digest))?,
            proven_by: row.parsed("proven_by", ProvenBy::parse(&self.proven_by))?,
        })
    }
}

impl Store {
    /// Uses an approval up, if nobody has: one conditional write. A retry meets its own first try by its nonce, whether
    /// it comes from the gate or from inside the client.
    pub async fn redeem(
        &self,
        request: &Request,
        receipt: Receipt,
        nonce: &Nonce,
        retention: Retention,
    ) -> Result<Redeemed, Failure> {
        let item = to_item(&RedemptionItem::new(request, &receipt, nonce, retention))?;
        match self.put_first(item).await? {
            Written::Now => Ok(Redeemed::Now(receipt)),
            Written::Before(item) => redeemed_before(item, request, nonce),
        }
    }
}

fn redeemed_before(item: Item, request: &Request, nonce: &Nonce) -> Result<Redeemed, Failure> {
    let item: RedemptionItem = from_item(item, &Kind::Redemption.key(request.id))?;
    let same_attempt = item.nonce_hash == nonce.hash();
    let receipt = item.parse(request.id)?;
    Ok(if same_attempt { Redeemed::Now(receipt) } else { Redeemed::Before(receipt) })
}
