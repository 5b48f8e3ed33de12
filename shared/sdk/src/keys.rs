use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sayso_model::Timestamp;
use sayso_model::token::Jwks;
use tokio::sync::Mutex;

use crate::Refusal;
use crate::issuer::{IssuerClient, Published};

/// The longest that keys are used without asking again, whatever their `max-age` says: how late a withdrawn key can be
/// noticed.
pub const MAX_FRESH: Duration = Duration::from_secs(300);

/// How soon after one fetch a token with an unknown `kid` may cause another: a new key is published long before it signs,
/// and a flood of invented ids costs one fetch a minute.
pub const REFETCH_INTERVAL: Duration = Duration::from_secs(60);

/// The issuer's keys, fetched on demand by one caller at a time. Callers that need the same fetch share its result; callers
/// whose key is cached and fresh never wait.
#[derive(Debug, Default)]
pub(crate) struct KeyCache {
    held: RwLock<Option<Held>>,
    fetching: Mutex<LastFailure>,
}

/// Callers in the same second share this failure, so that a flood during an outage costs one fetch a second.
type LastFailure = Option<Timestamp>;

#[derive(Debug)]
struct Held {
    keys: Arc<Jwks>,
    since: Timestamp,
    max_age: Duration,
}

impl Held {
    fn has(&self, kid: &str) -> bool {
        self.keys.keys.iter().any(|key| key.kid == kid)
    }

    /// Whether these keys are what a token with this `kid` is judged by, or the issuer is asked first.
    fn will_do(&self, kid: &str, now: Timestamp) -> bool {
        let limit = if self.has(kid) { self.max_age.min(MAX_FRESH) } else { REFETCH_INTERVAL };
        self.age(now) < limit
    }

    /// How far off `now` is: a clock that was set back does not make keys last.
    fn age(&self, now: Timestamp) -> Duration {
        now.until(self.since).max(self.since.until(now))
    }
}

impl KeyCache {
    /// The keys to judge a token with this `kid` by. `kid` is only compared, whatever it is.
    pub(crate) async fn holding(
        &self,
        kid: &str,
        issuer: &IssuerClient,
        now: Timestamp,
    ) -> Result<Arc<Jwks>, Refusal> {
        if let Some(keys) = self.at_hand(kid, now) {
            return Ok(keys);
        }
        let mut failed_at = self.fetching.lock().await;
        // Somebody may have fetched them in the meantime.
        if let Some(keys) = self.at_hand(kid, now) {
            return Ok(keys);
        }
        if *failed_at == Some(now) {
            return Err(Refusal::KeysUnavailable);
        }
        let Some(Published { keys, max_age }) = issuer.keys().await else {
            *failed_at = Some(now);
            return Err(Refusal::KeysUnavailable);
        };
        let keys = Arc::new(keys);
        let held = Held { keys: Arc::clone(&keys), since: now, max_age };
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Some(held);
        Ok(keys)
    }

    fn at_hand(&self, kid: &str, now: Timestamp) -> Option<Arc<Jwks>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().filter(|held| held.will_do(kid, now)).map(|held| Arc::clone(&held.keys))
    }
}
