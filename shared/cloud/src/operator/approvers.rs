use aws_sdk_dynamodb::types::{Delete, TransactWriteItem};
use sayso_model::{AgentName, Approver, ApproverId, EmailAddress, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Attempt, Registry, RegistryError, RegistryRefusal, change, finish_put};
use crate::Failure;
use crate::store::transaction::TRANSACT;
use crate::store::{FIRST, Kind, from_item, number, string, text, to_item};

const APPROVER: &str = Kind::Approver.prefix();

/// A human who may be named as an agent's approver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredApprover {
    /// The id and the address.
    pub approver: Approver,
    /// When the id was registered.
    pub created_at: Timestamp,
    /// Raised by every change, and with every key that is registered for this approver.
    revision: u64,
}

#[derive(Serialize, Deserialize)]
struct ApproverItem {
    pk: String,
    email: String,
    created_at: i64,
    revision: u64,
}

fn approver_key(id: &ApproverId) -> String {
    Kind::Approver.key(id)
}

impl ApproverItem {
    fn parse(self) -> Result<RegisteredApprover, Failure> {
        let corrupt =
            |attribute, problem: &dyn ToString| Failure::corrupt(APPROVER, attribute, problem.to_string());
        let id = self.pk.strip_prefix(APPROVER).unwrap_or_default();
        Ok(RegisteredApprover {
            approver: Approver {
                id: ApproverId::parse(id).map_err(|e| corrupt("pk", &e))?,
                email: EmailAddress::parse(&self.email).map_err(|e| corrupt("email", &e))?,
            },
            created_at: Timestamp::from_unix_seconds(self.created_at)
                .map_err(|e| corrupt("created_at", &e))?,
            revision: self.revision,
        })
    }
}

impl Registry {
    /// The approver with this id, if there is one.
    pub async fn approver(&self, id: &ApproverId) -> Result<Option<RegisteredApprover>, Failure> {
        let row = self.row(&approver_key(id)).await?;
        row.map(|item| from_item::<ApproverItem>(item, APPROVER)?.parse()).transpose()
    }

    /// All approvers, sorted by id.
    pub async fn approvers(&self) -> Result<Vec<RegisteredApprover>, Failure> {
        let rows = self.rows(Kind::Approver).await?.into_iter();
        let all: Result<Vec<_>, _> =
            rows.map(|item| from_item::<ApproverItem>(item, APPROVER)?.parse()).collect();
        all.map(|mut approvers| {
            approvers.sort_by(|a, b| a.approver.id.cmp(&b.approver.id));
            approvers
        })
    }

    /// Registers an approver. With `replace`, changes the address of a registered id, also in the rows of its agents, and
    /// returns how many of their keys changed.
    pub async fn add_approver(
        &self,
        approver: &Approver,
        replace: bool,
        now: Timestamp,
    ) -> Result<usize, RegistryError> {
        change(async |attempt| {
            let known = self.approver(&approver.id).await?;
            // Our own first attempt was written, but its answer was lost.
            let ours = known.as_ref().is_some_and(|known| attempt > 0 && known.approver == *approver);
            if !replace && !ours {
                if known.is_some() {
                    return Err(RegistryRefusal::ApproverTaken(approver.id.clone()).into());
                }
                let differ = self.users(&approver.id, now, Some(&approver.email)).await?;
                if !differ.is_empty() {
                    return Err(RegistryRefusal::ApproverDiffers(approver.id.clone(), differ).into());
                }
            }
            let put = self.approver_put(approver, known.as_ref(), now)?;
            Ok(if ours || self.transact(vec![put]).await? { Attempt::Done(()) } else { Attempt::Overtaken })
        })
        .await?;
        if replace { self.spread(&approver.id).await } else { Ok(0) }
    }

    /// Removes an approver, unless an agent with a working key has it.
    pub async fn remove_approver(&self, id: &ApproverId, now: Timestamp) -> Result<(), RegistryError> {
        change(async |attempt| {
            let known = self.approver(id).await?;
            let users = self.users(id, now, None).await?;
            if !users.is_empty() {
                return Err(RegistryRefusal::ApproverInUse(id.clone(), users).into());
            }
            let Some(known) = known else {
                // Somebody removed it since we first saw it.
                let ours = (attempt > 0).then_some(Attempt::Done(()));
                return ours.ok_or_else(|| RegistryRefusal::UnknownApprover(id.clone()).into());
            };
            let values = [(":known".to_owned(), number(known.revision))].into();
            let approver = Delete::builder().table_name(&self.table).key("pk", text(approver_key(id)));
            let approver = approver
                .condition_expression("revision = :known")
                .set_expression_attribute_values(Some(values))
                .build()
                .map_err(|_| Failure::not_built(TRANSACT))?;
            // Whoever decides for nobody proves nothing any more.
            let passkeys = self.forget_passkeys(id, now)?;
            let writes = vec![TransactWriteItem::builder().delete(approver).build(), passkeys];
            Ok(if self.transact(writes).await? { Attempt::Done(()) } else { Attempt::Overtaken })
        })
        .await
    }

    /// A write for the transaction that registers a key for this approver. It fails if somebody has changed the approver since.
    pub(super) fn raise_approver(&self, known: &RegisteredApprover) -> Result<TransactWriteItem, Failure> {
        let values = [(":known", number(known.revision)), (":next", number(known.revision + 1))];
        let key = approver_key(&known.approver.id);
        self.update(&key, "SET revision = :next", "revision = :known", values)
    }

    fn approver_put(
        &self,
        approver: &Approver,
        known: Option<&RegisteredApprover>,
        now: Timestamp,
    ) -> Result<TransactWriteItem, Failure> {
        let item = ApproverItem {
            pk: approver_key(&approver.id),
            email: approver.email.expose().to_owned(),
            created_at: known.map_or(now, |known| known.created_at).as_unix_seconds(),
            revision: known.map_or(1, |known| known.revision + 1),
        };
        let put =
            aws_sdk_dynamodb::types::Put::builder().table_name(&self.table).set_item(Some(to_item(&item)?));
        finish_put(match known {
            None => put.condition_expression(FIRST),
            Some(known) => put
                .condition_expression("revision = :known")
                .expression_attribute_values(":known", number(known.revision)),
        })
    }

    /// The agents with a working key and this approver. With `but`, only those whose rows have another address.
    async fn users(
        &self,
        id: &ApproverId,
        now: Timestamp,
        but: Option<&EmailAddress>,
    ) -> Result<Vec<AgentName>, Failure> {
        let keys = self.keys().await?.into_iter().filter(|key| key.is_valid(now));
        let users = keys.filter(|key| {
            key.agent.approver.id == *id && but.is_none_or(|email| key.agent.approver.email != *email)
        });
        let mut names: Vec<AgentName> = users.map(|key| key.agent.name).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Copies the registered address into the agents' rows, and repeats that if the address changes meanwhile. So the last
    /// caller writes the last address.
    async fn spread(&self, id: &ApproverId) -> Result<usize, RegistryError> {
        let mut changed = 0;
        change(async |_| {
            let Some(known) = self.approver(id).await? else { return Ok(Attempt::Done(())) };
            let email = known.approver.email.expose();
            for row in self.rows(Kind::Agent).await? {
                let stale =
                    string(&row, "approver_id") == id.as_str() && string(&row, "approver_email") != email;
                if stale && self.readdress(&string(&row, "pk"), id, email).await? {
                    changed += 1;
                }
            }
            let still = self.approver(id).await?;
            let same = still.is_none_or(|still| still.revision == known.revision);
            Ok(if same { Attempt::Done(()) } else { Attempt::Overtaken })
        })
        .await?;
        Ok(changed)
    }

    /// Returns `false` if the key is gone or has another approver by now.
    async fn readdress(&self, pk: &str, id: &ApproverId, email: &str) -> Result<bool, Failure> {
        let values = [(":id", text(id.as_str())), (":email", text(email))];
        let update = self.update(pk, "SET approver_email = :email", "approver_id = :id", values)?;
        self.transact(vec![update]).await
    }
}
