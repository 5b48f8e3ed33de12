use sayso_model::passkey::RequiredProof;
use sayso_model::{Audience, GateDescription, Masks, Timestamp};
use serde::{Deserialize, Serialize};

use super::items::Row;
use super::kind::Kind;
use super::{Store, from_item};
use crate::Failure;

/// What begins the key of every gate's row.
pub(crate) const GATE: &str = Kind::Gate.prefix();

/// A gate that agents may be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredGate {
    /// The `aud` of its tokens.
    pub audience: Audience,
    /// In the operator's words.
    pub description: Option<GateDescription>,
    /// What mails and records do not show of what it is asked for.
    pub masks: Masks,
    /// What it takes to approve what it is asked for.
    pub proof: RequiredProof,
    /// When it was registered.
    pub created_at: Timestamp,
}

/// The operator's row.
#[derive(Serialize, Deserialize)]
pub(crate) struct GateItem {
    pub(crate) pk: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Absent where nothing is masked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    masked: Vec<String>,
    /// Absent where nobody has set it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proof: Option<String>,
    created_at: i64,
    /// Made at random for each write, so that a retry knows its own first attempt.
    pub(crate) write: String,
}

pub(crate) fn gate_key(audience: &Audience) -> String {
    Kind::Gate.key(audience)
}

impl GateItem {
    pub(crate) fn new(gate: &RegisteredGate, write: String) -> Self {
        Self {
            pk: gate_key(&gate.audience),
            description: gate.description.as_ref().map(|words| words.as_str().to_owned()),
            masked: gate.masks.texts().map(str::to_owned).collect(),
            proof: (gate.proof != RequiredProof::default()).then(|| gate.proof.to_string()),
            created_at: gate.created_at.as_unix_seconds(),
            write,
        }
    }

    pub(crate) fn parse(&self) -> Result<RegisteredGate, Failure> {
        let row = Row(GATE);
        let audience = self.pk.strip_prefix(GATE).unwrap_or_default();
        let description = self.description.as_deref().map(GateDescription::parse).transpose();
        let proof = self.proof.as_deref().map(RequiredProof::parse).transpose();
        Ok(RegisteredGate {
            audience: row.parsed("pk", Audience::parse(audience))?,
            description: row.parsed("description", description)?,
            masks: row.parsed("masked", Masks::parse(self.masked.iter().map(String::as_str)))?,
            proof: row.parsed("proof", proof)?.unwrap_or_default(),
            created_at: row.time("created_at", self.created_at)?,
        })
    }
}

impl Store {
    /// What mails do not show of what this gate is asked for: nothing is masked at a gate that nobody registered.
    pub async fn masks(&self, gate: &Audience) -> Result<Masks, Failure> {
        let Some(item) = self.row(gate_key(gate)).await? else { return Ok(Masks::NONE) };
        Ok(from_item::<GateItem>(item, GATE)?.parse()?.masks)
    }
}
