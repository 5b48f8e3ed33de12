//! The agent's function: an MCP server with three tools, behind the agent's bearer key.
//!
//! It writes requests, sends the mail and answers checks. It cannot decide: it has no permission to sign, and nothing
//! it tells an agent carries the deciding link.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::any;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use sayso_cloud::{
    Aws, Clock, KeyIds, Mailer, PublicKeys, StartError, Store, VariableError, optional, required,
};
use sayso_model::{
    BaseUrl, CoolDown, EmailAddress, HourlyLimit, Limits, LongestWait, PendingLimit, Retention,
    TokenLifetime, WaitLimit,
};

mod answer;
mod inbound;
mod mail;
mod notify;
mod server;
mod tools;
mod unauthorized;

/// The settings of the deployment.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The table's name.
    pub table: String,
    /// The keys that approvals verify under.
    pub keys: KeyIds,
    /// The URL of the approver's page.
    pub page_url: BaseUrl,
    /// The sender of mails, which SES has verified.
    pub mail_from: EmailAddress,
    /// Where replies to a mail go. A reply decides nothing.
    pub reply_to: EmailAddress,
    /// The SES configuration set that mails are sent under.
    pub configuration_set: Option<String>,
    /// How long a token is valid after the approval.
    pub token_lifetime: TokenLifetime,
    /// How long an answered approval stays readable.
    pub retention: Retention,
    /// The limits of requests, mails and waits.
    pub limits: Limits,
    /// How long a check may wait for an answer.
    pub longest_wait: LongestWait,
    /// The browser pages that may call.
    pub origins: Origins,
}

/// The `Origin`s that are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origins {
    /// None, as on AWS: no browser page needs to call it there.
    None,
    /// Those of pages that this machine serves, for tools such as the MCP Inspector. They get no CORS headers.
    Loopback,
}

impl Origins {
    /// As rmcp has them.
    fn allowed(self) -> &'static [&'static str] {
        match self {
            Self::None => &[],
            Self::Loopback => &["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"],
        }
    }
}

impl Settings {
    /// `TABLE_NAME`, the [`KeyIds`], `PAGE_URL`, `MAIL_FROM`; optionally `REPLY_TO` (`no-reply@` the sender's domain),
    /// `CONFIGURATION_SET`, `TOKEN_LIFETIME_SECONDS` (3600), `RETENTION_DAYS` (90), and what limits:
    /// `REQUESTS_PER_AGENT_PER_HOUR` (20), `MAILS_PER_APPROVER_PER_HOUR` (60), `PENDING_PER_AGENT` (50),
    /// `DENIED_COOL_DOWN_SECONDS` (600), `WAITS_PER_AGENT` (3), `LONGEST_WAIT_SECONDS` (50).
    pub fn from_env() -> Result<Self, VariableError> {
        let text = |value: &str| Ok::<_, std::convert::Infallible>(value.to_owned());
        let mail_from = required("MAIL_FROM", EmailAddress::parse)?;
        Ok(Self {
            table: required("TABLE_NAME", text)?,
            keys: KeyIds::from_env()?,
            page_url: required("PAGE_URL", BaseUrl::parse)?,
            reply_to: optional("REPLY_TO", EmailAddress::parse)?.unwrap_or_else(|| mail_from.no_reply()),
            mail_from,
            configuration_set: optional("CONFIGURATION_SET", text)?,
            token_lifetime: optional("TOKEN_LIFETIME_SECONDS", TokenLifetime::parse_seconds)?
                .unwrap_or_default(),
            retention: optional("RETENTION_DAYS", Retention::parse_days)?.unwrap_or_default(),
            limits: limits_from_env()?,
            longest_wait: optional("LONGEST_WAIT_SECONDS", LongestWait::parse_seconds)?.unwrap_or_default(),
            origins: Origins::None,
        })
    }
}

fn limits_from_env() -> Result<Limits, VariableError> {
    let Limits { requests, mails, pending, cool_down, waits } = Limits::default();
    Ok(Limits {
        requests: optional("REQUESTS_PER_AGENT_PER_HOUR", HourlyLimit::parse)?.unwrap_or(requests),
        mails: optional("MAILS_PER_APPROVER_PER_HOUR", HourlyLimit::parse)?.unwrap_or(mails),
        pending: optional("PENDING_PER_AGENT", PendingLimit::parse)?.unwrap_or(pending),
        cool_down: optional("DENIED_COOL_DOWN_SECONDS", CoolDown::parse_seconds)?.unwrap_or(cool_down),
        waits: optional("WAITS_PER_AGENT", WaitLimit::parse)?.unwrap_or(waits),
    })
}

/// The clients and settings that every call uses.
#[derive(Clone)]
pub struct Deps {
    store: Store,
    mailer: Mailer,
    clock: Clock,
    settings: Arc<Settings>,
}

impl Deps {
    /// Connects as the environment says.
    pub async fn from_env() -> Result<Self, StartError> {
        Self::connect(&Aws::from_env()?, Settings::from_env()?, Clock::system()).await
    }

    /// Connects to these endpoints, with this clock.
    pub async fn connect(aws: &Aws, settings: Settings, clock: Clock) -> Result<Self, StartError> {
        let keys = PublicKeys::fetch(&aws.kms(), &settings.keys).await?.jwks();
        let store = Store::new(aws.dynamodb(), settings.table.clone(), keys.clone());
        let mailer = Mailer::new(aws.sesv2(), settings.mail_from.clone(), settings.reply_to.clone());
        let mailer = mailer.under(settings.configuration_set.clone());
        Ok(Self { store, mailer, clock, settings: Arc::new(settings) })
    }
}

/// `POST /mcp`. There is no authorization server, so there is no RFC 9728 metadata either. Clients that find metadata look for
/// the server, and their users never read that a key is missing.
pub fn router(deps: Deps) -> Router {
    // A Function URL checks no Host, and its own is not known before it is deployed: a page that rebinds a name to it
    // gains nothing without the key.
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .disable_allowed_hosts()
        .with_allowed_origins(deps.settings.origins.allowed().iter().copied())
        .enforce_origin_validation()
        .with_max_request_body_bytes(inbound::MAX_BYTES);
    let server = server::Server::new(deps.clone());
    let mcp = StreamableHttpService::new(
        move || Ok(server.clone()),
        Arc::new(NeverSessionManager::default()),
        config,
    );
    Router::new()
        .route_service("/mcp", mcp.clone())
        .route_service("/mcp/", mcp)
        .layer(from_fn_with_state(deps, inbound::check))
        .merge(unauthorized::no_sign_in())
        .fallback(any(unauthorized::not_found))
}
