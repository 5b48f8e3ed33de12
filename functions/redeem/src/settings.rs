use sayso_cloud::{BadVariable, optional, required};
use sayso_model::Retention;

/// What the function is configured with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The table's name.
    pub table: String,
    /// The key that signs approvals, as KMS knows it.
    pub signing_key_id: String,
    /// How long a redemption stays recorded after the approval's deadline.
    pub retention: Retention,
}

impl Settings {
    /// From `TABLE_NAME`, `SIGNING_KEY_ID` and, where it is set, `RETENTION_DAYS`.
    pub fn from_env() -> Result<Self, BadVariable> {
        let text = |value: &str| Ok::<_, std::convert::Infallible>(value.to_owned());
        Ok(Self {
            table: required("TABLE_NAME", text)?,
            signing_key_id: required("SIGNING_KEY_ID", text)?,
            retention: optional("RETENTION_DAYS", Retention::parse_days)?.unwrap_or_default(),
        })
    }
}
