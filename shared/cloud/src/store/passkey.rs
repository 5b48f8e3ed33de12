use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use sayso_model::passkey::{Invitation, Passkey, PasskeyProof, RequiredProof, SignCount};
use sayso_model::token::Jwks;
use sayso_model::{ApproverId, Request, Timestamp};
use serde::{Deserialize, Serialize};

use super::kind::Kind;
use super::{FIRST, Item, Store, Written, from_item, number, row, text, to_item};
use crate::Failure;

/// As many passkeys as one approver may have: far more than anybody has devices.
pub const MAX_PASSKEYS: usize = 20;

/// How much longer a used invitation is remembered than it could be used, in seconds: clocks differ.
const CLOCKS: i64 = 3_600;

/// How often an enrolment that another overtook is begun again.
const MAX_TRIES: usize = 5;

/// The passkeys of an approver.
#[derive(Debug, Clone, Default)]
pub struct Passkeys {
    /// Those that `enrol` has signed, in the order of their enrolment.
    pub enrolled: Vec<Passkey>,
    /// How many entries nobody signed with the enrolment key, or for another approver: somebody wrote them by hand.
    pub unsigned: usize,
}

/// What became of an enrolment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Enrolled {
    /// The passkey counts from now on.
    Now,
    /// The invitation was used before.
    AlreadyUsed,
    /// The operator has voided the invitation: by making another, or by removing the approver.
    Void,
    /// The approver has [`MAX_PASSKEYS`].
    TooMany,
}

/// The one row of an approver's passkeys: `enrol` and the operator write it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct PasskeysItem {
    pub(crate) pk: String,
    /// Each a JWS.
    #[serde(default)]
    pub(crate) passkeys: Vec<String>,
    /// The invitations that were used, each with its end in seconds since 1970.
    #[serde(default)]
    pub(crate) used: Vec<(String, i64)>,
    /// Invitations made before this moment, in seconds since 1970, enrol nothing any more.
    #[serde(default)]
    pub(crate) void_before: i64,
    /// Raised by every change.
    pub(crate) revision: u64,
}

/// Of one passkey: `decide` writes it.
#[derive(Deserialize)]
struct SignCountItem {
    count: u32,
    signature_sha256: String,
}

impl PasskeysItem {
    /// The row of an approver, if there is one.
    pub(crate) async fn read(
        client: &Client,
        table: &str,
        approver: &ApproverId,
    ) -> Result<Option<Self>, Failure> {
        let key = Kind::Passkey.key(approver);
        row(client, table, &key).await?.map(|item| from_item(item, &key)).transpose()
    }

    fn refuses(&self, invitation: &Invitation) -> Option<Enrolled> {
        if self.used.iter().any(|(id, _)| *id == invitation.id.to_string()) {
            return Some(Enrolled::AlreadyUsed);
        }
        if invitation.issued_at.as_unix_seconds() < self.void_before {
            return Some(Enrolled::Void);
        }
        (self.passkeys.len() >= MAX_PASSKEYS).then_some(Enrolled::TooMany)
    }

    /// Those that these keys signed.
    pub(crate) fn verify(&self, approver: &ApproverId, keys: &Jwks) -> Passkeys {
        let verified = self.passkeys.iter().map(|record| Passkey::verify(record, approver, keys));
        let enrolled: Vec<_> = verified.filter_map(Result::ok).collect();
        Passkeys { unsigned: self.passkeys.len() - enrolled.len(), enrolled }
    }
}

impl Store {
    /// The passkeys of an approver, of which those count that one of the enrolment keys signed.
    pub async fn passkeys(&self, approver: &ApproverId, enrolment_keys: &Jwks) -> Result<Passkeys, Failure> {
        let item = self.passkeys_item(approver).await?;
        Ok(item.map(|item| item.verify(approver, enrolment_keys)).unwrap_or_default())
    }

    async fn passkeys_item(&self, approver: &ApproverId) -> Result<Option<PasskeysItem>, Failure> {
        PasskeysItem::read(&self.client, &self.table, approver).await
    }

    /// Why an invitation enrols nothing, if that is known already.
    pub async fn refuses(&self, invitation: &Invitation) -> Result<Option<Enrolled>, Failure> {
        Ok(self.passkeys_item(&invitation.approver).await?.and_then(|item| item.refuses(invitation)))
    }

    /// Adds a passkey as it was signed, and uses up its invitation in the same write.
    pub async fn enrol(
        &self,
        passkey: &Passkey,
        record: String,
        invitation: &Invitation,
        now: Timestamp,
    ) -> Result<Enrolled, Failure> {
        for _ in 0..MAX_TRIES {
            let known = self.passkeys_item(&passkey.approver).await?;
            let revision = known.as_ref().map(|known| known.revision);
            let mut item = known.unwrap_or_else(|| PasskeysItem {
                pk: Kind::Passkey.key(&passkey.approver),
                passkeys: Vec::new(),
                used: Vec::new(),
                void_before: 0,
                revision: 0,
            });
            // Our own first attempt, whose answer was lost.
            if item.passkeys.contains(&record) {
                return Ok(Enrolled::Now);
            }
            if let Some(refused) = item.refuses(invitation) {
                return Ok(refused);
            }
            item.passkeys.push(record.clone());
            // An invitation whose time is over is refused before anybody looks here.
            item.used.retain(|(_, end)| end.saturating_add(CLOCKS) > now.as_unix_seconds());
            item.used.push((invitation.id.to_string(), invitation.expires_at.as_unix_seconds()));
            item.revision += 1;
            let put = self.client.put_item().set_item(Some(to_item(&item)?));
            let put = match revision {
                None => put.condition_expression(FIRST),
                Some(known) => put
                    .condition_expression("revision = :known")
                    .expression_attribute_values(":known", number(known)),
            };
            if let Written::Now = self.put_if(put).await? {
                return Ok(Enrolled::Now);
            }
        }
        Err(Failure::Call {
            call: super::PUT,
            code: "others change the same passkeys at this moment".to_owned(),
        })
    }

    /// What a passkey's authenticator had counted when it was last used here.
    pub async fn sign_count(&self, passkey: &Passkey) -> Result<SignCount, Failure> {
        let key = sign_count_key(passkey);
        let row = self.row(key.clone()).await?;
        let Some(row) = row else { return Ok(SignCount::default()) };
        let SignCountItem { count, signature_sha256 } = from_item(row, &key)?;
        Ok(SignCount { count, signature_sha256 })
    }

    /// Records that a passkey was used. `false` if another use has counted as far meanwhile: then there may be two of it.
    pub async fn count_signature(&self, passkey: &Passkey, proof: &PasskeyProof) -> Result<bool, Failure> {
        let SignCount { count, signature_sha256 } = proof.sign_count();
        // An authenticator that does not count leaves nothing to record.
        if *count == 0 {
            return Ok(true);
        }
        // `count` is a word that expressions reserve.
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", text(sign_count_key(passkey)))
            .update_expression("SET #count = :count, signature_sha256 = :signature")
            .condition_expression(
                "attribute_not_exists(pk) OR #count < :count OR (#count = :count AND signature_sha256 = :signature)",
            )
            .expression_attribute_names("#count", "count")
            .expression_attribute_values(":count", number(count))
            .expression_attribute_values(":signature", text(signature_sha256));
        match update.send().await {
            Ok(_) => Ok(true),
            Err(e) => match e.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(false),
                _ => Err(Failure::call("dynamodb:UpdateItem", &e)),
            },
        }
    }

    /// What it takes to approve a request: what the operator set for the gate or for the agent, whichever is more.
    pub async fn required_proof(&self, request: &Request) -> Result<RequiredProof, Failure> {
        let keys = [Kind::Gate.key(&request.audience), Kind::Name.key(&request.agent)];
        let rows = self.read(keys).await?;
        let required: Result<Vec<_>, _> = rows.iter().map(|(key, row)| required(row, key)).collect();
        Ok(required?.into_iter().max().unwrap_or_default())
    }
}

/// What a row of the operator's sets; nothing where it says nothing.
pub(crate) fn required(row: &Item, key: &str) -> Result<RequiredProof, Failure> {
    let Some(value) = row.get("proof") else { return Ok(RequiredProof::default()) };
    let value = value.as_s().map_err(|_| Failure::corrupt(key, "proof", "not a text"))?;
    RequiredProof::parse(value).map_err(|e| Failure::corrupt(key, "proof", e))
}

/// By approver as well: nothing keeps another from enrolling the same id.
fn sign_count_key(passkey: &Passkey) -> String {
    let Passkey { approver, credential, .. } = passkey;
    Kind::SignCount.key(format!("{approver}#{}", credential.hash()))
}
