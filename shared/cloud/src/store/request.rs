use sayso_model::{Request, Retention};

use super::items::{RequestItem, request_key};
use super::{Store, Written, from_item, to_item};
use crate::Failure;

impl Store {
    /// Writes a request, and says whether this call did: a request that is there already stays as it is. A retry inside
    /// the client that meets its own first attempt knows it by the hash of the secret.
    pub async fn put_request(&self, request: &Request, retention: Retention) -> Result<bool, Failure> {
        let row = request_key(request.id);
        match self.put_first(to_item(&RequestItem::new(request, retention), &row)?).await? {
            Written::Now => Ok(true),
            Written::Before(item) => {
                let there = from_item::<RequestItem>(item, &row)?.parse(request.id)?;
                Ok(there.link_secret_hash == request.link_secret_hash)
            }
        }
    }
}
