use sayso_cloud::{KeyIds, VariableError, required};

/// What enrolling is configured with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The table's name.
    pub table: String,
    /// The key that signs invitations and enrolled passkeys.
    pub enrolment_key: KeyIds,
}

impl Settings {
    /// From `TABLE_NAME` and `ENROLMENT_KEY_ID`.
    pub fn from_env() -> Result<Self, VariableError> {
        let text = |value: &str| Ok::<_, std::convert::Infallible>(value.to_owned());
        Ok(Self { table: required("TABLE_NAME", text)?, enrolment_key: KeyIds::enrolment_from_env()? })
    }
}
