//! What an execution layer links, so that nothing irreversible runs without a human's say-so.
//!
//! A [`Gate`] stands where the capability is: the database's password, the deploy key, the API client. It is handed an
//! approval token and the action *as it is about to be executed*, and gives back a [`Permit`] or a [`Refusal`]. Write the
//! function that executes so that it takes the permit by value: then no code path reaches it without one.
//!
//! ```no_run
//! use sayso_sdk::{Action, ApprovalToken, Gate, Permit, Refusal, Timestamp};
//!
//! async fn drop_table(permit: Permit) {
//!     let action = permit.into_action();
//!     // Execute `action.arguments.as_str()`: the very text that was hashed, shown and approved.
//! }
//!
//! async fn guarded(gate: &Gate, token: &str, action: Action, now: Timestamp) -> Result<(), Refusal> {
//!     drop_table(gate.permit(&ApprovalToken::from_text(token), action, now).await?).await;
//!     Ok(())
//! }
//! ```
//!
//! **Threat.** An agent that holds the gate's API and any tokens it likes: forged, borrowed, old, for another action, for
//! another gate, used before, a hundred times at once. A network that delays, loses and repeats. An issuer that is down.
//!
//! **Bindings.** The token is verified here, under keys that only `https://ISSUER/.well-known/jwks.json` gives: algorithm,
//! type, signature, this issuer, this audience, the times within 30 seconds, and the digest of this very action. Then the
//! issuer records that it is used up, once: an answer counts only if it is a receipt for this approval, this digest, this
//! tool and this gate, given to the nonce of this attempt. Whatever else happens refuses: no answer, no keys, a redirect,
//! an answer that is not understood. Nothing that a token says is ever an address to fetch from.
//!
//! **Not done here.** A gate is a boundary only if the capability is behind it, out of the agent's reach; beside an agent
//! that could do the same without asking, it is a guardrail. It does not run anything, nor undo it: a process that dies
//! between the permit and the act leaves an approval that is used up and not executed, which its receipt shows, and the way
//! on is a new approval. [`Approvals`] asks and waits in an execution layer's own name; nothing that it is told lets
//! anything run, before a gate has judged and used up the token. What the arguments *mean* when they run (a path
//! that became a link, a name that became another thing) is the executor's to pin down in the action it hashes.

mod approvals;
mod clock;
mod gate;
mod http;
mod issuer;
mod keys;
mod nonce;
mod refusal;

pub use approvals::{
    ApprovalError, ApprovalRequest, ApprovalStatus, Approvals, MAX_WAIT, PendingApproval, Withdrawal, Wording,
};
pub use clock::{Clock, SystemClock};
pub use gate::{Gate, Permit};
pub use http::{ATTEMPT_LIMIT, ATTEMPTS, CONNECT_LIMIT, TlsError};
pub use keys::{MAX_FRESH, REFETCH_INTERVAL};
pub use refusal::Refusal;
pub use sayso_model::passkey::RequiredProof;
pub use sayso_model::token::{ApprovalToken, Issuer, TokenRefusal};
pub use sayso_model::{
    Action, ActionDigest, AgentKey, ApprovalId, Audience, BaseUrl, CanonicalJson, ExpiresIn, GateName,
    Invalid, Note, ProfileViolation, ProvenBy, Reason, Receipt, Summary, Timestamp, ToolName,
    UndeliveredCause,
};
