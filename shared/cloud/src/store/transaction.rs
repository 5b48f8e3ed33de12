//! Several writes, all or none, and why none.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{CancellationReason, TransactWriteItem};

use crate::Failure;

pub(crate) const TRANSACT: &str = "dynamodb:TransactWriteItems";

/// What became of a transaction.
pub(crate) enum Transacted {
    /// All of it was written.
    Done,
    /// Nothing was: one reason a write, in their order.
    Cancelled(Vec<CancellationReason>),
}

/// Writes all or none.
pub(crate) async fn transact(client: &Client, writes: Vec<TransactWriteItem>) -> Result<Transacted, Failure> {
    let written = client.transact_write_items().set_transact_items(Some(writes)).send().await;
    let Err(error) = written else { return Ok(Transacted::Done) };
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            Ok(Transacted::Cancelled(cancelled.cancellation_reasons().to_vec()))
        }
        _ => Err(Failure::call(TRANSACT, &error)),
    }
}

/// The write's condition did not hold.
pub(crate) fn failed(reason: &CancellationReason) -> bool {
    reason.code() == Some("ConditionalCheckFailed")
}

/// The very same transaction may succeed a moment later.
pub(crate) fn is_contention(reason: &CancellationReason) -> bool {
    matches!(
        reason.code(),
        Some(
            "TransactionConflict"
                | "ThrottlingError"
                | "ProvisionedThroughputExceeded"
                | "RequestLimitExceeded"
        )
    )
}

/// Cancelled for reasons that no caller expects.
pub(crate) fn cancelled(reasons: &[CancellationReason]) -> Failure {
    let codes: Vec<&str> = reasons.iter().filter_map(CancellationReason::code).collect();
    Failure::Call { call: TRANSACT, code: format!("TransactionCanceledException [{}]", codes.join(", ")) }
}
