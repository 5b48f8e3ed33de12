use aws_sdk_dynamodb::types::AttributeValue;
use sayso_model::{Audience, GateMasks, Masks};

use super::{Registry, RegistryError, RegistryRefusal};
use crate::store::{FIRST, GATE, GateItem, Kind, RegisteredGate, from_item, gate_key, string, text, to_item};
use crate::{Failure, random};

impl Registry {
    /// Registers a gate. Its audience must be new.
    pub async fn add_gate(&self, gate: &RegisteredGate) -> Result<(), RegistryError> {
        let item = GateItem::new(gate, random::error_id());
        let put = self.client.put_item().table_name(&self.table).set_item(Some(to_item(&item)?));
        let Err(error) = put.condition_expression(FIRST).send().await else { return Ok(()) };
        if !error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) {
            return Err(Failure::call("dynamodb:PutItem", &error).into());
        }
        // The AWS client retries: the row may be from our own first attempt.
        let there = self.row(&item.pk).await?;
        if there.is_some_and(|there| string(&there, "write") == item.write) {
            return Ok(());
        }
        Err(RegistryRefusal::GateTaken(gate.audience.clone()).into())
    }

    /// Replaces a gate's masks: the arguments whose values mails and exports hide.
    pub async fn mask_gate(&self, audience: &Audience, masks: &Masks) -> Result<(), RegistryError> {
        let texts = masks.texts().map(text).collect();
        self.set_on_gate(audience, "SET masked = :value", AttributeValue::L(texts)).await
    }

    /// Sets one attribute of a gate that is registered.
    pub(super) async fn set_on_gate(
        &self,
        audience: &Audience,
        change: &str,
        value: AttributeValue,
    ) -> Result<(), RegistryError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", text(gate_key(audience)))
            .update_expression(change)
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":value", value);
        let Err(error) = update.send().await else { return Ok(()) };
        if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) {
            return Err(RegistryRefusal::UnknownGate(audience.clone()).into());
        }
        Err(Failure::call("dynamodb:UpdateItem", &error).into())
    }

    /// The masks of all gates.
    pub async fn masks(&self) -> Result<GateMasks, Failure> {
        Ok(self.gates().await?.into_iter().map(|gate| (gate.audience, gate.masks)).collect())
    }

    /// The gate with this audience, if there is one.
    pub async fn gate(&self, audience: &Audience) -> Result<Option<RegisteredGate>, Failure> {
        let row = self.row(&gate_key(audience)).await?;
        row.map(|item| from_item::<GateItem>(item, GATE)?.parse()).transpose()
    }

    /// All gates, sorted by audience.
    pub async fn gates(&self) -> Result<Vec<RegisteredGate>, Failure> {
        let rows = self.rows(Kind::Gate).await?.into_iter();
        let gates: Result<Vec<_>, _> = rows.map(|item| from_item::<GateItem>(item, GATE)?.parse()).collect();
        gates.map(|mut gates| {
            gates.sort_by(|a, b| a.audience.cmp(&b.audience));
            gates
        })
    }

    /// The gates for a new agent: those that were named, which must be registered, or else the only one.
    pub(super) async fn choose_gates(&self, asked: &[Audience]) -> Result<Vec<Audience>, RegistryError> {
        if asked.is_empty() {
            let mut gates = self.gates().await?.into_iter();
            return match (gates.next(), gates.next()) {
                (Some(only), None) => Ok(vec![only.audience]),
                (None, _) => Err(RegistryRefusal::NoGates.into()),
                _ => Err(RegistryRefusal::WhichGate.into()),
            };
        }
        let mut chosen: Vec<Audience> = Vec::new();
        for audience in asked {
            if self.gate(audience).await?.is_none() {
                return Err(RegistryRefusal::UnknownGate(audience.clone()).into());
            }
            if !chosen.contains(audience) {
                chosen.push(audience.clone());
            }
        }
        Ok(chosen)
    }
}
