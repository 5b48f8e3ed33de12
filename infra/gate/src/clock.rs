//! The one clock of this program.

use std::time::{Duration, SystemTime};

use sayso_model::Timestamp;

/// Now, to the second; on a machine whose clock is off the calendar a moment at which every token has expired.
#[expect(clippy::disallowed_methods, reason = "the one clock: a gate links no sayso-cloud")]
pub(crate) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_unix_seconds(seconds).unwrap_or(Timestamp::LATEST)
}

/// Waits.
#[expect(clippy::disallowed_methods, reason = "the one clock: a gate links no sayso-cloud")]
pub(crate) async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}
