//! Using a token up: once, ever, and a retry that meets its own first try is told so. The two messages between a gate
//! and the issuer are here, so that both sides read them alike.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::invalid::{check_name, check_prose};
use crate::text::text_traits;
use crate::token::ApprovalToken;
use crate::{ActionDigest, ApprovalId, Audience, Invalid, ProvenBy, Timestamp, ToolName, check_text};

/// The `reason` of the refusal (RFC 9457) of a token that was used up by another attempt: HTTP 409, with `redeemed_at` and
/// `gate`.
pub const ALREADY_REDEEMED: &str = "already_redeemed";

/// The `reason` of the refusal of a token that verifies, and that no approval was recorded with: HTTP 403.
pub const NO_SUCH_APPROVAL: &str = "no_such_approval";

/// What a gate posts to `ISSUER/redeem`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedemptionRequest {
    /// To be used up.
    pub token: ApprovalToken,
    /// Of the action that is about to run.
    pub digest: ActionDigest,
    /// The gate's own audience.
    pub audience: Audience,
    /// What the gate calls itself.
    pub gate: GateName,
    /// Of this attempt.
    pub nonce: Nonce,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RedemptionRequestJson {
    token: String,
    digest: String,
    audience: String,
    gate: String,
    nonce: String,
}

impl RedemptionRequest {
    /// From its JSON, in the strict profile.
    pub fn from_json(text: &str) -> Result<Self, Invalid> {
        let json: RedemptionRequestJson = object(text)?;
        Ok(Self {
            token: ApprovalToken::from_text(&json.token),
            digest: ActionDigest::parse(&json.digest)?,
            audience: Audience::parse(&json.audience)?,
            gate: GateName::parse(&json.gate)?,
            nonce: Nonce::parse(&json.nonce)?,
        })
    }

    /// As JSON. Holds the token: for the wire, not for a log.
    pub fn to_json(&self) -> String {
        json(&RedemptionRequestJson {
            token: self.token.expose().to_owned(),
            digest: self.digest.to_string(),
            audience: self.audience.as_str().to_owned(),
            gate: self.gate.as_str().to_owned(),
            nonce: self.nonce.expose().to_owned(),
        })
    }
}

/// What a redeemed token leaves behind: that this action was let through, when, and at which gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The approval that is used up.
    pub id: ApprovalId,
    /// When.
    pub redeemed_at: Timestamp,
    /// By whom, as the gate calls itself: a label for the record, not an identity.
    pub gate: GateName,
    /// What was let through.
    pub tool: ToolName,
    /// What was let through, to the letter.
    pub digest: ActionDigest,
    /// How the approver's decision was proven.
    pub proven_by: ProvenBy,
}

#[derive(Serialize, Deserialize)]
struct ReceiptJson {
    approval_id: String,
    redeemed_at: String,
    gate: String,
    tool: String,
    digest: String,
    proven_by: String,
}

impl Receipt {
    /// From its JSON, in the strict profile; members that a later issuer may add are passed over.
    pub fn from_json(text: &str) -> Result<Self, Invalid> {
        let json: ReceiptJson = object(text)?;
        Ok(Self {
            id: ApprovalId::parse(&json.approval_id)?,
            redeemed_at: Timestamp::parse(&json.redeemed_at)?,
            gate: GateName::parse(&json.gate)?,
            tool: ToolName::parse(&json.tool)?,
            digest: ActionDigest::parse(&json.digest)?,
            proven_by: ProvenBy::parse(&json.proven_by)?,
        })
    }

    /// As JSON.
    pub fn to_json(&self) -> String {
        json(&ReceiptJson {
            approval_id: self.id.to_string(),
            redeemed_at: self.redeemed_at.to_string(),
            gate: self.gate.as_str().to_owned(),
            tool: self.tool.as_str().to_owned(),
            digest: self.digest.to_string(),
            proven_by: self.proven_by.as_str().to_owned(),
        })
    }
}

fn object<T: DeserializeOwned>(text: &str) -> Result<T, Invalid> {
    let value = check_text(text).map_err(|e| Invalid::new(e.to_string()))?;
    // A derived struct would also be read from an array of its members.
    if !value.is_object() {
        return Err(Invalid::new("it is not a JSON object"));
    }
    serde_json::from_value(value).map_err(|e| Invalid::new(e.to_string()))
}

#[expect(clippy::expect_used, reason = "a struct of strings cannot fail to serialise")]
fn json(message: &impl Serialize) -> String {
    serde_json::to_string(message).expect("a struct of strings")
}

/// What a gate calls itself: 1 to 128 characters on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateName(String);

impl GateName {
    /// From its text.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        check_prose("gate", text, 128, &[])?;
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for GateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_traits!(GateName);

/// A gate's own name for one attempt to redeem, so that the answer to a lost response is the same receipt: 16 to 128
/// unreserved URL characters, made at random for each attempt. Kept only as a hash.
#[derive(Clone, PartialEq, Eq)]
pub struct Nonce(String);

impl Nonce {
    /// From its text.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        check_name("nonce", text, 128, "-._~")?;
        if text.len() < 16 {
            return Err(Invalid::new(
                "`nonce` has fewer than 16 characters: make it at random for each attempt",
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text, for the request.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// SHA-256 in lower-case hexadecimal: what is stored.
    pub fn hash(&self) -> String {
        base16ct::lower::encode_string(&Sha256::digest(self.0.as_bytes()))
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce(…)")
    }
}
