use sayso_model::{Approval, ClosedApproval, OpenApproval, Retention, Timestamp};

use super::items::OutcomeItem;
use super::{Store, StoredApproval, Written, attested, to_item};
use crate::Failure;

/// Approve, deny, expire and withdraw race for one row.
#[derive(Debug, Clone, PartialEq)]
pub enum Concluded {
    /// This is how it ended.
    First(ClosedApproval),
    /// Another outcome was recorded first, and this is the one that counts.
    Already(ClosedApproval),
}

impl Concluded {
    /// The one outcome, first or not.
    pub fn into_closed(self) -> ClosedApproval {
        match self {
            Self::First(closed) | Self::Already(closed) => closed,
        }
    }
}

/// An approval that is open or recorded as closed: never one whose deadline has passed without a record.
#[derive(Debug, Clone, PartialEq)]
pub enum Settled {
    /// Somebody may still decide.
    Open(OpenApproval),
    /// The outcome is recorded.
    Closed(ClosedApproval),
}

impl Store {
    /// Records how an approval ended, if nothing else has.
    pub async fn conclude(&self, closed: ClosedApproval, retention: Retention) -> Result<Concluded, Failure> {
        let ClosedApproval { request, outcome } = &closed;
        let item = to_item(&OutcomeItem::new(request, outcome, retention))?;
        match self.put_first(item).await? {
            Written::Now => Ok(Concluded::First(closed)),
            // A retry inside the client finds the row of its own first attempt: the same outcome, and it was first.
            Written::Before(item) => Ok(match attested(request, item, &self.keys)? {
                same if same == *outcome => Concluded::First(closed),
                outcome => Concluded::Already(ClosedApproval { outcome, ..closed }),
            }),
        }
    }

    /// How an approval stands. The first reader after the deadline records that it has expired, unless somebody decided
    /// at the last moment: that outcome counts.
    pub async fn settle(
        &self,
        stored: &StoredApproval,
        now: Timestamp,
        retention: Retention,
    ) -> Result<Settled, Failure> {
        match stored.judge(now)? {
            Approval::Open(open) => Ok(Settled::Open(open)),
            Approval::Closed(closed) => Ok(Settled::Closed(closed)),
            Approval::Overdue(overdue) => self
                .conclude(overdue.expire(), retention)
                .await
                .map(|concluded| Settled::Closed(concluded.into_closed())),
        }
    }
}
