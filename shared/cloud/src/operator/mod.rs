//! What only the operator may do: register agents, approvers and gates, list them, revoke keys.
//!
//! Beside the agents' and the gates' rows, which `mcp` reads, there are two kinds of rows that no function is permitted:
//! `APPROVER#<id>` and `NAME#<agent>`. The last holds a revision, which every change of an agent's
//! keys raises in the same transaction; an approver's row has one, which every key that is made for it raises. So of
//! two operators at once one goes second, reads again and is told. What was there before these rows is read as well:
//! an agent without a `NAME#` row and one whose approver was never registered.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::builders::PutBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, CancellationReason, Delete, Put, TransactWriteItem, Update};
use sayso_model::{AgentName, ApproverId, Audience};
use thiserror::Error;

use crate::Failure;
use crate::store::transaction::{TRANSACT, Transacted, cancelled, failed, transact};
use crate::store::{FIRST, Item, Kind, number, scan, text};

mod agents;
mod approvers;
mod audit;
mod gates;
mod health;
mod recorded;
mod sending;

pub use crate::store::RegisteredGate;
pub use agents::{RegisteredKey, Rotated};
pub use approvers::RegisteredApprover;
pub use audit::Audited;
pub use health::{Expiry, TableHealth};
pub use recorded::{Recorded, RecordedApproval};
pub use sending::{Dkim, Identity, MailFrom, Sending, SendingQuota, SendingReader};

/// How often a change that another overtook is begun again.
const MAX_TRIES: usize = 5;

/// The operator's side of the table.
#[derive(Clone)]
pub struct Registry {
    client: Client,
    table: String,
}

/// A change that was not made.
#[derive(Debug, Error)]
pub enum NotDone {
    /// The registry says no.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The plumbing broke.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Why the registry says no. `Display` is the fact; what to do about it depends on who asks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// The name is an agent's.
    #[error("an agent {0} is registered already")]
    AgentTaken(AgentName),
    /// No agent has the name.
    #[error("no agent {0} is registered")]
    UnknownAgent(AgentName),
    /// Its keys stand for different things.
    #[error("the keys of the agent {0} have different approvers or gates")]
    AgentDiffers(AgentName),
    /// More rows than one transaction writes.
    #[error("the agent {0} has too many keys to end them at one moment")]
    TooManyKeys(AgentName),
    /// No approver has the id.
    #[error("no approver {0} is registered")]
    UnknownApprover(ApproverId),
    /// The id is an approver's.
    #[error("an approver {0} is registered already")]
    ApproverTaken(ApproverId),
    /// Agents know the id by another address.
    #[error("agents have an approver {0} with another address ({agents})", agents = names(.1))]
    ApproverDiffers(ApproverId, Vec<AgentName>),
    /// Agents ask this approver.
    #[error("the approver {0} decides for {agents}", agents = names(.1))]
    ApproverInUse(ApproverId, Vec<AgentName>),
    /// No such gate.
    #[error("no gate {0} is registered")]
    UnknownGate(Audience),
    /// The audience is a gate's.
    #[error("a gate {0} is registered already")]
    GateTaken(Audience),
    /// There is none to take for granted.
    #[error("no gate is registered")]
    NoGates,
    /// There is more than one to choose from.
    #[error("several gates are registered")]
    WhichGate,
    /// Others kept changing the same thing.
    #[error("others are changing the same registration at this moment")]
    Contended,
}

/// How one attempt at a change ended.
enum Attempt<T> {
    Done(T),
    /// Somebody changed what it was made of.
    Overtaken,
}

/// Makes a change, and begins again each time that somebody else was first. The number of the first attempt is 0.
async fn change<T>(mut attempt: impl AsyncFnMut(usize) -> Result<Attempt<T>, NotDone>) -> Result<T, NotDone> {
    for number in 0..MAX_TRIES {
        if let Attempt::Done(done) = attempt(number).await? {
            return Ok(done);
        }
    }
    Err(Refused::Contended.into())
}

fn names(agents: &[AgentName]) -> String {
    agents.iter().map(AgentName::as_str).collect::<Vec<_>>().join(", ")
}

impl Registry {
    /// Of the deployment with this table.
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    async fn rows(&self, kind: Kind) -> Result<Vec<Item>, Failure> {
        scan(&self.client, &self.table, &[kind]).await
    }

    async fn row(&self, pk: &str) -> Result<Option<Item>, Failure> {
        let get = self.client.get_item().table_name(&self.table).key("pk", text(pk)).consistent_read(true);
        Ok(get.send().await.map_err(|e| Failure::call("dynamodb:GetItem", &e))?.item)
    }

    /// Writes all or none; `false` when a condition does not hold, or no longer.
    async fn transact(&self, writes: Vec<TransactWriteItem>) -> Result<bool, Failure> {
        match transact(&self.client, writes).await? {
            Transacted::Done => Ok(true),
            Transacted::Cancelled(reasons) if reasons.iter().all(is_race) => Ok(false),
            Transacted::Cancelled(reasons) => Err(cancelled(&reasons)),
        }
    }

    fn first(&self, item: Item) -> Result<TransactWriteItem, Failure> {
        let put = Put::builder().table_name(&self.table).set_item(Some(item));
        finish_put(put.condition_expression(FIRST))
    }

    /// Raises the revision of a `NAME#` row: from `known`, or from nothing.
    fn raise_name(&self, name: &AgentName, known: Option<u64>) -> Result<TransactWriteItem, Failure> {
        let item = Item::from([
            ("pk".to_owned(), text(name_key(name))),
            ("revision".to_owned(), number(known.unwrap_or_default() + 1)),
        ]);
        let put = Put::builder().table_name(&self.table).set_item(Some(item));
        finish_put(match known {
            None => put.condition_expression(FIRST),
            Some(known) => put
                .condition_expression("revision = :known")
                .expression_attribute_values(":known", number(known)),
        })
    }

    fn delete(&self, pk: &str) -> Result<TransactWriteItem, Failure> {
        let delete = Delete::builder().table_name(&self.table).key("pk", text(pk));
        let delete = delete.build().map_err(|_| Failure::not_built(TRANSACT))?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    fn update(
        &self,
        pk: &str,
        change: &str,
        condition: &str,
        values: impl IntoIterator<Item = (&'static str, AttributeValue)>,
    ) -> Result<TransactWriteItem, Failure> {
        let update = Update::builder().table_name(&self.table).key("pk", text(pk)).update_expression(change);
        let values = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let update = update
            .condition_expression(condition)
            .set_expression_attribute_values(Some(values))
            // `ttl` is a word that expressions reserve.
            .set_expression_attribute_names(
                change.contains("#ttl").then(|| [("#ttl".to_owned(), "ttl".to_owned())].into()),
            )
            .build()
            .map_err(|_| Failure::not_built(TRANSACT))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    async fn name_revision(&self, name: &AgentName) -> Result<Option<u64>, Failure> {
        let key = name_key(name);
        self.row(&key).await?.map(|item| revision(&item, &key)).transpose()
    }
}

/// Somebody else changed the same thing, or this write is not what the transaction was cancelled for.
fn is_race(reason: &CancellationReason) -> bool {
    matches!(reason.code(), None | Some("None" | "TransactionConflict")) || failed(reason)
}

fn name_key(name: &AgentName) -> String {
    Kind::Name.key(name)
}

fn finish_put(put: PutBuilder) -> Result<TransactWriteItem, Failure> {
    let put = put.build().map_err(|_| Failure::not_built(TRANSACT))?;
    Ok(TransactWriteItem::builder().put(put).build())
}

fn revision(item: &Item, row: &str) -> Result<u64, Failure> {
    let digits = item.get("revision").and_then(|value| value.as_n().ok());
    let number = digits.and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| Failure::corrupt(row, "revision", "not a whole number"))
}
