//! The functions, those with a URL each on a loopback port of its own as AWS gives each its own origin, over the three backends.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use axum::routing::get;
use axum::{Json, Router};
use sayso_cloud::operator::Registry;
use sayso_cloud::{Aws, Clock, Endpoints, Failure, KeyIds, PublicKeys, StartError, Store};
use sayso_model::{Agent, AgentKey, Invalid};
use serde_json::{Value, json};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::engine::{Engine, EngineError};
use crate::functions::{Functions, Urls, simulate};
use crate::outbox::{Outbox, guard};
pub use crate::settings::{Clocks, Settings};
use crate::signer;

/// The table's name on a local host.
pub const TABLE: &str = "sayso";

/// Why a local host does not start.
#[derive(Debug, Error)]
pub enum HostError {
    /// The database.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The signing key.
    #[error(transparent)]
    Signer(#[from] signer::SignerError),
    /// A port is taken.
    #[error("port {port} of 127.0.0.1 cannot be opened ({source}): choose another with --port")]
    Port {
        /// Which.
        port: u16,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A function did not start.
    #[error(transparent)]
    Function(#[from] StartError),
    /// A backend did not answer.
    #[error(transparent)]
    Backend(#[from] Failure),
    /// An approver or a gate could not be registered.
    #[error(transparent)]
    Registration(#[from] sayso_cloud::operator::RegistryError),
    /// An address does not parse.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

/// DynamoDB, SES and KMS on loopback ports. Stops when dropped.
pub struct Backends {
    /// The table.
    pub engine: Engine,
    /// The name of the table.
    pub table: String,
    /// The mails.
    pub outbox: Outbox,
    /// The key's ARN.
    pub key_arn: String,
    /// The ARN of the key that could take its place.
    pub spare_key_arn: String,
    /// The ARN of the key that signs audit exports.
    pub audit_key_arn: String,
    /// The ARN of the key that signs invitations and passkeys.
    pub enrolment_key_arn: String,
    /// Where the AWS clients find them.
    pub endpoints: Endpoints,
    _tasks: JoinSet<()>,
}

impl Backends {
    /// Opens the database, in memory or in `data`, and serves it.
    pub async fn start(data: Option<&Path>, clock: &Clock) -> Result<Self, HostError> {
        let engine = Engine::open(data, TABLE)?;
        let clock = clock.clone();
        let outbox = Outbox::open(&engine, Arc::new(move || clock.now().as_unix_seconds()));
        let signer = signer::Signer::open(&engine)?;
        let mut tasks = JoinSet::new();
        let endpoints = Endpoints {
            dynamodb: Some(serve(&mut tasks, listen(0).await?, engine.router())),
            sesv2: Some(serve(&mut tasks, listen(0).await?, outbox.api())),
            kms: Some(serve(&mut tasks, listen(0).await?, signer.router())),
        };
        Ok(Self {
            engine,
            table: TABLE.to_owned(),
            outbox,
            key_arn: signer.key_arn().to_owned(),
            spare_key_arn: signer.spare_key_arn().to_owned(),
            audit_key_arn: signer.audit_key_arn().to_owned(),
            enrolment_key_arn: signer.enrolment_key_arn().to_owned(),
            endpoints,
            _tasks: tasks,
        })
    }
}

/// The running functions and where they are. Stops when dropped.
pub struct Host {
    /// Where an MCP client connects.
    pub mcp_url: String,
    /// Where an approver reads.
    pub page_url: String,
    /// Where an approver decides.
    pub decide_url: String,
    /// Where an approver's new passkey goes.
    pub enrol_url: String,
    /// `iss`, where gates find the keys.
    pub issuer_url: String,
    /// The mails.
    pub outbox_url: String,
    store: Store,
    registry: Registry,
    feedback: sayso_feedback::Deps,
    _tasks: JoinSet<()>,
}

impl Host {
    /// Starts the functions over `endpoints`: the backends' own, or something in between.
    pub async fn start(
        backends: &Backends,
        endpoints: Endpoints,
        settings: Settings,
        clocks: impl Into<Clocks>,
    ) -> Result<Self, HostError> {
        let [mcp, page, decide, redeem, outbox, enrol] = listen_in_a_row(settings.port).await?;
        // A passkey belongs to a name: WebAuthn takes no address.
        let page_url = url(&page).replace("127.0.0.1", "localhost");
        let (decide_url, issuer_url, enrol_url) = (url(&decide), url(&redeem), url(&enrol));
        let urls = Urls::parse(&page_url, &decide_url, &issuer_url, &enrol_url)?;
        let aws = Aws::at(endpoints.clone());
        let keys = KeyIds::from(backends.key_arn.clone());
        let enrolment_key = KeyIds::from(backends.enrolment_key_arn.clone());
        let public_keys = PublicKeys::fetch(&aws.kms(), &keys).await?;
        let store = Store::new(aws.dynamodb(), backends.table.clone(), public_keys.jwks());
        let functions =
            Functions::connect(&aws, &backends.table, (keys, enrolment_key), settings, clocks.into(), urls)
                .await?;
        let registry = Registry::new(aws.dynamodb(), backends.table.clone());

        let mut tasks = JoinSet::new();
        // A Function URL has a name of its own; a loopback port is reached under any name that a web site rebinds to it.
        let mcp_url = format!("{}/mcp", url(&mcp));
        let whereabouts = json!({
            "mcp_url": mcp_url, "issuer_url": issuer_url, "outbox_url": url(&outbox),
            "dynamodb_url": endpoints.dynamodb, "table": backends.table,
            "kms_url": endpoints.kms, "audit_key": backends.audit_key_arn,
            "page_url": page_url, "sesv2_url": endpoints.sesv2, "enrolment_key": backends.enrolment_key_arn,
        });
        let Functions { feedback, .. } = functions;
        let mcp_router = told(whereabouts).fallback_service(functions.mcp);
        serve(&mut tasks, mcp, mcp_router.layer(guard::for_people()));
        serve(&mut tasks, page, functions.page.layer(guard::for_people()));
        serve(&mut tasks, decide, functions.decide.layer(guard::for_people()));
        serve(&mut tasks, redeem, functions.redeem.layer(guard::for_people()));
        serve(&mut tasks, enrol, functions.enrol.layer(guard::for_people()));
        let outbox_url = serve(&mut tasks, outbox, backends.outbox.page());
        tasks.spawn(simulate(backends.outbox.subscribe(), feedback.clone()));
        Ok(Self {
            mcp_url,
            page_url,
            decide_url,
            enrol_url,
            issuer_url,
            outbox_url,
            store,
            registry,
            feedback,
            _tasks: tasks,
        })
    }

    /// Hands the `feedback` function an event, as EventBridge does.
    pub async fn report(&self, event: Value) -> Result<(), Failure> {
        sayso_feedback::record(&self.feedback, event).await
    }

    /// The operator's side of the table.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Registers an agent, as an operator would.
    pub async fn register_agent(&self, key: &AgentKey, agent: &Agent) -> Result<(), Failure> {
        self.store.register_agent(key.hash(), agent).await
    }
}

/// Where everything is, for `sayso --local PORT`, which knows one port. There is no key in it, but the name of one: this host
/// answers every program on the machine, and guards nothing.
fn told(whereabouts: Value) -> Router {
    Router::new().route("/local.json", get(move || async move { Json(whereabouts) }))
}

async fn listen(port: u16) -> Result<TcpListener, HostError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(address).await.map_err(|source| HostError::Port { port, source })
}

/// Six ports from `first` on, or any six.
async fn listen_in_a_row(first: u16) -> Result<[TcpListener; 6], HostError> {
    let port = |offset: u16| if first == 0 { 0 } else { first.saturating_add(offset) };
    Ok([
        listen(port(0)).await?,
        listen(port(1)).await?,
        listen(port(2)).await?,
        listen(port(3)).await?,
        listen(port(4)).await?,
        listen(port(5)).await?,
    ])
}

fn url(listener: &TcpListener) -> String {
    // A listener that was just bound has an address.
    listener.local_addr().map(|address| format!("http://{address}")).unwrap_or_default()
}

fn serve(tasks: &mut JoinSet<()>, listener: TcpListener, router: Router) -> String {
    let url = url(&listener);
    tasks.spawn(async move {
        // Ends with the task: axum's server does not fail by itself.
        let _ = axum::serve(listener, router).await;
    });
    url
}
