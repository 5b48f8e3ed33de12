//! `sayso-local`: the whole of Sayso in one process, for trying it and for developing on it.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for a terminal")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use sayso_cloud::operator::{RegisteredGate, Registry, RegistryError, RegistryRefusal};
use sayso_cloud::{Clock, random};
use sayso_local::engine::Engine;
use sayso_local::host::{Backends, Host, HostError, Settings};
use sayso_local::outbox::Mail;
use sayso_model::passkey::RequiredProof;
use sayso_model::{
    Agent, AgentKey, AgentName, Approver, ApproverId, Audience, Audiences, EmailAddress, Invalid, Timestamp,
};
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// Sayso on this machine: every function in one process, on loopback ports only.
///
/// Anyone who can read the local outbox can decide: this is for trying and developing, not for guarding anything.
#[derive(Parser)]
#[command(version, name = "sayso-local")]
struct Arguments {
    /// Port of the MCP endpoint; page, decide, redeem, outbox and enrol take the next five (0: any free ports)
    #[arg(long, default_value_t = 8787)]
    port: u16,
    /// SQLite file that keeps everything across restarts (default: in memory)
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Address of the human who decides; its mail goes to the local outbox
    #[arg(long, value_name = "EMAIL", default_value = "you@example.com", value_parser = EmailAddress::parse)]
    approver: EmailAddress,
    /// The agent's bearer key (default: a fresh one, printed)
    #[arg(long, value_name = "KEY", value_parser = AgentKey::parse)]
    agent_key: Option<AgentKey>,
    /// Print one line of JSON when ready, and nothing else
    #[arg(long)]
    json: bool,
}

const AUDIENCE: &str = "local";

/// How often rows whose time is up are deleted; DynamoDB takes up to days.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sayso-local: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), HostError> {
    sayso_cloud::log::start_on_stderr();
    let clock = Clock::system();
    let backends = Backends::start(arguments.data.as_deref(), &clock).await?;
    let mails = backends.outbox.subscribe();
    let settings = Settings::new(arguments.port)?;
    let host = Host::start(&backends, backends.endpoints.clone(), settings, clock.clone()).await?;
    let agent_key = arguments.agent_key.unwrap_or_else(random::agent_key);
    let agent = agent(arguments.approver)?;
    host.register_agent(&agent_key, &agent).await?;
    register(host.registry(), &agent, clock.now()).await?;
    if arguments.json {
        println!("{}", ready_line(&host, &agent_key));
    } else {
        print_welcome(&host, &agent_key, arguments.data.is_none());
        tokio::spawn(print_mails(mails, host.outbox_url.clone()));
    }
    tokio::spawn(sweep(backends.engine.clone(), clock));
    // Nothing to save: every answer given is on disk already, or was never to be.
    let _ = tokio::signal::ctrl_c().await;
    Ok(())
}

fn agent(approver: EmailAddress) -> Result<Agent, Invalid> {
    Ok(Agent {
        name: AgentName::parse("local-agent")?,
        approver: Approver { id: ApproverId::parse("local-approver")?, email: approver },
        audiences: Audiences::new(vec![Audience::parse(AUDIENCE)?])?,
    })
}

/// The agent's approver and its gate, as an operator would have registered them before the agent.
async fn register(registry: &Registry, agent: &Agent, now: Timestamp) -> Result<(), HostError> {
    registry.add_approver(&agent.approver, true, now).await?;
    for audience in agent.audiences.iter() {
        let gate = RegisteredGate {
            audience: audience.clone(),
            description: None,
            masks: sayso_model::Masks::NONE,
            proof: RequiredProof::default(),
            created_at: now,
        };
        match registry.add_gate(&gate).await {
            // From an earlier start on the same file.
            Ok(()) | Err(RegistryError::Refused(RegistryRefusal::GateTaken(_))) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn ready_line(host: &Host, key: &AgentKey) -> serde_json::Value {
    json!({
        "mcp_url": host.mcp_url,
        "agent_key": key.expose(),
        "page_url": host.page_url,
        "decide_url": host.decide_url,
        "issuer_url": host.issuer_url,
        "outbox_url": host.outbox_url,
        "enrol_url": host.enrol_url,
        "audience": AUDIENCE,
    })
}

fn print_welcome(host: &Host, key: &AgentKey, in_memory: bool) {
    let (mcp_url, key) = (&host.mcp_url, key.expose());
    let configuration = json!({"mcpServers": {"sayso": {
        "type": "http",
        "url": mcp_url,
        "headers": {"Authorization": format!("Bearer {key}")},
    }}});
    println!("Sayso runs on this machine.\n");
    println!("  MCP endpoint   {mcp_url}");
    println!("  Outbox         {}   (anyone who reads it can decide)", host.outbox_url);
    println!("  Issuer         {}", host.issuer_url);
    println!("  Audience       {AUDIENCE}");
    println!(
        "  Data           {}\n",
        if in_memory { "in memory: gone when this ends (--data FILE keeps it)" } else { "kept" }
    );
    println!("A gate in another terminal:\n");
    println!("  export SAYSO_MCP_URL={mcp_url}");
    println!("  export SAYSO_ISSUER={}", host.issuer_url);
    println!("  export SAYSO_AUDIENCE={AUDIENCE}");
    println!("  export SAYSO_AGENT_KEY={key}");
    println!("  sayso-gate run -- echo 'It ran.'\n");
    println!("Claude Code:\n");
    println!("  claude mcp add --transport http sayso {mcp_url} --header \"Authorization: Bearer {key}\"\n");
    println!("Any other MCP client:\n");
    println!("{configuration:#}\n");
    println!(
        "Then tell your agent: \"Ask Sayso for approval to drop the table customers, and wait for the answer.\""
    );
    println!("The mail appears here and in the outbox. Ctrl-C stops.");
}

async fn print_mails(mut mails: Receiver<Arc<Mail>>, outbox_url: String) {
    loop {
        match mails.recv().await {
            Ok(mail) => {
                println!("\n──── mail to {} ────", mail.to.join(", "));
                println!("Subject: {}\n", mail.subject);
                println!("{}", mail.text.as_deref().unwrap_or_default());
                println!("──── as a mail client shows it: {outbox_url} ────");
            }
            Err(RecvError::Lagged(missed)) => println!("\n({missed} more mails: see {outbox_url})"),
            Err(RecvError::Closed) => return,
        }
    }
}

async fn sweep(engine: Engine, clock: Clock) {
    loop {
        clock.sleep(SWEEP_EVERY).await;
        if let Err(error) = engine.sweep_ttl(clock.now().as_unix_seconds()) {
            eprintln!("sayso-local: rows past their time stay: {error}");
        }
    }
}
