use std::time::Duration;

use sayso_model::{ApprovalId, Timestamp};

use super::{ApprovalError, ApprovalStatus, Approvals, MAX_WAIT};
use crate::Clock;

/// How long a long wait goes on without an answer from Sayso.
const PATIENCE: Duration = Duration::from_secs(120);

/// The pause before a Sayso that did not answer is asked again.
const RETRY_AFTER: Duration = Duration::from_secs(3);

/// The pause between two checks, so that a network that cuts them short does not cause a flood.
const BETWEEN_CHECKS: Duration = Duration::from_secs(1);

impl Approvals {
    /// Waits up to `wait` for the human, in as many checks as that takes. A wait that is longer than [`MAX_WAIT`] survives a
    /// Sayso that is out of reach or fails for up to two minutes at a time; a shorter one returns the first error.
    ///
    /// Dropping the future loses nothing: the approval stays, and another wait, in another process too, goes on with its id.
    pub async fn wait_for(
        &self,
        id: ApprovalId,
        wait: Duration,
        clock: &impl Clock,
    ) -> Result<ApprovalStatus, ApprovalError> {
        let until = clock.now().plus(wait);
        let mut lost_since: Option<Timestamp> = None;
        loop {
            let left = clock.now().until(until);
            let checked = self.check(id, left.min(MAX_WAIT)).await;
            let now = clock.now();
            let pause = match &checked {
                Ok(ApprovalStatus::Pending { .. }) => {
                    lost_since = None;
                    BETWEEN_CHECKS
                }
                Err(
                    ApprovalError::Unreachable | ApprovalError::Unanswered | ApprovalError::Failed { .. },
                ) if wait > MAX_WAIT && lost_since.get_or_insert(now).until(now) < PATIENCE => RETRY_AFTER,
                _ => return checked,
            };
            if now >= until {
                return checked;
            }
            clock.sleep(pause).await;
        }
    }
}
