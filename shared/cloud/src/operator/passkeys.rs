use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use sayso_model::passkey::{Passkey, RequiredProof};
use sayso_model::token::Jwks;
use sayso_model::{AgentName, ApproverId, Audience, Timestamp};

use super::{Attempt, Registry, RegistryError, RegistryRefusal, change, name_key};
use crate::Failure;
use crate::store::{Kind, Passkeys, PasskeysItem, number, required, string, text, to_item};

/// Which of an approver's passkeys to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhichPasskeys {
    /// The one with this [label](sayso_model::passkey::CredentialId::label).
    Labelled(String),
    /// Every entry that the enrolment key has not signed.
    Unsigned,
}

impl Registry {
    /// The passkeys of an approver, of which those count that one of the enrolment keys signed.
    pub async fn passkeys(&self, approver: &ApproverId, enrolment_keys: &Jwks) -> Result<Passkeys, Failure> {
        let item = self.passkeys_item(approver).await?;
        Ok(item.map(|item| item.verify(approver, enrolment_keys)).unwrap_or_default())
    }

    /// Removes passkeys from an approver at once, and says how many.
    pub async fn remove_passkeys(
        &self,
        approver: &ApproverId,
        which: &WhichPasskeys,
        enrolment_keys: &Jwks,
    ) -> Result<usize, RegistryError> {
        let goes = |record: &String| match (Passkey::verify(record, approver, enrolment_keys), which) {
            (Ok(passkey), WhichPasskeys::Labelled(label)) => passkey.credential.label() == *label,
            (Err(_), WhichPasskeys::Unsigned) => true,
            _ => false,
        };
        let mut removed = 0;
        change(async |attempt| {
            let none = || RegistryRefusal::UnknownPasskey(approver.clone());
            let Some(mut item) = self.passkeys_item(approver).await? else { return Err(none().into()) };
            let before = item.passkeys.len();
            item.passkeys.retain(|record| !goes(record));
            let now = before - item.passkeys.len();
            if now == 0 {
                // After an attempt they are gone: by it, or by another.
                return if attempt > 0 { Ok(Attempt::Done(())) } else { Err(none().into()) };
            }
            removed = now;
            let known = item.revision;
            item.revision += 1;
            let put = aws_sdk_dynamodb::types::Put::builder()
                .table_name(&self.table)
                .set_item(Some(to_item(&item)?))
                .condition_expression("revision = :known")
                .expression_attribute_values(":known", number(known));
            let done = self.transact(vec![super::finish_put(put)?]).await?;
            Ok(if done { Attempt::Done(()) } else { Attempt::Overtaken })
        })
        .await?;
        Ok(removed)
    }

    /// Voids the invitations of an approver that were made before this moment: a new one takes their place.
    pub async fn void_invitations(
        &self,
        approver: &ApproverId,
        before: Timestamp,
    ) -> Result<(), RegistryError> {
        change(async |_| {
            let values = [(":before", number(before.as_unix_seconds())), (":one", number(1))];
            let update = "SET void_before = :before ADD revision :one";
            let write = self.write(&Kind::Passkey.key(approver), update, None, values)?;
            Ok(if self.transact(vec![write]).await? { Attempt::Done(()) } else { Attempt::Overtaken })
        })
        .await
    }

    /// The write that takes an approver's passkeys and invitations away. The row stays: it says which were used.
    pub(super) fn forget_passkeys(
        &self,
        approver: &ApproverId,
        now: Timestamp,
    ) -> Result<TransactWriteItem, Failure> {
        // Those of this very second as well.
        let before = now.plus(Duration::from_secs(1)).as_unix_seconds();
        let values =
            [(":before", number(before)), (":none", AttributeValue::L(Vec::new())), (":one", number(1))];
        let change = "SET void_before = :before, passkeys = :none ADD revision :one";
        self.write(&Kind::Passkey.key(approver), change, None, values)
    }

    async fn passkeys_item(&self, approver: &ApproverId) -> Result<Option<PasskeysItem>, Failure> {
        PasskeysItem::read(&self.client, &self.table, approver).await
    }

    /// Sets what it takes to approve what a gate is asked for: from the next decision on, also of what waits.
    pub async fn set_gate_proof(
        &self,
        audience: &Audience,
        proof: RequiredProof,
    ) -> Result<(), RegistryError> {
        self.set_on_gate(audience, "SET proof = :value", text(proof.as_str())).await
    }

    /// Sets what it takes to approve what an agent asks: from the next decision on, also of what waits. It stays with the name.
    pub async fn set_agent_proof(&self, name: &AgentName, proof: RequiredProof) -> Result<(), RegistryError> {
        let keys = self.keys().await?;
        if !keys.iter().any(|key| key.agent.name == *name) {
            return Err(RegistryRefusal::UnknownAgent(name.clone()).into());
        }
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", text(name_key(name)))
            .update_expression("SET proof = :proof ADD revision :one")
            .expression_attribute_values(":proof", text(proof.as_str()))
            .expression_attribute_values(":one", number(1));
        update.send().await.map(drop).map_err(|e| Failure::call("dynamodb:UpdateItem", &e).into())
    }

    /// What it takes to approve what each agent asks, as far as somebody has set it.
    pub async fn agent_proofs(&self) -> Result<BTreeMap<String, RequiredProof>, Failure> {
        let rows = self.rows(Kind::Name).await?;
        let proofs = rows.iter().map(|row| {
            let key = string(row, "pk");
            let name = key.strip_prefix(Kind::Name.prefix()).unwrap_or_default().to_owned();
            required(row, &key).map(|proof| (name, proof))
        });
        proofs.collect()
    }
}
