//! `sayso-gate mcp`: an MCP server in front of another one. Everything passes, except calls of tools that the policy gates.

mod answer;
mod call;
mod context;
mod conversation;
mod definition;
mod gatekeeper;
mod held;
mod listed;
mod listing;
pub(crate) mod policy;
mod withdrawing;

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use gatekeeper::{Ended, Gatekeeper};
use policy::{Policy, PolicyError};
use sayso_sdk::{Approvals, Refusal, TlsError};
use thiserror::Error;
use tokio::net::TcpListener;

use crate::approval::{Asker, StateDir, StateDirError};
use crate::arguments::{Connection, McpSettings, UpstreamServer};
use crate::credentials::credential;
use crate::interrupts::Interrupts;
use crate::relay::client;
use crate::relay::upstream::{Upstream, UpstreamError};
use crate::terminal::{say, status};

/// Why the gate does not start. The server behind it has not been started then.
#[derive(Debug, Error)]
enum StartError {
    #[error("{file}: {source}: put the policy there, or name another with --policy")]
    NoPolicy { file: String, source: std::io::Error },
    #[error("{file}, {error}")]
    Policy { file: String, error: PolicyError },
    #[error("the upstream command is not valid UTF-8: rename it")]
    NotText,
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    #[error(transparent)]
    State(#[from] StateDirError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Randomness(#[from] Refusal),
    #[error(
        "--listen {address} is not on loopback, and the gate asks its clients for no key: name each host by which clients reach it with --allowed-host, and let only clients through that may call the tools"
    )]
    NotLoopback { address: SocketAddr },
    #[error("--listen {address}: {source}: choose another address")]
    Address { address: SocketAddr, source: std::io::Error },
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
}

/// Stands in front of the server until the client, the server or a signal ends it.
pub(crate) fn run(settings: McpSettings) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.map_err(StartError::from).and_then(|runtime| runtime.block_on(front(settings))) {
        Ok(code) => code,
        Err(problem) => {
            say(problem);
            status::CONFIGURATION.into()
        }
    }
}

async fn front(settings: McpSettings) -> Result<ExitCode, StartError> {
    let policy = policy_in(&settings.policy)?;
    let upstream = match settings.upstream {
        UpstreamServer::Url(url) => {
            Upstream::url(&url, credential("SAYSO_UPSTREAM_AUTHORIZATION").as_deref())?
        }
        UpstreamServer::Command(words) => {
            let words = words.into_iter().map(|word| word.into_string().map_err(|_| StartError::NotText));
            Upstream::command_from_env(words.collect::<Result<_, _>>()?, settings.user.as_deref())?
        }
    };
    upstream.look().await?;
    let gatekeeper = Gatekeeper::new(policy, asker(settings.connection)?, upstream.name());
    let code = match settings.listen {
        None => over_pipes(&gatekeeper, &upstream).await?,
        Some(address) => over_http(gatekeeper, &upstream, address, settings.allowed_hosts).await?,
    };
    upstream.closed().await;
    Ok(code)
}

fn policy_in(path: &Path) -> Result<Policy, StartError> {
    let file = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => Policy::parse(&text).map_err(|error| StartError::Policy { file, error }),
        Err(source) => Err(StartError::NoPolicy { file, source }),
    }
}

fn asker(connection: Connection) -> Result<Asker, StartError> {
    let Connection { mcp_url, agent_key, trust, state } = connection;
    let approvals = Approvals::new(mcp_url, agent_key)?;
    let audience = trust.audience.clone();
    let gate = trust.gate()?;
    Ok(Asker::new(approvals, gate, audience, StateDir::open(state)?))
}

async fn over_pipes(gatekeeper: &Gatekeeper, upstream: &Upstream) -> Result<ExitCode, StartError> {
    // First, so that a signal cannot leave a server behind.
    let mut interrupts = Interrupts::listen()?;
    let server = upstream.open().await?;
    let (client, written) = client::stdio::line();
    let served = async {
        let ended = gatekeeper.serve(client, server).await;
        // It cannot fail: if the reader is gone, the writer just ends.
        let _ = written.await;
        ended
    };
    let ended = tokio::select! {
        ended = served => ended,
        // Dropping the conversation ends the server.
        interrupt = interrupts.next() => return Ok(interrupt.status().into()),
    };
    Ok(match ended {
        Ended::Client => ExitCode::SUCCESS,
        Ended::Upstream => {
            say("the server behind the gate has ended");
            ExitCode::FAILURE
        }
    })
}

async fn over_http(
    gatekeeper: Gatekeeper,
    upstream: &Upstream,
    address: SocketAddr,
    allowed_hosts: Vec<String>,
) -> Result<ExitCode, StartError> {
    if !address.ip().is_loopback() && allowed_hosts.is_empty() {
        return Err(StartError::NotLoopback { address });
    }
    let refuse = |source| StartError::Address { address, source };
    let listener = TcpListener::bind(address).await.map_err(refuse)?;
    say(format!("listening at http://{}/mcp", listener.local_addr().map_err(refuse)?));
    let converse = move |client, server| {
        let gatekeeper = gatekeeper.clone();
        async move {
            gatekeeper.serve(client, server).await;
        }
    };
    let mut interrupts = Interrupts::listen()?;
    tokio::select! {
        served = client::http::serve(listener, converse, upstream.clone(), allowed_hosts) => served?,
        _ = interrupts.next() => {}
    }
    Ok(ExitCode::SUCCESS)
}
