//! Where the deployment is, and as whom to speak to it.

use std::path::Path;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_types::region::Region;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client};
use sayso_cloud::operator::Registry;
use sayso_cloud::{Aws, Clock, Endpoints, Roots, Signer, Store, interactive_http_client};
use sayso_model::BaseUrl;
use sayso_model::token::{Issuer, Jwks};
use serde::Deserialize;

use crate::arguments::Connection;
use crate::outcome::Stopped;

/// How long anything but DynamoDB may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// Far above any honest answer.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// One deployment, as its operator reaches it.
pub(crate) struct Deployment {
    pub(crate) registry: Registry,
    pub(crate) clock: Clock,
    pub(crate) table: String,
    mcp_url: Option<BaseUrl>,
    issuer: Option<Issuer>,
    /// Of a local host.
    pub(crate) outbox: Option<BaseUrl>,
    audit_key: Option<String>,
    aws: Aws,
    roots: Option<Roots>,
}

/// What a local host says of itself.
#[derive(Deserialize)]
struct Whereabouts {
    mcp_url: String,
    issuer_url: String,
    outbox_url: String,
    dynamodb_url: String,
    table: String,
    kms_url: String,
    audit_key: String,
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
        let aws = Aws::at(Endpoints { dynamodb, kms, ..Endpoints::default() });
        Ok(Self {
            registry: Registry::new(aws.dynamodb(), told.table.clone()),
            clock: Clock::system(),
            table: told.table,
            mcp_url: Some(url(&told.mcp_url)?),
            issuer: Some(url(&told.issuer_url)?),
            outbox: Some(url(&told.outbox_url)?),
            audit_key: connection.audit_key.clone().or(Some(told.audit_key)),
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
            aws,
            roots: roots(connection)?,
        })
    }

    /// Where agents ask, if it is known.
    pub(crate) fn mcp_url(&self) -> Option<&BaseUrl> {
        self.mcp_url.as_ref()
    }

    /// Where agents ask.
    pub(crate) fn need_mcp_url(&self) -> Result<&BaseUrl, Stopped> {
        self.mcp_url.as_ref().ok_or_else(|| {
            Stopped::usage(
                "say where agents ask: --mcp-url URL (the stack's output McpUrl, or SAYSO_MCP_URL)",
            )
        })
    }

    /// Whose keys approvals verify under.
    pub(crate) fn need_issuer(&self) -> Result<&Issuer, Stopped> {
        self.issuer.as_ref().ok_or_else(|| {
            Stopped::usage("say who signs: --issuer URL (the stack's output Issuer, or SAYSO_ISSUER)")
        })
    }

    /// Whose certificates to trust in the place of the machine's.
    pub(crate) fn roots(&self) -> Option<&Roots> {
        self.roots.as_ref()
    }

    /// The approvals, judged by the issuer's published keys: the table alone is not trusted to say `approved`.
    pub(crate) async fn store(&self) -> Result<Store, Stopped> {
        Ok(self.store_under(self.published_keys(self.need_issuer()?).await?))
    }

    /// The keys that an issuer publishes.
    pub(crate) async fn published_keys(&self, issuer: &Issuer) -> Result<Jwks, Stopped> {
        published_keys(issuer, self.roots.as_ref()).await
    }

    /// The approvals, judged by these keys.
    pub(crate) fn store_under(&self, keys: Jwks) -> Store {
        Store::new(self.aws.dynamodb(), self.table.clone(), keys)
    }

    /// What signs audit exports, if these credentials may.
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

/// The same, for what needs no table.
pub(crate) async fn audit_signer(connection: &Connection) -> Result<Signer, Stopped> {
    if let Some(port) = connection.local {
        return Deployment::on_this_machine(port, connection).await?.audit_signer().await;
    }
    let key = need_audit_key(connection.audit_key.as_deref())?;
    signer(&account(connection).await?, key).await
}

/// Who signs approvals, if that is known without a table.
pub(crate) async fn issuer(connection: &Connection) -> Result<Option<Issuer>, Stopped> {
    match (connection.issuer.clone(), connection.local) {
        (None, Some(port)) => Ok(Deployment::on_this_machine(port, connection).await?.issuer),
        (issuer, _) => Ok(issuer),
    }
}

/// The same, for what needs no table.
pub(crate) async fn published_keys(issuer: &Issuer, roots: Option<&Roots>) -> Result<Jwks, Stopped> {
    let local = issuer.as_str().starts_with("http://");
    let keys = fetch(&http(local, roots)?, &format!("{issuer}/.well-known/jwks.json")).await;
    let keys = keys.and_then(|keys| serde_json::from_str::<Jwks>(&keys).ok());
    keys.ok_or_else(|| {
        Stopped::not_done(format!(
            "the issuer's keys cannot be fetched from {issuer}, so no approval can be judged: compare --issuer with the stack's output Issuer. Behind a proxy, HTTPS_PROXY must name it, and AWS_CA_BUNDLE the file with its certificate if it reads along"
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
    // Asked here, where it can be said: a call that lacks them only fails. What is wrong with them is not repeated: it may
    // quote them.
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

/// Whose certificates to trust in the place of the machine's.
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

/// A client that goes nowhere but where it is sent, without TLS on this machine only.
pub(crate) fn http(local: bool, roots: Option<&Roots>) -> Result<Client, Stopped> {
    let builder = Client::builder().timeout(PATIENCE).redirect(Policy::none()).retry(reqwest::retry::never());
    let built = match roots.map(|roots| Certificate::from_pem_bundle(roots.as_pem())).transpose() {
        _ if local => builder.no_proxy().tls_certs_only([]).build(),
        Ok(Some(certificates)) => builder.https_only(true).tls_certs_only(certificates).build(),
        Ok(None) => builder.https_only(true).build(),
        Err(error) => Err(error),
    };
    built.map_err(|_| {
        Stopped::usage(
            "no TLS on this machine: install its root certificates, or see to those of AWS_CA_BUNDLE",
        )
    })
}

/// What is there, if it is there and is text of an honest length.
pub(crate) async fn fetch(http: &Client, url: &str) -> Option<String> {
    let answer = http.get(url).send().await.ok().filter(|answer| answer.status().is_success())?;
    read(answer).await
}

/// The text of an answer, if its length is honest.
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
