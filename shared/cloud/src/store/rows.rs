use std::collections::HashMap;
use std::sync::Arc;

use sayso_model::token::Jwks;
use sayso_model::{ApprovalId, Receipt, Timestamp};

use super::items::{NoticeItem, RequestItem};
use super::kind::Kind;
use super::redemption::RedemptionItem;
use super::undelivered::readable_reports;
use super::{Item, StoredApproval, from_item, string};
use crate::Failure;

/// The rows of one approval, as they were read: a place for each of [`Kind::OF_AN_APPROVAL`].
#[derive(Default)]
pub(crate) struct ApprovalRows {
    pub(crate) request: Option<Item>,
    pub(crate) notice: Option<Item>,
    pub(crate) undelivered: Option<Item>,
    pub(crate) outcome: Option<Item>,
    pub(crate) redemption: Option<Item>,
}

/// A row whose key is of no approval: the key, and what is wrong with it.
pub(crate) type Misplaced = (String, String);

impl ApprovalRows {
    /// Sorts rows by the approvals that they are of.
    pub(crate) fn gather(
        items: impl IntoIterator<Item = Item>,
    ) -> (HashMap<ApprovalId, Self>, Vec<Misplaced>) {
        let (mut approvals, mut misplaced) = (HashMap::<_, Self>::new(), Vec::new());
        for item in items {
            let key = string(&item, "pk");
            match Kind::of_an_approval(&key) {
                Ok((kind, id)) => approvals.entry(id).or_default().put(kind, item),
                Err(problem) => misplaced.push((key, problem)),
            }
        }
        (approvals, misplaced)
    }

    /// The rows of this one among those that were read by their keys.
    pub(super) fn of(id: ApprovalId, rows: &mut HashMap<String, Item>) -> Self {
        let mut of_it = Self::default();
        for kind in Kind::OF_AN_APPROVAL {
            if let Some(item) = rows.remove(&kind.key(id)) {
                of_it.put(kind, item);
            }
        }
        of_it
    }

    fn put(&mut self, kind: Kind, item: Item) {
        let place = match kind {
            Kind::Request => &mut self.request,
            Kind::Notice => &mut self.notice,
            Kind::Undelivered => &mut self.undelivered,
            Kind::Outcome => &mut self.outcome,
            Kind::Redemption => &mut self.redemption,
            // Of no approval alone: see `Kind::OF_AN_APPROVAL`.
            Kind::Agent
            | Kind::Gate
            | Kind::Approver
            | Kind::Name
            | Kind::Open
            | Kind::Idempotency
            | Kind::Limit
            | Kind::Newer
            | Kind::Passkey
            | Kind::SignCount => return,
        };
        *place = Some(item);
    }

    /// The approval, unless there is none, or its time is over, and that its token was used.
    pub(crate) fn parse(
        self,
        id: ApprovalId,
        keys: &Arc<Jwks>,
        now: Timestamp,
    ) -> Result<Option<(StoredApproval, Option<Receipt>)>, Failure> {
        let Self { request, notice, undelivered, outcome, redemption } = self;
        let Some(request) = request else { return Ok(None) };
        let request = from_item::<RequestItem>(request, &Kind::Request.key(id))?;
        if request.is_forgotten(now) {
            return Ok(None);
        }
        let request = Arc::new(request.parse(id)?);
        let notice = notice.map(|item| from_item::<NoticeItem>(item, &Kind::Notice.key(id))?.parse());
        let redemption = redemption.map(|item| receipt(id, item)).transpose()?;
        let stored = StoredApproval {
            request,
            notice: notice.transpose()?,
            undelivered: readable_reports(undelivered, id),
            outcome,
            keys: Arc::clone(keys),
        };
        Ok(Some((stored, redemption)))
    }
}

/// That an approval was used.
pub(crate) fn receipt(id: ApprovalId, item: Item) -> Result<Receipt, Failure> {
    from_item::<RedemptionItem>(item, &Kind::Redemption.key(id))?.parse(id)
}
