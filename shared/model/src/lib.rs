//! The domain of Sayso: what may be asked, what may be decided, and what a decision proves.
//!
//! No I/O, no clock and no randomness: a function here takes `now`, an id or a secret as a finished value,
//! and the dependencies in `Cargo.toml` are the proof. Values are parsed once, at the edge, into types that
//! cannot hold anything invalid; states are enums that own their data; transitions consume what they leave.

mod action;
mod agent;
mod approval;
pub mod audit;
mod invalid;
mod json;
mod limits;
mod link;
mod masks;
mod notice;
pub mod passkey;
mod registration;
mod request;
mod revealed;
mod status;
mod text;
mod time;
pub mod token;
mod undelivered;
mod url;
pub mod wire;

pub use action::{Action, ActionDigest, ToolName};
pub use agent::{
    Agent, AgentKey, AgentKeyHash, AgentName, Approver, ApproverId, Audience, Audiences, EmailAddress,
};
pub use approval::{
    Approval, ApprovalToSign, ClosedApproval, Decision, Note, OpenApproval, Outcome, OverdueApproval, Proof,
    ProvenBy,
};
pub use invalid::Invalid;
pub use json::{
    CanonicalJson, JsonToken, JsonTokens, MAX_BYTES, MAX_DEPTH, MAX_DIGITS, ProfileViolation, check_text,
    members,
};
pub use limits::{CoolDown, Hour, HourlyLimit, Limits, LongestWait, PendingLimit, WaitLimit};
pub use link::{ConfirmationCode, DecidingLink, EmailLinkProof, LinkSecret, LinkSecretHash, WrongCode};
pub use masks::{GateMasks, Mask, Masks};
pub use notice::{MessageId, Notice, NoticeState, SENDING_LIMIT};
pub use registration::{GateDescription, KeyLabel, Overlap};
pub use request::{ApprovalId, ExpiresIn, IdempotencyKey, Reason, Request, RequestFingerprint, Summary};
pub use revealed::{
    MASKED, Piece, Reading, Shown, counted, masked_arguments, misleading, reveal, reveal_arguments,
    reveal_to_string, shown_arguments,
};
pub use status::Status;
pub use time::{Retention, Timestamp, TokenLifetime, come_back_after, to_the_second};
pub use undelivered::{Undelivered, UndeliveredCause};
pub use url::BaseUrl;
pub use wire::{GateName, Nonce, Receipt, RedemptionRequest};
