use sayso_cloud::{BadVariable, KeyIds, optional, required};
use sayso_model::Retention;

/// What the function is configured with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The table's name.
    pub table: String,
    /// The keys that approvals verify under.
    pub keys: KeyIds,
    /// How long a redemption stays recorded after the approval's deadline.
    pub retention: Retention,
}

impl Settings {
    /// From `TABLE_NAME`, the [`KeyIds`] and, where it is set, `RETENTION_DAYS`.
    pub fn from_env() -> Result<Self, BadVariable> {
        let text = |value: &str| Ok::<_, std::convert::Infallible>(value.to_owned());
        Ok(Self {
            table: required("TABLE_NAME", text)?,
            keys: KeyIds::from_env()?,
            retention: optional("RETENTION_DAYS", Retention::parse_days)?.unwrap_or_default(),
        })
    }
}
