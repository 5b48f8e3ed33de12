use std::time::{Duration, SystemTime};

use sayso_model::Timestamp;

/// The time, for whatever waits. [`SystemClock`] is the machine's; a test brings its own.
pub trait Clock: Send + Sync {
    /// Now, to the second.
    fn now(&self) -> Timestamp;

    /// Waits for `duration`.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;
}

/// The machine's clock. On a machine whose clock is off the calendar it is always the latest moment there is, at which every
/// token has expired.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one clock of gates, which link no sayso-cloud")]
    fn now(&self) -> Timestamp {
        Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::LATEST)
    }

    #[expect(clippy::disallowed_methods, reason = "the one clock of gates, which link no sayso-cloud")]
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
