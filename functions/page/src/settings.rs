use sayso_cloud::{BadVariable, required};
use sayso_model::BaseUrl;

/// What the page is configured with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The table's name.
    pub table: String,
    /// The key that approvals must verify under, as KMS knows it.
    pub signing_key_id: String,
    /// Where the form goes.
    pub decide_url: BaseUrl,
}

impl Settings {
    /// From `TABLE_NAME`, `SIGNING_KEY_ID` and `DECIDE_URL`.
    pub fn from_env() -> Result<Self, BadVariable> {
        let text = |value: &str| Ok::<_, std::convert::Infallible>(value.to_owned());
        Ok(Self {
            table: required("TABLE_NAME", text)?,
            signing_key_id: required("SIGNING_KEY_ID", text)?,
            decide_url: required("DECIDE_URL", BaseUrl::parse)?,
        })
    }
}
