use sayso_cloud::{KeyIds, VariableError, optional, required};
use sayso_model::token::Issuer;
use sayso_model::{BaseUrl, Retention};

/// What deciding is configured with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The table's name.
    pub table: String,
    /// The keys that approvals verify under; the first signs.
    pub keys: KeyIds,
    /// The key that enrolled passkeys are signed with, by `enrol` alone.
    pub enrolment_key: KeyIds,
    /// The page that passkeys must belong to, where it has a name of its own: those of an earlier name do not count.
    pub page_url: Option<BaseUrl>,
    /// What tokens name as their issuer: the gate-facing function.
    pub issuer: Issuer,
    /// How long an outcome stays readable.
    pub retention: Retention,
}

impl Settings {
    /// From `TABLE_NAME`, the [`KeyIds`], `ENROLMENT_KEY_ID`, `ISSUER` and, where they are set, `PAGE_URL` and `RETENTION_DAYS`.
    pub fn from_env() -> Result<Self, VariableError> {
        let text = |value: &str| Ok::<_, std::convert::Infallible>(value.to_owned());
        Ok(Self {
            table: required("TABLE_NAME", text)?,
            keys: KeyIds::from_env()?,
            enrolment_key: KeyIds::enrolment_from_env()?,
            page_url: optional("PAGE_URL", BaseUrl::parse)?,
            issuer: required("ISSUER", Issuer::parse)?,
            retention: optional("RETENTION_DAYS", Retention::parse_days)?.unwrap_or_default(),
        })
    }
}
