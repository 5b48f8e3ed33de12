use aws_sdk_dynamodb::types::AttributeValue;
use sayso_model::{Notice, Request, Retention};

use super::items::NoticeItem;
use super::kind::Kind;
use super::{FIRST, Store, Written, from_item, text, to_item};
use crate::Failure;

/// The record is still the one that was read; `state` is a reserved word.
const UNCHANGED: &str = "attempt = :attempt AND #state = :state";

impl Store {
    /// Replaces what is recorded of the mail, if it is still `known`. Says whether it was: of many who claim the next
    /// attempt, one is told yes; a retry inside the client that meets its own first attempt is told yes too.
    pub async fn put_notice(
        &self,
        request: &Request,
        known: Option<&Notice>,
        notice: &Notice,
        retention: Retention,
    ) -> Result<bool, Failure> {
        let row = Kind::Notice.key(request.id);
        let item = to_item(&NoticeItem::new(request, notice, retention))?;
        let put = self.client.put_item().set_item(Some(item));
        let put = match known {
            None => put.condition_expression(FIRST),
            Some(known) => {
                let before = to_item(&NoticeItem::new(request, known, retention))?;
                let state = before.get("state").cloned().unwrap_or_else(|| text(""));
                put.condition_expression(UNCHANGED)
                    .expression_attribute_names("#state", "state")
                    .expression_attribute_values(":attempt", AttributeValue::N(known.attempt.to_string()))
                    .expression_attribute_values(":state", state)
            }
        };
        match self.put_if(put).await? {
            Written::Now => Ok(true),
            // The links make an attempt's record its own: each has a secret of its own.
            Written::Before(item) => Ok(from_item::<NoticeItem>(item, &row)?.parse()? == *notice),
        }
    }
}
