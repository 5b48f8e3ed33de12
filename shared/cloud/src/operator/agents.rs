use sayso_model::{
    Agent, AgentKeyHash, AgentName, Approver, ApproverId, Audience, Audiences, Overlap, Timestamp,
};

use super::{Attempt, MAX_TRIES, Registry, RegistryError, RegistryRefusal, change};
use crate::Failure;
use crate::store::{
    AGENT, AgentItem, FIRST, Kind, Store, agent_key, from_item, number, string, text, to_item,
};

/// The most keys that one transaction ends, beside its other writes.
const MAX_KEYS: usize = 90;

/// An agent's key, as it is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredKey {
    /// The key's hash. The key itself is stored nowhere.
    pub hash: AgentKeyHash,
    /// The agent that it authenticates.
    pub agent: Agent,
    /// When it was created, if its row says so.
    pub created_at: Option<Timestamp>,
    /// When it stops working, if ever.
    pub valid_until: Option<Timestamp>,
}

impl RegisteredKey {
    /// Whether the key works at this time.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.valid_until.is_none_or(|end| now < end)
    }

    fn from_item(item: &AgentItem) -> Result<Self, Failure> {
        let hash = AgentKeyHash::parse(item.pk.strip_prefix(AGENT).unwrap_or_default());
        Ok(Self {
            hash: hash.map_err(|e| Failure::corrupt(AGENT, "pk", e))?,
            agent: item.parse()?,
            created_at: item.created_at()?,
            valid_until: item.valid_until()?,
        })
    }
}

/// The result of a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// The agent, as the new key's row has it.
    pub agent: Agent,
    /// How many old keys worked.
    pub old_keys: usize,
    /// When the last of them stops: now, or later.
    pub old_until: Timestamp,
}

impl Registry {
    /// All keys, sorted by agent, then by age, then by end.
    pub async fn keys(&self) -> Result<Vec<RegisteredKey>, Failure> {
        let rows = self.rows(Kind::Agent).await?.into_iter();
        let keys: Result<Vec<_>, _> =
            rows.map(|row| RegisteredKey::from_item(&from_item::<AgentItem>(row, AGENT)?)).collect();
        keys.map(|mut keys| {
            keys.sort_by_cached_key(|key| {
                let end = key.valid_until.unwrap_or(Timestamp::LATEST);
                (key.agent.name.clone(), key.created_at, end, key.hash.to_string())
            });
            keys
        })
    }

    /// Registers an agent with its first key. If `gates` is empty, the agent gets the only registered gate.
    pub async fn add_agent(
        &self,
        key: AgentKeyHash,
        name: &AgentName,
        approver: &ApproverId,
        gates: &[Audience],
        now: Timestamp,
    ) -> Result<Agent, RegistryError> {
        change(async |_| self.try_add(key, name, approver, gates, now).await).await
    }

    async fn try_add(
        &self,
        key: AgentKeyHash,
        name: &AgentName,
        approver: &ApproverId,
        gates: &[Audience],
        now: Timestamp,
    ) -> Result<Attempt<Agent>, RegistryError> {
        let revision = self.name_revision(name).await?;
        if let Some(row) = self.row(&agent_key(key)).await? {
            // Our own first attempt was written, but its answer was lost.
            return Ok(Attempt::Done(from_item::<AgentItem>(row, AGENT)?.parse()?));
        }
        if !self.rows_of(name).await?.is_empty() {
            return Err(RegistryRefusal::AgentTaken(name.clone()).into());
        }
        let approver = self
            .approver(approver)
            .await?
            .ok_or_else(|| RegistryRefusal::UnknownApprover(approver.clone()))?;
        let audiences = Audiences::new(self.choose_gates(gates).await?);
        let audiences = audiences.map_err(|e| Failure::corrupt(AGENT, "audiences", e))?;
        let agent = Agent { name: name.clone(), approver: approver.approver.clone(), audiences };
        let row = to_item(&AgentItem::new(key, &agent).created(now))?;
        let writes =
            vec![self.raise_name(name, revision)?, self.raise_approver(&approver)?, self.first(row)?];
        Ok(if self.transact(writes).await? { Attempt::Done(agent) } else { Attempt::Overtaken })
    }

    /// Registers a new key for an agent. The old keys stop after the overlap, or earlier if they had an earlier end.
    pub async fn rotate_agent(
        &self,
        key: AgentKeyHash,
        name: &AgentName,
        overlap: Overlap,
        now: Timestamp,
    ) -> Result<Rotated, RegistryError> {
        change(async |_| self.try_rotate(key, name, overlap, now).await).await
    }

    async fn try_rotate(
        &self,
        key: AgentKeyHash,
        name: &AgentName,
        overlap: Overlap,
        now: Timestamp,
    ) -> Result<Attempt<Rotated>, RegistryError> {
        let revision = self.name_revision(name).await?;
        let mut keys = self.keys().await?;
        keys.retain(|registered| registered.agent.name == *name);
        let until = now.plus(overlap.duration());
        if let Some(at) = keys.iter().position(|registered| registered.hash == key) {
            // Our own first attempt was written, but its answer was lost.
            let agent = keys.swap_remove(at).agent;
            return Ok(Attempt::Done(rotated(agent, &keys, until, now)));
        }
        if keys.len() > MAX_KEYS {
            return Err(RegistryRefusal::TooManyKeys(name.clone()).into());
        }
        let agent = self.registration(name, &keys, now)?;
        let (mut writes, agent) = self.for_new_key(name, revision, agent).await?;
        for old in &keys {
            writes.push(self.end(old, until, now)?);
        }
        writes.push(self.first(to_item(&AgentItem::new(key, &agent).created(now))?)?);
        let done = self.transact(writes).await?;
        Ok(if done { Attempt::Done(rotated(agent, &keys, until, now)) } else { Attempt::Overtaken })
    }

    /// The agent as its keys register it: the keys that work, or all keys if none works.
    fn registration(
        &self,
        name: &AgentName,
        keys: &[RegisteredKey],
        now: Timestamp,
    ) -> Result<Agent, RegistryRefusal> {
        let mut standing: Vec<_> = keys.iter().filter(|key| key.is_valid(now)).collect();
        if standing.is_empty() {
            standing = keys.iter().collect();
        }
        let (first, others) =
            standing.split_first().ok_or_else(|| RegistryRefusal::UnknownAgent(name.clone()))?;
        if others.iter().any(|other| other.agent != first.agent) {
            return Err(RegistryRefusal::AgentDiffers(name.clone()));
        }
        Ok(first.agent.clone())
    }

    /// The writes that go with every new key of an agent, and the agent with its approver as registered now. An approver
    /// that never was registered stays as the agent's row has it.
    async fn for_new_key(
        &self,
        name: &AgentName,
        revision: Option<u64>,
        agent: Agent,
    ) -> Result<(Vec<aws_sdk_dynamodb::types::TransactWriteItem>, Agent), Failure> {
        let mut writes = vec![self.raise_name(name, revision)?];
        let approver: Approver = match self.approver(&agent.approver.id).await? {
            Some(known) => {
                writes.push(self.raise_approver(&known)?);
                known.approver
            }
            None => agent.approver,
        };
        Ok((writes, Agent { approver, ..agent }))
    }

    /// Ends an old key. Deletes its row if the end is not in the future.
    fn end(
        &self,
        old: &RegisteredKey,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<aws_sdk_dynamodb::types::TransactWriteItem, Failure> {
        let pk = agent_key(old.hash);
        let end = old.valid_until.map_or(until, |end| end.min(until));
        if end <= now {
            return self.delete(&pk);
        }
        let values = [(":end", number(end.as_unix_seconds()))];
        self.update(&pk, "SET valid_until = :end, #ttl = :end", "attribute_exists(pk)", values)
    }

    /// Deletes every key of an agent, and returns how many there were.
    pub async fn revoke_agent(&self, name: &AgentName) -> Result<usize, RegistryError> {
        let mut revoked = 0;
        let mut tries = 0;
        loop {
            let revision = self.name_revision(name).await?;
            let rows = self.rows_of(name).await?;
            if rows.is_empty() {
                // An earlier try of this call removed them, or another caller did.
                return if tries > 0 {
                    Ok(revoked)
                } else {
                    Err(RegistryRefusal::UnknownAgent(name.clone()).into())
                };
            }
            let mut writes = vec![self.raise_name(name, revision)?];
            for pk in rows.iter().take(MAX_KEYS) {
                writes.push(self.delete(pk)?);
            }
            let keys = writes.len() - 1;
            if self.transact(writes).await? {
                revoked += keys;
                if keys == rows.len() {
                    return Ok(revoked);
                }
                tries = 1;
            } else {
                tries += 1;
                if tries > MAX_TRIES {
                    return Err(RegistryRefusal::Contended.into());
                }
            }
        }
    }

    /// Registers a key that expires, to test a deployment. It has no `NAME#` row, so only its own row has to be removed.
    pub async fn add_canary(
        &self,
        key: AgentKeyHash,
        agent: &Agent,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let item = to_item(&AgentItem::new(key, agent).created(now).until(until))?;
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        // Keys are random: a row that exists already was written by our own first attempt.
        match put.condition_expression(FIRST).send().await {
            Err(e) if !e.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) => {
                Err(Failure::call("dynamodb:PutItem", &e))
            }
            _ => Ok(()),
        }
    }

    /// Removes a canary's key.
    pub async fn remove_canary(&self, key: AgentKeyHash) -> Result<(), Failure> {
        let delete = self.client.delete_item().table_name(&self.table).key("pk", text(agent_key(key)));
        delete.send().await.map(drop).map_err(|e| Failure::call("dynamodb:DeleteItem", &e))
    }

    /// The keys of an agent's rows, whatever else is in them: a row that is corrupt can be revoked all the same.
    async fn rows_of(&self, name: &AgentName) -> Result<Vec<String>, Failure> {
        let rows = self.rows(Kind::Agent).await?;
        let own = rows.iter().filter(|row| string(row, "name") == name.as_str());
        Ok(own.map(|row| string(row, "pk")).collect())
    }
}

fn rotated(agent: Agent, old: &[RegisteredKey], until: Timestamp, now: Timestamp) -> Rotated {
    let old = old.iter().filter(|key| key.is_valid(now));
    let ends: Vec<_> = old.map(|key| key.valid_until.map_or(until, |end| end.min(until))).collect();
    Rotated { agent, old_keys: ends.len(), old_until: ends.into_iter().max().unwrap_or(now) }
}

impl Store {
    /// Registers an agent under a key, or changes what is registered. For the operator: no function is permitted this.
    pub async fn register_agent(&self, key: AgentKeyHash, agent: &Agent) -> Result<(), Failure> {
        let item = to_item(&AgentItem::new(key, agent))?;
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        put.send().await.map_err(|e| Failure::call("dynamodb:PutItem", &e))?;
        Ok(())
    }
}
