//! What every call is handled with.

use super::policy::Policy;
use crate::approval::Asker;

/// What every call of this gate is handled with.
pub(super) struct Context {
    pub(super) policy: Policy,
    pub(super) asker: Asker,
    /// The name of the server behind the gate: the same tool of another server needs another approval.
    pub(super) upstream: String,
}
