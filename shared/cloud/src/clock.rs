use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use sayso_model::Timestamp;
use tokio::sync::watch;

/// The time, and waiting for it. Tests script it: there, time passes only when the script says so.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System { started: Instant },
    Scripted(Arc<watch::Sender<Duration>>),
}

impl Clock {
    /// The machine's clock.
    #[expect(clippy::disallowed_methods, reason = "the one clock")]
    pub fn system() -> Self {
        Self(Source::System { started: Instant::now() })
    }

    /// A clock that stands at `start` until [`Clock::advance`] moves it.
    pub fn scripted(start: Timestamp) -> Self {
        let seconds = u64::try_from(start.as_unix_seconds()).unwrap_or_default();
        Self(Source::Scripted(Arc::new(watch::Sender::new(Duration::from_secs(seconds)))))
    }

    /// Now, to the second.
    #[expect(clippy::disallowed_methods, reason = "the one clock")]
    pub fn now(&self) -> Timestamp {
        let since_epoch = match &self.0 {
            Source::System { .. } => {
                SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
            }
            Source::Scripted(now) => *now.borrow(),
        };
        let seconds = i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX);
        // A machine whose clock is off the calendar gets its end, at which everything is overdue.
        Timestamp::from_unix_seconds(seconds).unwrap_or(Timestamp::LATEST)
    }

    /// A reading that only ever grows, whatever is done to the machine's date: for the length of a wait.
    pub fn elapsed(&self) -> Duration {
        match &self.0 {
            Source::System { started } => started.elapsed(),
            Source::Scripted(now) => *now.borrow(),
        }
    }

    /// Waits until `duration` has passed on this clock.
    #[expect(clippy::disallowed_methods, reason = "the one clock")]
    pub async fn sleep(&self, duration: Duration) {
        match &self.0 {
            Source::System { .. } => tokio::time::sleep(duration).await,
            Source::Scripted(now) => {
                let until = *now.borrow() + duration;
                // The sender lives in `self`, so waiting cannot fail.
                let _ = now.subscribe().wait_for(|now| *now >= until).await;
            }
        }
    }

    /// Moves a scripted clock forward; the machine's clock stays as it is.
    pub fn advance(&self, duration: Duration) {
        if let Source::Scripted(now) = &self.0 {
            now.send_modify(|now| *now += duration);
        }
    }
}
