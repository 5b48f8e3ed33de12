use sayso_model::{ApprovalId, Request, Retention, Timestamp};

use super::items::RequestItem;
use super::kind::Kind;
use super::{Store, Written, from_item, to_item};
use crate::Failure;

/// A request that a row names: it may not be written yet, or be forgotten already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestRef {
    /// Its id.
    pub id: ApprovalId,
    /// When it closes, or would have: after this a request that is not there will never be.
    pub closes_at: Timestamp,
}

impl Store {
    /// Writes a request, and says whether this call did: a request that is there already stays as it is. A retry inside
    /// the client that meets its own first attempt knows it by the hash of the secret.
    pub async fn put_request(&self, request: &Request, retention: Retention) -> Result<bool, Failure> {
        let row = Kind::Request.key(request.id);
        match self.put_first(to_item(&RequestItem::new(request, retention))?).await? {
            Written::Now => Ok(true),
            Written::Before(item) => {
                let there = from_item::<RequestItem>(item, &row)?.parse(request.id)?;
                Ok(there.link_secret_hash == request.link_secret_hash)
            }
        }
    }
}
