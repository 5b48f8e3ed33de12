use sayso_model::passkey::RequiredProof;
use sayso_model::token::TokenRefusal;
use sayso_model::wire::{ALREADY_REDEEMED, NO_SUCH_APPROVAL};
use sayso_model::{GateName, ProvenBy, Timestamp};
use thiserror::Error;

/// Why nothing may run. `Display` is a sentence for the caller: what is wrong, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The token does not permit this action here and now, as the gate sees it or as the issuer does.
    #[error("The token is refused: {0}.")]
    Token(#[from] TokenRefusal),
    /// The approver proved themselves by less than this gate takes. The token is not used up.
    #[error(
        "This gate takes approvals that are proven by {required}, and this one is proven by {shown}: nothing ran, and the token is not used up. The operator sets what approving takes with `sayso gate proof`; then ask for a new approval."
    )]
    ProofRequired {
        /// By the gate.
        required: RequiredProof,
        /// By the approver.
        shown: ProvenBy,
    },
    /// Another attempt used the approval up.
    #[error(
        "This approval was used at {at}, by the gate “{gate}”. What is to run again has to be approved again."
    )]
    AlreadyRedeemed {
        /// When.
        at: Timestamp,
        /// Where.
        gate: GateName,
    },
    /// The token verifies, but the issuer has no approval that it was recorded for.
    #[error("The issuer has no approval with this token: ask for a new one.")]
    NoSuchApproval,
    /// The keys to verify with could not be fetched, so the token was neither judged nor used up.
    #[error("The issuer's keys cannot be fetched: nothing ran, and the token is not used up. Try again.")]
    KeysUnavailable,
    /// No attempt got through to the issuer.
    #[error("The issuer cannot be reached: nothing ran, and the token is not used up. Try again.")]
    Unreachable,
    /// The issuer was reached, and no attempt brought an answer.
    #[error(
        "The issuer did not answer: nothing ran. Try again; if the token turns out to be used up, ask for a new approval."
    )]
    Unanswered,
    /// What answered is no Sayso issuer of this version.
    #[error(
        "The issuer's answer (HTTP {status}) is not understood: nothing ran. Compare the gate's issuer with the one that signed; if the token turns out to be used up, ask for a new approval."
    )]
    NotUnderstood {
        /// The HTTP status.
        status: u16,
    },
    /// A receipt, but not for this approval, action and gate.
    #[error("The issuer's receipt is for something else: nothing ran. Ask for a new approval.")]
    WrongReceipt,
    /// The machine gives no random bytes.
    #[error("This machine has no randomness: nothing ran, and the token is not used up.")]
    NoRandomness,
}

impl Refusal {
    /// Its name for programs; the issuer's own `reason` where the issuer has one.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Token(refusal) => refusal.reason(),
            Self::ProofRequired { .. } => "proof_required",
            Self::AlreadyRedeemed { .. } => ALREADY_REDEEMED,
            Self::NoSuchApproval => NO_SUCH_APPROVAL,
            Self::KeysUnavailable => "keys_unavailable",
            Self::Unreachable => "unreachable",
            Self::Unanswered => "unanswered",
            Self::NotUnderstood { .. } => "not_understood",
            Self::WrongReceipt => "wrong_receipt",
            Self::NoRandomness => "no_randomness",
        }
    }
}
