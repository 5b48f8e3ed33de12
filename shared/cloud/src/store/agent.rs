use sayso_model::{Agent, AgentKeyHash, AgentName, Approver, ApproverId, Audience, Audiences, EmailAddress};
use serde::{Deserialize, Serialize};

use super::items::Row;
use super::{Store, from_item, text, to_item};
use crate::Failure;

/// The operator's row. The approver's address is copied into it, so that a request needs one read.
#[derive(Serialize, Deserialize)]
struct AgentItem {
    pk: String,
    name: String,
    approver_id: String,
    approver_email: String,
    audiences: Vec<String>,
}

fn agent_key(key: AgentKeyHash) -> String {
    format!("AGENT#{key}")
}

impl Store {
    /// The agent that holds this key, if the operator registered one. Strongly consistent: a revoked key stops working
    /// with the next call.
    pub async fn agent(&self, key: AgentKeyHash) -> Result<Option<Agent>, Failure> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("pk", text(agent_key(key)))
            .consistent_read(true);
        let answer = get.send().await.map_err(|e| Failure::call("dynamodb:GetItem", &e))?;
        let Some(item) = answer.item else { return Ok(None) };
        let item: AgentItem = from_item(item, "AGENT#")?;
        let row = Row("AGENT#");
        let audiences = item.audiences.iter().map(|a| Audience::parse(a)).collect::<Result<Vec<_>, _>>();
        Ok(Some(Agent {
            name: row.parsed("name", AgentName::parse(&item.name))?,
            approver: Approver {
                id: row.parsed("approver_id", ApproverId::parse(&item.approver_id))?,
                email: row.parsed("approver_email", EmailAddress::parse(&item.approver_email))?,
            },
            audiences: row.parsed("audiences", audiences.and_then(Audiences::new))?,
        }))
    }

    /// Registers an agent under a key, or changes what is registered. For the operator: no function is permitted this.
    pub async fn register_agent(&self, key: AgentKeyHash, agent: &Agent) -> Result<(), Failure> {
        let item = AgentItem {
            pk: agent_key(key),
            name: agent.name.as_str().to_owned(),
            approver_id: agent.approver.id.as_str().to_owned(),
            approver_email: agent.approver.email.expose().to_owned(),
            audiences: agent.audiences.iter().map(|audience| audience.as_str().to_owned()).collect(),
        };
        let put = self.client.put_item().table_name(&self.table).set_item(Some(to_item(&item, "AGENT#")?));
        put.send().await.map_err(|e| Failure::call("dynamodb:PutItem", &e))?;
        Ok(())
    }
}
