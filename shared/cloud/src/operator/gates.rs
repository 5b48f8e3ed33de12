use sayso_model::{Audience, GateDescription, Timestamp};
use serde::{Deserialize, Serialize};

use super::{NotDone, Refused, Registry};
use crate::store::{FIRST, from_item, string, to_item};
use crate::{Failure, random};

const GATE: &str = "GATE#";

/// A gate that agents may be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredGate {
    /// The `aud` of its tokens.
    pub audience: Audience,
    /// In the operator's words.
    pub description: Option<GateDescription>,
    /// When it was registered.
    pub created_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct GateItem {
    pk: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    created_at: i64,
    /// Made at random for each write, so that a retry knows its own first attempt.
    write: String,
}

fn gate_key(audience: &Audience) -> String {
    format!("{GATE}{audience}")
}

impl Registry {
    /// Registers a gate.
    pub async fn add_gate(&self, gate: &RegisteredGate) -> Result<(), NotDone> {
        let item = GateItem {
            pk: gate_key(&gate.audience),
            description: gate.description.as_ref().map(|words| words.as_str().to_owned()),
            created_at: gate.created_at.as_unix_seconds(),
            write: random::error_id(),
        };
        let put = self.client.put_item().table_name(&self.table).set_item(Some(to_item(&item, GATE)?));
        let Err(error) = put.condition_expression(FIRST).send().await else { return Ok(()) };
        if !error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) {
            return Err(Failure::call("dynamodb:PutItem", &error).into());
        }
        // A retry inside the client meets its own first attempt here.
        let there = self.row(&item.pk).await?;
        if there.is_some_and(|there| string(&there, "write") == item.write) {
            return Ok(());
        }
        Err(Refused::GateTaken(gate.audience.clone()).into())
    }

    /// One gate.
    pub async fn gate(&self, audience: &Audience) -> Result<Option<RegisteredGate>, Failure> {
        let row = self.row(&gate_key(audience)).await?;
        row.map(|item| from_item::<GateItem>(item, GATE)?.parse()).transpose()
    }

    /// All gates, by name.
    pub async fn gates(&self) -> Result<Vec<RegisteredGate>, Failure> {
        let rows = self.rows(GATE).await?.into_iter();
        let gates: Result<Vec<_>, _> = rows.map(|item| from_item::<GateItem>(item, GATE)?.parse()).collect();
        gates.map(|mut gates| {
            gates.sort_by(|a, b| a.audience.cmp(&b.audience));
            gates
        })
    }

    /// The gates an agent is to be given: those that were named, all of them registered, or else the only one.
    pub(super) async fn choose_gates(&self, asked: &[Audience]) -> Result<Vec<Audience>, NotDone> {
        if asked.is_empty() {
            let mut gates = self.gates().await?.into_iter();
            return match (gates.next(), gates.next()) {
                (Some(only), None) => Ok(vec![only.audience]),
                (None, _) => Err(Refused::NoGates.into()),
                _ => Err(Refused::WhichGate.into()),
            };
        }
        let mut chosen: Vec<Audience> = Vec::new();
        for audience in asked {
            if self.gate(audience).await?.is_none() {
                return Err(Refused::UnknownGate(audience.clone()).into());
            }
            if !chosen.contains(audience) {
                chosen.push(audience.clone());
            }
        }
        Ok(chosen)
    }
}

impl GateItem {
    fn parse(self) -> Result<RegisteredGate, Failure> {
        let audience = self.pk.strip_prefix(GATE).unwrap_or_default();
        let description = self.description.as_deref().map(GateDescription::parse).transpose();
        Ok(RegisteredGate {
            audience: Audience::parse(audience).map_err(|e| Failure::corrupt(GATE, "pk", e))?,
            description: description.map_err(|e| Failure::corrupt(GATE, "description", e))?,
            created_at: Timestamp::from_unix_seconds(self.created_at)
                .map_err(|e| Failure::corrupt(GATE, "created_at", e))?,
        })
    }
}
