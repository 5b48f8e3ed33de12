use sayso_cloud::{KeyIds, VariableError, optional, required};
use sayso_model::token::Issuer;
use sayso_model::{BaseUrl, Retention};

/// What the function is configured with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The table's name.
    pub table: String,
    /// The keys that approvals verify under.
    pub keys: KeyIds,
    /// How long a redemption stays recorded after the approval's deadline.
    pub retention: Retention,
    /// The `iss` of the tokens it takes, where it is not its own URL.
    pub issuer: Option<Issuer>,
}

impl Settings {
    /// From `TABLE_NAME`, the [`KeyIds`] and, where they are set, `RETENTION_DAYS` and `ISSUER`.
    pub fn from_env() -> Result<Self, VariableError> {
        let text = |value: &str| Ok::<_, std::convert::Infallible>(value.to_owned());
        Ok(Self {
            table: required("TABLE_NAME", text)?,
            keys: KeyIds::from_env()?,
            retention: optional("RETENTION_DAYS", Retention::parse_days)?.unwrap_or_default(),
            issuer: optional("ISSUER", BaseUrl::parse)?,
        })
    }
}
