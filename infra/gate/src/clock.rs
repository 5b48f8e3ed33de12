//! This program's clock: the SDK's [`SystemClock`].

use std::time::Duration;

use sayso_sdk::{Clock as _, SystemClock, Timestamp};

/// Now, to the second.
pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}

pub(crate) async fn sleep(duration: Duration) {
    SystemClock.sleep(duration).await;
}
