//! The clock of this program: the library's.

use std::time::Duration;

use sayso_sdk::{Clock as _, SystemClock, Timestamp};

/// Now, to the second.
pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}

/// Waits.
pub(crate) async fn sleep(duration: Duration) {
    SystemClock.sleep(duration).await;
}
