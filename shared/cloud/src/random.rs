//! Every random value there is, from the kernel's generator.

use sayso_model::passkey::{InvitationCode, InvitationId};
use sayso_model::{AgentKey, ApprovalId, LinkSecret, Timestamp};

/// `N` random bytes.
///
/// # Panics
/// When the kernel has no randomness to give: nothing safe can go on without it.
#[expect(clippy::disallowed_methods, clippy::expect_used, reason = "the one source of randomness")]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the kernel's random number generator");
    bytes
}

/// An id of an approval asked for `now`.
pub fn approval_id(now: Timestamp) -> ApprovalId {
    ApprovalId::new(now, u128::from_be_bytes(bytes()))
}

/// A name for one failure: the caller sees it, and the log has it beside what happened.
pub fn error_id() -> String {
    base16ct::lower::encode_string(&bytes::<6>())
}

/// The secret of a deciding link.
pub fn link_secret() -> LinkSecret {
    LinkSecret::from_random(bytes())
}

/// A key for an agent.
pub fn agent_key() -> AgentKey {
    AgentKey::from_random(bytes())
}

/// A name for an invitation to enrol a passkey.
pub fn invitation_id() -> InvitationId {
    InvitationId::from_random(bytes())
}

/// The code that goes with it.
pub fn invitation_code() -> InvitationCode {
    InvitationCode::from_random(u128::from_be_bytes(bytes()))
}
