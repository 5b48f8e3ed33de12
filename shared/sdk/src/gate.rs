use sayso_model::passkey::RequiredProof;
use sayso_model::token::{ApprovalToken, Expectations, Issuer, key_id, verify};
use sayso_model::{Action, Audience, GateName, Receipt, RedemptionRequest, Timestamp};

use crate::http::TlsError;
use crate::issuer::IssuerClient;
use crate::keys::KeyCache;
use crate::{Refusal, nonce};

/// The lock in front of a capability: one issuer, one audience, one name in the records. Share it (`&Gate`, `Arc<Gate>`):
/// it holds the issuer's keys and the connections.
#[derive(Debug)]
pub struct Gate {
    expectations: Expectations,
    required: RequiredProof,
    name: GateName,
    issuer: IssuerClient,
    keys: KeyCache,
}

impl Gate {
    /// `issuer` is the one URL a gate needs: the keys and `redeem` are found under it. `name` is what receipts call this
    /// gate. Connects to nothing yet; needs a tokio runtime with I/O and time when it does.
    pub fn new(issuer: Issuer, audience: Audience, name: GateName) -> Result<Self, TlsError> {
        Self::over(None, issuer, audience, name)
    }

    /// As [`Gate::new`], trusting the certificates in `roots`, PEM, in the place of the machine's: for networks that read
    /// along.
    pub fn trusting(
        roots: &[u8],
        issuer: Issuer,
        audience: Audience,
        name: GateName,
    ) -> Result<Self, TlsError> {
        Self::over(Some(roots), issuer, audience, name)
    }

    fn over(
        roots: Option<&[u8]>,
        issuer: Issuer,
        audience: Audience,
        name: GateName,
    ) -> Result<Self, TlsError> {
        let client = IssuerClient::new(&issuer, roots)?;
        Ok(Self {
            expectations: Expectations { issuer, audience },
            required: RequiredProof::default(),
            name,
            issuer: client,
            keys: KeyCache::default(),
        })
    }

    /// Takes only approvals that were proven by as much. What a deployment asks of its approvers is its operator's to set; this
    /// holds even if somebody has changed that in the table.
    #[must_use]
    pub fn require(self, proof: RequiredProof) -> Self {
        Self { required: proof, ..self }
    }

    /// Uses `token` up for `action`, if it permits exactly that, here and `now`.
    ///
    /// Nothing is sent to the issuer for a token that does not verify. A lost answer is asked for again, with the same
    /// nonce and so for the same receipt. When this future is dropped before it is done, the token may be used up, and
    /// nothing runs.
    pub async fn permit(
        &self,
        token: &ApprovalToken,
        action: Action,
        now: Timestamp,
    ) -> Result<Permit, Refusal> {
        let kid = key_id(token)?;
        let keys = self.keys.holding(&kid, &self.issuer, now).await?;
        let verified = verify(token, &keys, &self.expectations, &action, now)?;
        if !self.required.is_met_by(verified.proven_by) {
            return Err(Refusal::ProofRequired { required: self.required, shown: verified.proven_by });
        }
        let request = RedemptionRequest {
            token: token.clone(),
            digest: action.digest(),
            audience: self.expectations.audience.clone(),
            gate: self.name.clone(),
            nonce: nonce::fresh()?,
        };
        let receipt = self.issuer.redeem(&request).await?;
        let ours = receipt.id == verified.id
            && receipt.digest == request.digest
            && receipt.tool == action.tool
            && receipt.gate == self.name;
        if ours { Ok(Permit { action, receipt }) } else { Err(Refusal::WrongReceipt) }
    }
}

/// That a human approved this action and that this is the one time it may run. Only [`Gate::permit`] makes one; it cannot
/// be copied, and whatever executes takes it by value:
///
/// ```compile_fail
/// fn twice(permit: sayso_sdk::Permit) {
///     permit.into_action();
///     permit.into_action();
/// }
/// ```
///
/// ```compile_fail
/// fn invented(action: sayso_sdk::Action, receipt: sayso_sdk::Receipt) -> sayso_sdk::Permit {
///     sayso_sdk::Permit { action, receipt }
/// }
/// ```
#[derive(Debug)]
#[must_use = "the approval is used up: what it permits is to be executed now, or never"]
pub struct Permit {
    action: Action,
    receipt: Receipt,
}

impl Permit {
    /// What is permitted.
    pub fn action(&self) -> &Action {
        &self.action
    }

    /// What the issuer recorded.
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// Spends the permit on the action, which is to be executed as it is: `arguments` is the text that was approved.
    pub fn into_action(self) -> Action {
        self.action
    }
}
