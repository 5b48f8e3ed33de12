//! All recorded approvals, for the operator. Reading them takes a scan, which no function is permitted.

use sayso_model::{ApprovalId, Receipt, Timestamp};

use crate::Failure;
use crate::store::{ApprovalRows, Kind, Store, StoredApproval, receipt, scan};

/// An approval and its redemption.
#[derive(Clone)]
pub struct RecordedApproval {
    /// The request, its mail and its outcome.
    pub stored: StoredApproval,
    /// The receipt, if its token was redeemed.
    pub redemption: Option<Receipt>,
}

/// The approvals whose rows have not expired, and the corrupt rows.
pub struct Recorded {
    /// The readable approvals, newest first.
    pub approvals: Vec<RecordedApproval>,
    /// Rows that Sayso cannot have written.
    pub corrupt: Vec<Failure>,
}

impl Store {
    /// Reads the whole table, page by page. What is written meanwhile may be missing.
    pub async fn recorded(&self, now: Timestamp) -> Result<Recorded, Failure> {
        let rows = scan(&self.client, &self.table, &Kind::OF_AN_APPROVAL).await?;
        let (approvals, _) = ApprovalRows::gather(rows);
        let mut approvals: Vec<_> = approvals.into_iter().collect();
        approvals.sort_unstable_by(|(a, _), (b, _)| b.cmp(a));
        let mut recorded = Recorded { approvals: Vec::new(), corrupt: Vec::new() };
        for (id, rows) in approvals {
            match rows.parse(id, &self.keys, now) {
                Ok(Some((stored, redemption))) => {
                    recorded.approvals.push(RecordedApproval { stored, redemption });
                }
                Ok(None) => {}
                Err(failure) => recorded.corrupt.push(failure),
            }
        }
        Ok(recorded)
    }

    /// One approval and its redemption, with strongly consistent reads.
    pub async fn recorded_approval(
        &self,
        id: ApprovalId,
        now: Timestamp,
    ) -> Result<Option<RecordedApproval>, Failure> {
        let Some(stored) = self.approval(id, now).await? else { return Ok(None) };
        let redemption = self.row(Kind::Redemption.key(id)).await?;
        let redemption = redemption.map(|item| receipt(id, item)).transpose()?;
        Ok(Some(RecordedApproval { stored, redemption }))
    }
}
