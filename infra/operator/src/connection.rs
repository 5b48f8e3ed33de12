//! Connects to a deployment: its addresses, its keys, and the credentials.

use std::path::Path;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_types::region::Region;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client};
use sayso_cloud::operator::Registry;
use sayso_cloud::{Aws, Clock, Endpoints, Mailer, Roots, Signer, Store, interactive_http_client};
use sayso_model::token::{Issuer, Jwks};
use sayso_model::{BaseUrl, EmailAddress};
use serde::Deserialize;

use crate::arguments::Connection;
use crate::outcome::Stopped;

/// How long anything but DynamoDB may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// Far above any genuine answer.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// One deployment, as its operator reaches it.
pub(crate) struct Deployment {
    pub(crate) registry: Registry,
    pub(crate) clock: Clock,
    pub(crate) table: String,
    mcp_url: Option<BaseUrl>,
    issuer: Option<Issuer>,
    /// The outbox of a local host; none on AWS.
    pub(crate) outbox: Option<BaseUrl>,
    audit_key: Option<String>,
    enrolment_key: Option<String>,
    /// Of a local host.
    pub(crate) page_url: Option<BaseUrl>,
    aws: Aws,
    roots: Option<Roots>,
}

/// What a local host answers about itself.
#[derive(Deserialize)]
struct Whereabouts {
    mcp_url: String,
    issuer_url: String,
    outbox_url: String,
    dynamodb_url: String,
    table: String,
    kms_url: String,
    audit_key: String,
    page_url: String,
    sesv2_url: String,
    enrolment_key: String,
}

impl Deployment {
    pub(crate) async fn connect(connection: &Connection) -> Result<Self, Stopped> {
        match connection.local {
            Some(port) => Self::on_this_machine(port, connection).await,
            None => Self::on_aws(connection).await,
        }
    }

    async fn on_this_machine(port: u16, connection: &Connection) -> Result<Self, Stopped> {
        let asked = format!("http://127.0.0.1:{port}/local.json");
        let missing = || {
            Stopped::usage(format!(
                "no sayso-local answers on port {port}: start it, or name the port of its MCP endpoint with --local=PORT"
            ))
        };
        let told = fetch(&http(true, None)?, &asked).await.ok_or_else(missing)?;
        let told: Whereabouts = serde_json::from_str(&told).map_err(|_| missing())?;
        let url = |text: &str| BaseUrl::parse(text).map_err(|_| missing());
        let endpoint = |text: &str| Ok::<_, Stopped>(Some(url(text)?.as_str().to_owned()));
        let (dynamodb, kms) = (endpoint(&told.dynamodb_url)?, endpoint(&told.kms_url)?);
        let aws = Aws::at(Endpoints { dynamodb, kms, sesv2: endpoint(&told.sesv2_url)? });
        Ok(Self {
            registry: Registry::new(aws.dynamodb(), told.table.clone()),
            clock: Clock::system(),
            table: told.table,
            mcp_url: Some(url(&told.mcp_url)?),
            issuer: Some(url(&told.issuer_url)?),
            outbox: Some(url(&told.outbox_url)?),
            audit_key: connection.audit_key.clone().or(Some(told.audit_key)),
            enrolment_key: connection.enrolment_key.clone().or(Some(told.enrolment_key)),
            page_url: Some(url(&told.page_url)?),
            aws,
            roots: None,
        })
    }

    async fn on_aws(connection: &Connection) -> Result<Self, Stopped> {
        let table = connection.table.clone().ok_or_else(|| {
            Stopped::usage(
                "say which deployment: --table NAME (the stack's output TableName, or SAYSO_TABLE), or --local",
            )
        })?;
        let aws = account(connection).await?;
        Ok(Self {
            registry: Registry::new(aws.dynamodb(), table.clone()),
            clock: Clock::system(),
            table,
            mcp_url: connection.mcp_url.clone(),
            issuer: connection.issuer.clone(),
            outbox: None,
            audit_key: connection.audit_key.clone(),
            enrolment_key: connection.enrolment_key.clone(),
            page_url: None,
            aws,
            roots: roots(connection)?,
        })
    }

    /// The MCP endpoint, if it is known.
    pub(crate) fn mcp_url(&self) -> Option<&BaseUrl> {
        self.mcp_url.as_ref()
    }

    /// The MCP endpoint, or a usage error.
    pub(crate) fn need_mcp_url(&self) -> Result<&BaseUrl, Stopped> {
        self.mcp_url.as_ref().ok_or_else(|| {
            Stopped::usage(
                "say where agents ask: --mcp-url URL (the stack's output McpUrl, or SAYSO_MCP_URL)",
            )
        })
    }

    /// The issuer, whose keys verify approvals, or a usage error.
    pub(crate) fn need_issuer(&self) -> Result<&Issuer, Stopped> {
        self.issuer.as_ref().ok_or_else(|| {
            Stopped::usage("say who signs: --issuer URL (the stack's output Issuer, or SAYSO_ISSUER)")
        })
    }

    /// The certificates to trust instead of the machine's.
    pub(crate) fn roots(&self) -> Option<&Roots> {
        self.roots.as_ref()
    }

    /// The approvals, verified with the issuer's published keys. A row that says `approved` is not trusted by itself.
    pub(crate) async fn store(&self) -> Result<Store, Stopped> {
        Ok(self.store_under(self.published_keys(self.need_issuer()?).await?))
    }

    /// The keys that an issuer publishes.
    pub(crate) async fn published_keys(&self, issuer: &Issuer) -> Result<Jwks, Stopped> {
        published_keys(issuer, self.roots.as_ref()).await
    }

    /// The approvals, verified with these keys.
    pub(crate) fn store_under(&self, keys: Jwks) -> Store {
        Store::new(self.aws.dynamodb(), self.table.clone(), keys)
    }

    /// The signer of invitations. Enrolled passkeys verify under its public half.
    pub(crate) async fn enrolment_signer(&self) -> Result<Signer, Stopped> {
        let key = self.enrolment_key.as_deref().ok_or_else(|| {
            Stopped::usage(
                "say which key signs passkeys: --enrolment-key ID (the stack's output EnrolmentKeyId, or SAYSO_ENROLMENT_KEY)",
            )
        })?;
        signer(&self.aws, key).await
    }

    /// Sends mail from this address.
    pub(crate) fn mailer(&self, from: EmailAddress) -> Mailer {
        let reply_to = from.no_reply();
        Mailer::new(self.aws.sesv2(), from, reply_to)
    }

    /// The signer of audit exports, if the credentials are permitted to use it.
    pub(crate) async fn audit_signer(&self) -> Result<Signer, Stopped> {
        signer(&self.aws, need_audit_key(self.audit_key.as_deref())?).await
    }
}

/// The key that signs audit exports, by its id.
async fn signer(aws: &Aws, key: &str) -> Result<Signer, Stopped> {
    Ok(Signer::connect(aws.kms(), key.to_owned()).await?)
}

fn need_audit_key(key: Option<&str>) -> Result<&str, Stopped> {
    key.ok_or_else(|| {
        Stopped::usage(
            "say which key signs: --audit-key ID (the stack's output AuditKeyId, or SAYSO_AUDIT_KEY)",
        )
    })
}

/// The signer of audit exports, for commands that need no table.
pub(crate) async fn audit_signer(connection: &Connection) -> Result<Signer, Stopped> {
    if let Some(port) = connection.local {
        return Deployment::on_this_machine(port, connection).await?.audit_signer().await;
    }
    let key = need_audit_key(connection.audit_key.as_deref())?;
    signer(&account(connection).await?, key).await
}

/// The issuer, if it is known without a table.
pub(crate) async fn issuer(connection: &Connection) -> Result<Option<Issuer>, Stopped> {
    match (connection.issuer.clone(), connection.local) {
        (None, Some(port)) => Ok(Deployment::on_this_machine(port, connection).await?.issuer),
        (issuer, _) => Ok(issuer),
    }
}

/// The keys that an issuer publishes, for commands that need no table.
pub(crate) async fn published_keys(issuer: &Issuer, roots: Option<&Roots>) -> Result<Jwks, Stopped> {
    let local = issuer.as_str().starts_with("http://");
    let keys = fetch(&http(local, roots)?, &format!("{issuer}/.well-known/jwks.json")).await;
    let keys = keys.and_then(|keys| serde_json::from_str::<Jwks>(&keys).ok());
    keys.ok_or_else(|| {
        Stopped::not_done(format!(
            "the issuer's keys cannot be fetched from {issuer}, so no approval can be judged: compare --issuer with the stack's output Issuer. Behind a proxy, set HTTPS_PROXY, and if the proxy inspects TLS, set AWS_CA_BUNDLE to its certificate file"
        ))
    })
}

/// The account, as AWS's ordinary chain of regions and credentials finds it.
pub(crate) async fn account(connection: &Connection) -> Result<Aws, Stopped> {
    let http = interactive_http_client(roots(connection)?.as_ref());
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
    if let Some(region) = &connection.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(profile) = &connection.profile {
        loader = loader.profile_name(profile);
    }
    let config = loader.load().await;
    if config.region().is_none() {
        return Err(Stopped::usage("no AWS region: name it with --region, AWS_REGION or the profile"));
    }
    // Checked here, where the message can be clear: a call without credentials only fails. The provider's error is not
    // repeated, because it may quote them.
    let provider = config.credentials_provider();
    let found = match &provider {
        Some(provider) => provider.provide_credentials().await.is_ok(),
        None => false,
    };
    if !found {
        return Err(Stopped::usage(
            "no AWS credentials: log in (`aws sso login`), name a profile with --profile, or set AWS_ACCESS_KEY_ID",
        ));
    }
    Ok(Aws::of(&config))
}

/// The certificates to trust instead of the machine's.
pub(crate) fn roots(connection: &Connection) -> Result<Option<Roots>, Stopped> {
    let Some(path) = connection.ca_bundle.as_deref().filter(|path| !path.is_empty()).map(Path::new) else {
        return Ok(None);
    };
    let file = path.display();
    let pem = std::fs::read(path).map_err(|error| {
        Stopped::usage(format!("{file} (--ca-bundle, AWS_CA_BUNDLE) cannot be read: {error}"))
    })?;
    let roots = Roots::parse(&pem);
    roots
        .map(Some)
        .map_err(|problem| Stopped::usage(format!("{file} (--ca-bundle, AWS_CA_BUNDLE): {problem}")))
}

/// An HTTP client that follows no redirects. Only on this machine does it work without TLS.
pub(crate) fn http(local: bool, roots: Option<&Roots>) -> Result<Client, Stopped> {
    let builder = Client::builder().timeout(PATIENCE).redirect(Policy::none()).retry(reqwest::retry::never());
    let built = match roots.map(|roots| Certificate::from_pem_bundle(roots.as_pem())).transpose() {
        _ if local => builder.no_proxy().tls_certs_only([]).build(),
        Ok(Some(certificates)) => builder.https_only(true).tls_certs_only(certificates).build(),
        Ok(None) => builder.https_only(true).build(),
        Err(error) => Err(error),
    };
    built.map_err(|_| Stopped::usage("no usable root certificates: install them, or fix AWS_CA_BUNDLE"))
}

/// The text at a URL, if there is one and it is not longer than [`MAX_ANSWER`].
pub(crate) async fn fetch(http: &Client, url: &str) -> Option<String> {
    let answer = http.get(url).send().await.ok().filter(|answer| answer.status().is_success())?;
    read(answer).await
}

/// The text of an answer, if it is not longer than [`MAX_ANSWER`].
pub(crate) async fn read(mut answer: reqwest::Response) -> Option<String> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.ok()? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    String::from_utf8(body).ok()
}
