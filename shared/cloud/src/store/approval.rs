use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::types::KeysAndAttributes;
use sayso_model::token::Jwks;
use sayso_model::{
    Approval, ApprovalId, DecidingLink, LinkSecret, Notice, NoticeState, Outcome, Request, Status, Timestamp,
    Undelivered,
};
use tokio::time::timeout;

use super::kind::Kind;
use super::newer::readable_newer;
use super::rows::ApprovalRows;
use super::{Item, Store, attested, text};
use crate::{Failure, OPERATION_LIMIT};

const READ: &str = "dynamodb:BatchGetItem";

/// How often rows that DynamoDB left out under load are asked for again before the read counts as failed.
const MAX_READS: usize = 4;

/// Everything recorded of one approval. How it ended is read only once somebody may know: see [`StoredApproval::judge`].
#[derive(Clone)]
pub struct StoredApproval {
    /// What was asked.
    pub request: Arc<Request>,
    /// What is known of the mail.
    pub notice: Option<Notice>,
    /// Every report of a mail that did not arrive.
    pub undelivered: Vec<Undelivered>,
    pub(super) outcome: Option<Item>,
    pub(super) keys: Arc<Jwks>,
}

impl StoredApproval {
    /// The link, if some mail about this request carried `secret`.
    pub fn admit(&self, secret: LinkSecret) -> Option<DecidingLink> {
        DecidingLink::admit(secret, &self.request, self.notice.as_ref())
    }

    /// Whether the mail service is known to have taken a mail.
    pub fn is_mailed(&self) -> bool {
        self.notice.as_ref().is_some_and(|notice| matches!(notice.state, NoticeState::Accepted { .. }))
    }

    /// That the mail which counts, the newest that the mail service took, did not arrive.
    pub fn undelivered(&self) -> Option<&Undelivered> {
        let NoticeState::Accepted { message_id, .. } = &self.notice.as_ref()?.state else { return None };
        self.undelivered.iter().find(|report| report.message_id == *message_id)
    }

    /// How it stands now. Fails when the row says `approved` and its token does not.
    pub fn judge(&self, now: Timestamp) -> Result<Approval, Failure> {
        let outcome = self.outcome.clone();
        let outcome = outcome.map(|item| attested(&self.request, item, &self.keys)).transpose()?;
        Ok(Approval::judge(Arc::clone(&self.request), outcome, now))
    }

    /// The word for it while it is open: whether waiting for the approver is of any use.
    pub fn open_status(&self) -> Status {
        if self.undelivered().is_some() { Status::Undeliverable } else { Status::Pending }
    }
}

/// The token's use is nobody's business but `redeem`'s and the operator's.
fn approval_keys(id: ApprovalId) -> [String; 4] {
    [Kind::Request, Kind::Notice, Kind::Undelivered, Kind::Outcome].map(|kind| kind.key(id))
}

impl Store {
    /// Everything about one approval in one strongly consistent round trip; `None` if there is no such request, or none any
    /// more: a row past its `ttl` counts as deleted, as AWS advises.
    pub async fn approval(&self, id: ApprovalId, now: Timestamp) -> Result<Option<StoredApproval>, Failure> {
        let rows = self.read(approval_keys(id)).await?;
        self.stored(id, rows, now)
    }

    /// The same for the pages that decide, with the newest request of the same agent for the same tool that was asked while this
    /// one was open, if the agent has named this one as the earlier.
    pub async fn approval_and_newer(
        &self,
        id: ApprovalId,
        now: Timestamp,
    ) -> Result<Option<(StoredApproval, Option<ApprovalId>)>, Failure> {
        let mut rows = self.read(approval_keys(id).into_iter().chain([Kind::Newer.key(id)])).await?;
        let newer = rows.remove(&Kind::Newer.key(id));
        Ok(self.stored(id, rows, now)?.map(|stored| {
            let newer = readable_newer(newer, &stored.request);
            (stored, newer)
        }))
    }

    fn stored(
        &self,
        id: ApprovalId,
        mut rows: HashMap<String, Item>,
        now: Timestamp,
    ) -> Result<Option<StoredApproval>, Failure> {
        let parsed = ApprovalRows::of(id, &mut rows).parse(id, &self.keys, now)?;
        Ok(parsed.map(|(stored, _)| stored))
    }

    /// Whether the request has an outcome yet, at half the price and possibly a moment late: for waiting. State only
    /// moves forward, so a stale answer delays and never misleads.
    pub async fn outcome_so_far(&self, request: &Request) -> Result<Option<Outcome>, Failure> {
        let get =
            self.client.get_item().table_name(&self.table).key("pk", text(Kind::Outcome.key(request.id)));
        let answer = get.send().await.map_err(|e| Failure::call("dynamodb:GetItem", &e))?;
        answer.item.map(|item| attested(request, item, &self.keys)).transpose()
    }

    /// At most a hundred rows, strongly consistent, by their keys: however many calls that takes, in the time of one.
    pub(super) async fn read(
        &self,
        keys: impl IntoIterator<Item = String>,
    ) -> Result<HashMap<String, Item>, Failure> {
        let late = |_| Failure::Call { call: READ, code: "timed out".to_owned() };
        timeout(OPERATION_LIMIT, self.read_in_calls(keys)).await.map_err(late)?
    }

    async fn read_in_calls(
        &self,
        keys: impl IntoIterator<Item = String>,
    ) -> Result<HashMap<String, Item>, Failure> {
        let call = READ;
        let build = |e: aws_sdk_dynamodb::error::BuildError| Failure::Call { call, code: e.to_string() };
        let keys = keys.into_iter().map(|pk| HashMap::from([("pk".to_owned(), text(pk))])).collect();
        let wanted =
            KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build().map_err(build)?;
        let mut wanted = HashMap::from([(self.table.clone(), wanted)]);
        let mut rows = HashMap::new();
        for _ in 0..MAX_READS {
            let batch = self.client.batch_get_item().set_request_items(Some(wanted));
            let answer = batch.send().await.map_err(|e| Failure::call(call, &e))?;
            for item in answer.responses.unwrap_or_default().remove(&self.table).unwrap_or_default() {
                let pk = item.get("pk").and_then(|pk| pk.as_s().ok()).cloned().unwrap_or_default();
                rows.insert(pk, item);
            }
            wanted = answer.unprocessed_keys.unwrap_or_default();
            if wanted.is_empty() {
                return Ok(rows);
            }
        }
        // A row that was not read is not a row that is not there.
        Err(Failure::Call { call, code: "UnprocessedKeys".to_owned() })
    }
}
