use sayso_model::{
    Agent, AgentKeyHash, AgentName, Approver, ApproverId, Audience, Audiences, EmailAddress, Timestamp,
};
use serde::{Deserialize, Serialize};

use super::items::Row;
use super::kind::Kind;
use super::{Store, from_item};
use crate::Failure;

/// The operator's row: one a key. The approver's address is copied into it, so that a request needs one read.
#[derive(Serialize, Deserialize)]
pub(crate) struct AgentItem {
    pub(crate) pk: String,
    name: String,
    approver_id: String,
    approver_email: String,
    audiences: Vec<String>,
    /// Absent from rows that the template's command or an early version wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created_at: Option<i64>,
    /// Absent while nobody has set an end to the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    valid_until: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ttl: Option<i64>,
}

/// What begins the key of every agent's row.
pub(crate) const AGENT: &str = Kind::Agent.prefix();

pub(crate) fn agent_key(key: AgentKeyHash) -> String {
    Kind::Agent.key(key)
}

impl AgentItem {
    pub(crate) fn new(key: AgentKeyHash, agent: &Agent) -> Self {
        Self {
            pk: agent_key(key),
            name: agent.name.as_str().to_owned(),
            approver_id: agent.approver.id.as_str().to_owned(),
            approver_email: agent.approver.email.expose().to_owned(),
            audiences: agent.audiences.iter().map(|audience| audience.as_str().to_owned()).collect(),
            created_at: None,
            valid_until: None,
            ttl: None,
        }
    }

    pub(crate) fn created(self, at: Timestamp) -> Self {
        Self { created_at: Some(at.as_unix_seconds()), ..self }
    }

    /// The row goes by itself some time after the key has stopped.
    pub(crate) fn until(self, end: Timestamp) -> Self {
        let end = end.as_unix_seconds();
        Self { valid_until: Some(end), ttl: Some(end), ..self }
    }

    pub(crate) fn created_at(&self) -> Result<Option<Timestamp>, Failure> {
        let at = self.created_at.map(Timestamp::from_unix_seconds).transpose();
        Row(AGENT).parsed("created_at", at)
    }

    pub(crate) fn valid_until(&self) -> Result<Option<Timestamp>, Failure> {
        let end = self.valid_until.map(Timestamp::from_unix_seconds).transpose();
        Row(AGENT).parsed("valid_until", end)
    }

    pub(crate) fn parse(&self) -> Result<Agent, Failure> {
        let row = Row(AGENT);
        let audiences = self.audiences.iter().map(|a| Audience::parse(a)).collect::<Result<Vec<_>, _>>();
        Ok(Agent {
            name: row.parsed("name", AgentName::parse(&self.name))?,
            approver: Approver {
                id: row.parsed("approver_id", ApproverId::parse(&self.approver_id))?,
                email: row.parsed("approver_email", EmailAddress::parse(&self.approver_email))?,
            },
            audiences: row.parsed("audiences", audiences.and_then(Audiences::new))?,
        })
    }
}

impl Store {
    /// The agent that holds this key, if the operator registered one and set no end to the key that has come. Strongly
    /// consistent: a revoked key stops working with the next call. DynamoDB may keep a row for days after its end, so
    /// the clock judges.
    pub async fn agent(&self, key: AgentKeyHash, now: Timestamp) -> Result<Option<Agent>, Failure> {
        let Some(item) = self.row(agent_key(key)).await? else { return Ok(None) };
        let item: AgentItem = from_item(item, AGENT)?;
        if item.valid_until()?.is_some_and(|end| end <= now) {
            return Ok(None);
        }
        item.parse().map(Some)
    }
}
