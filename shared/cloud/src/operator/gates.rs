use aws_sdk_dynamodb::types::AttributeValue;
use sayso_model::{Audience, GateMasks, Masks};

use super::{NotDone, Refused, Registry};
use crate::store::{FIRST, GATE, GateItem, Kind, RegisteredGate, from_item, gate_key, string, text, to_item};
use crate::{Failure, random};

impl Registry {
    /// Registers a gate.
    pub async fn add_gate(&self, gate: &RegisteredGate) -> Result<(), NotDone> {
        let item = GateItem::new(gate, random::error_id());
        let put = self.client.put_item().table_name(&self.table).set_item(Some(to_item(&item)?));
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

    /// Replaces what mails and records mask of what a gate is asked for.
    pub async fn mask_gate(&self, audience: &Audience, masks: &Masks) -> Result<(), NotDone> {
        let texts = masks.texts().map(text).collect();
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", text(gate_key(audience)))
            .update_expression("SET masked = :masked")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":masked", AttributeValue::L(texts));
        let Err(error) = update.send().await else { return Ok(()) };
        if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) {
            return Err(Refused::UnknownGate(audience.clone()).into());
        }
        Err(Failure::call("dynamodb:UpdateItem", &error).into())
    }

    /// What is masked at each gate.
    pub async fn masks(&self) -> Result<GateMasks, Failure> {
        Ok(self.gates().await?.into_iter().map(|gate| (gate.audience, gate.masks)).collect())
    }

    /// One gate.
    pub async fn gate(&self, audience: &Audience) -> Result<Option<RegisteredGate>, Failure> {
        let row = self.row(&gate_key(audience)).await?;
        row.map(|item| from_item::<GateItem>(item, GATE)?.parse()).transpose()
    }

    /// All gates, by name.
    pub async fn gates(&self) -> Result<Vec<RegisteredGate>, Failure> {
        let rows = self.rows(Kind::Gate).await?.into_iter();
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
