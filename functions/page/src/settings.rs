use sayso_cloud::{KeyIds, VariableError, required};
use sayso_model::BaseUrl;

/// What the page is configured with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The table's name.
    pub table: String,
    /// The keys that approvals verify under.
    pub keys: KeyIds,
    /// Where the form goes.
    pub decide_url: BaseUrl,
    /// Where the form of an invitation goes.
    pub enrol_url: BaseUrl,
}

impl Settings {
    /// From `TABLE_NAME`, the [`KeyIds`] `DECIDE_URL` and `ENROL_URL`.
    pub fn from_env() -> Result<Self, VariableError> {
        let text = |value: &str| Ok::<_, std::convert::Infallible>(value.to_owned());
        Ok(Self {
            table: required("TABLE_NAME", text)?,
            keys: KeyIds::from_env()?,
            decide_url: required("DECIDE_URL", BaseUrl::parse)?,
            enrol_url: required("ENROL_URL", BaseUrl::parse)?,
        })
    }
}
