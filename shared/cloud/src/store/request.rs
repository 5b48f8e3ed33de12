use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
use sayso_model::{Request, Retention};

use super::items::{RequestItem, request_key};
use super::{FIRST, Store, Written, from_item, to_item, written};
use crate::Failure;

impl Store {
    /// Writes a request, and says whether this call did: a request that is there already stays as it is. A retry inside
    /// the client that meets its own first attempt knows it by the hash of the secret.
    pub async fn put_request(&self, request: &Request, retention: Retention) -> Result<bool, Failure> {
        let row = request_key(request.id);
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(to_item(&RequestItem::new(request, retention), &row)?))
            .condition_expression(FIRST)
            .return_values_on_condition_check_failure(AllOld);
        match written(put.send().await)? {
            Written::Now => Ok(true),
            Written::Before(Some(item)) => {
                let there = from_item::<RequestItem>(item, &row)?.parse(request.id)?;
                Ok(there.link_secret_hash == request.link_secret_hash)
            }
            Written::Before(None) => Ok(false),
        }
    }
}
