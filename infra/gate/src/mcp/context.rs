use super::policy::Policy;
use crate::approval::Asker;

/// What every call of this gate is judged with.
pub(super) struct Context {
    pub(super) policy: Policy,
    pub(super) asker: Asker,
    /// Which server is behind the gate: the same tool of another server is another approval.
    pub(super) upstream: String,
}
