//! What only the operator may do: register agents, approvers and gates, list them, revoke keys.
//!
//! `mcp` reads the rows of agents and gates. Two more kinds of rows are for the operator alone, and no function has access
//! to them: `APPROVER#<id>` and `NAME#<agent>`. A `NAME#` row holds a revision, which every change of the agent's keys
//! raises in the same transaction. An approver's row holds one, too, which every new key for the approver raises. So if two
//! operators change the same thing at once, the second one reads again and is told. Older tables are read as well: there an
//! agent may have no `NAME#` row, and its approver may never have been registered.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::builders::PutBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, CancellationReason, Delete, Put, TransactWriteItem, Update};
use sayso_model::{AgentName, ApproverId, Audience};
use thiserror::Error;

use crate::Failure;
use crate::store::transaction::{TRANSACT, Transacted, cancelled, failed, transact};
use crate::store::{FIRST, Item, Kind, number, row, scan, text};

mod agents;
mod approvers;
mod audit;
mod gates;
mod health;
mod passkeys;
mod recorded;
mod sending;

pub use crate::store::RegisteredGate;
pub use agents::{RegisteredKey, Rotated};
pub use approvers::RegisteredApprover;
pub use audit::Audited;
pub use health::{Expiry, TableHealth};
pub use passkeys::WhichPasskeys;
pub use recorded::{Recorded, RecordedApproval};
pub use sending::{Dkim, Identity, MailFrom, Sending, SendingQuota, SendingReader};

/// How often a change is tried while others change the same thing.
const MAX_TRIES: usize = 5;

/// The operator's side of the table.
#[derive(Clone)]
pub struct Registry {
    client: Client,
    table: String,
}

/// Why a change was not made.
#[derive(Debug, Error)]
pub enum RegistryError {
    /// The change does not fit what is registered.
    #[error(transparent)]
    Refused(#[from] RegistryRefusal),
    /// A call to AWS failed, or a row is corrupt.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Why the registry refuses a change. `Display` states the fact; the caller adds what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RegistryRefusal {
    /// An agent with this name exists.
    #[error("an agent {0} is registered already")]
    AgentTaken(AgentName),
    /// No agent has this name.
    #[error("no agent {0} is registered")]
    UnknownAgent(AgentName),
    /// The agent's keys have different approvers or gates.
    #[error("the keys of the agent {0} have different approvers or gates")]
    AgentDiffers(AgentName),
    /// The agent has more keys than one transaction can end.
    #[error("the agent {0} has too many keys to end them at one moment")]
    TooManyKeys(AgentName),
    /// No approver has this id.
    #[error("no approver {0} is registered")]
    UnknownApprover(ApproverId),
    /// An approver with this id exists.
    #[error("an approver {0} is registered already")]
    ApproverTaken(ApproverId),
    /// Agents have this approver with another address.
    #[error("agents have an approver {0} with another address ({agents})", agents = names(.1))]
    ApproverDiffers(ApproverId, Vec<AgentName>),
    /// Agents with a working key still have this approver.
    #[error("the approver {0} decides for {agents}", agents = names(.1))]
    ApproverInUse(ApproverId, Vec<AgentName>),
    /// The approver has no such passkey.
    #[error("the approver {0} has no such passkey")]
    UnknownPasskey(ApproverId),
    /// No gate has this audience.
    #[error("no gate {0} is registered")]
    UnknownGate(Audience),
    /// A gate with this audience exists.
    #[error("a gate {0} is registered already")]
    GateTaken(Audience),
    /// No gate was named, and none is registered.
    #[error("no gate is registered")]
    NoGates,
    /// No gate was named, and several are registered.
    #[error("several gates are registered")]
    WhichGate,
    /// Others kept changing the same rows.
    #[error("others are changing the same registration at this moment")]
    Contended,
}

/// How one attempt at a change ended.
enum Attempt<T> {
    Done(T),
    /// Somebody else changed the rows that it was based on.
    Overtaken,
}

/// Makes a change, and tries again if somebody else was first. The first attempt has the number 0.
async fn change<T>(
    mut attempt: impl AsyncFnMut(usize) -> Result<Attempt<T>, RegistryError>,
) -> Result<T, RegistryError> {
    for number in 0..MAX_TRIES {
        if let Attempt::Done(done) = attempt(number).await? {
            return Ok(done);
        }
    }
    Err(RegistryRefusal::Contended.into())
}

fn names(agents: &[AgentName]) -> String {
    agents.iter().map(AgentName::as_str).collect::<Vec<_>>().join(", ")
}

impl Registry {
    /// The registry in this table.
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    async fn rows(&self, kind: Kind) -> Result<Vec<Item>, Failure> {
        scan(&self.client, &self.table, &[kind]).await
    }

    async fn row(&self, pk: &str) -> Result<Option<Item>, Failure> {
        row(&self.client, &self.table, pk).await
    }

    /// Writes all or nothing. Returns `false` if somebody else changed a row first.
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

    /// Raises the revision of a `NAME#` row from `known`, or creates the row. What else is in it stays.
    fn raise_name(&self, name: &AgentName, known: Option<u64>) -> Result<TransactWriteItem, Failure> {
        let next = (":next", number(known.unwrap_or_default() + 1));
        let (key, change) = (name_key(name), "SET revision = :next");
        match known {
            None => self.update(&key, change, FIRST, [next]),
            Some(known) => self.update(&key, change, "revision = :known", [next, (":known", number(known))]),
        }
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
        self.write(pk, change, Some(condition), values)
    }

    fn write(
        &self,
        pk: &str,
        change: &str,
        condition: Option<&str>,
        values: impl IntoIterator<Item = (&'static str, AttributeValue)>,
    ) -> Result<TransactWriteItem, Failure> {
        let update = Update::builder().table_name(&self.table).key("pk", text(pk)).update_expression(change);
        let values = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let update = update
            .set_condition_expression(condition.map(str::to_owned))
            .set_expression_attribute_values(Some(values))
            // `ttl` is a reserved word in expressions.
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
