use sayso_model::{ClosedApproval, Outcome, Retention};

use super::items::{OutcomeItem, outcome_key};
use super::{Store, Written, attested, to_item};
use crate::Failure;

/// Approve, deny, expire and withdraw race for one slot.
#[derive(Debug, Clone, PartialEq)]
pub enum Concluded {
    /// This outcome is the one.
    First(Outcome),
    /// Another was there first, and stands.
    Already(Outcome),
}

impl Concluded {
    /// The one outcome, whoever wrote it.
    pub fn into_outcome(self) -> Outcome {
        match self {
            Self::First(outcome) | Self::Already(outcome) => outcome,
        }
    }
}

impl Store {
    /// Records how an approval ended, if nothing else has.
    pub async fn conclude(&self, closed: ClosedApproval, retention: Retention) -> Result<Concluded, Failure> {
        let ClosedApproval { request, outcome } = closed;
        let item = to_item(&OutcomeItem::new(&request, &outcome, retention), &outcome_key(request.id))?;
        match self.put_first(item).await? {
            Written::Now => Ok(Concluded::First(outcome)),
            // A retry inside the client meets its own first attempt here: the same outcome, and it stands.
            Written::Before(item) => Ok(match attested(&request, item, &self.keys)? {
                same if same == outcome => Concluded::First(same),
                other => Concluded::Already(other),
            }),
        }
    }
}
