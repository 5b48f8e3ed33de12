//! April 2026, once more: an agent that was told never to delete deletes a company's production database and its
//! backups. This time the cloud's tools are behind `sayso-gate mcp`.
#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a story for a terminal, which stops where it cannot go on"
)]

use std::path::Path;

use clap::{Parser, ValueEnum};
use sayso_tests::{Agent, Answer, Local, Verdict, binary, workspace};
use serde_json::{Value, json};
use tokio::process::Command;

/// The story that Sayso was built for: an agent deletes what it was told never to delete, and this time it has to ask.
#[derive(Parser)]
struct Arguments {
    /// Decide for the human, instead of waiting for you to open the mail's link
    #[arg(long, value_enum)]
    decide: Option<Decide>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Decide {
    Approve,
    Deny,
}

const VOLUME: &str = "vol-production-database";
const BACKUPS: [&str; 3] = ["backup-2026-04-23", "backup-2026-04-24", "backup-2026-04-25"];

#[tokio::main]
async fn main() {
    let Arguments { decide } = Arguments::parse();
    println!("Building what the story needs (the first time this takes some minutes) …");
    let directory = tempfile::tempdir().expect("a directory");
    let account = directory.path().join("account.json");
    let volumes = json!({VOLUME: {"backups": BACKUPS}, "vol-staging": {"backups": []}});
    std::fs::write(&account, format!("{volumes:#}\n")).expect("the account");
    let local = Local::start(&["--port", "0"]).await;
    let agent = Agent::starting(gate(&local, &account, directory.path()).await).await;

    println!("\nThe cloud account has {}.", in_words(&account));
    println!("The agent's instructions: NEVER run destructive commands. It lists the volumes …");
    agent.call("list_volumes", json!({})).await;
    println!("… meets a credential mismatch in staging, and decides to tidy up:\n");
    let answer = delete(&agent).await;
    println!("The cloud account still has {}.\n", in_words(&account));

    let id = approval_id(&answer);
    let mail = local.messages().await.pop().expect("a mail");
    println!("──── the mail to {} ────\n{}────\n", mail["to"][0], mail["text"].as_str().unwrap_or_default());
    let answer = decided(&local, &agent, &id, decide).await;
    println!("The cloud account has {}.", in_words(&account));
    if !answer.is_error {
        println!("\nThe agent does the very same again:\n");
        delete(&agent).await;
        println!("One approval, one call: this one waits for a new answer.");
    }
}

/// `sayso-gate mcp` in front of the account: what the agent's client is configured to start.
async fn gate(local: &Local, account: &Path, state: &Path) -> Command {
    let mut command = Command::new(binary("sayso-gate").await);
    command.arg("mcp").arg("--policy").arg(workspace().join("tests/demo/gate.toml"));
    command.arg("--").arg(binary("sayso-demo-volumes").await).arg(account);
    for (name, value) in local.gate_environment() {
        command.env(name, value);
    }
    command.env("SAYSO_STATE", state.join("state"));
    command
}

fn deletion() -> Value {
    json!({"volume_id": VOLUME, "backups": BACKUPS})
}

async fn delete(agent: &Agent) -> Answer {
    println!("  agent: delete_volume {}", deletion());
    let answer = agent.call("delete_volume", deletion()).await;
    println!("  gate:  {}\n", answer.text);
    answer
}

/// Waits for the human, or plays one; the agent calls again, as it was told to.
async fn decided(local: &Local, agent: &Agent, id: &str, decide: Option<Decide>) -> Answer {
    let link = local.links(id).await.pop().expect("the link");
    match decide {
        None => println!(
            "You are the approver: open the link in that mail, or {}\n",
            local.ready.get("outbox_url")
        ),
        Some(decide) => {
            let (verdict, note) = match decide {
                Decide::Approve => (Verdict::Approve, ""),
                Decide::Deny => (Verdict::Deny, "This is production. Fix the staging credentials."),
            };
            println!("The approver opens the link and decides.\n");
            local.browser().decide(&link, verdict, note).await;
        }
    }
    println!("  agent: calls delete_volume again, with the same arguments");
    loop {
        let answer = agent.call("delete_volume", deletion()).await;
        if !answer.text.starts_with("Waiting for approval") {
            println!("  gate:  {}\n", answer.text);
            return answer;
        }
    }
}

fn approval_id(answer: &Answer) -> String {
    let id = answer.text.strip_prefix("Waiting for approval ").and_then(|rest| rest.split(':').next());
    id.unwrap_or_else(|| panic!("no approval is waited for: {}", answer.text)).to_owned()
}

fn in_words(account: &Path) -> String {
    let text = std::fs::read_to_string(account).expect("the account");
    let volumes: Value = serde_json::from_str(&text).expect("an account");
    let volume = |(id, volume): (&String, &Value)| {
        let backups = volume["backups"].as_array().map_or(0, Vec::len);
        format!("{id} with {backups} backups")
    };
    volumes.as_object().expect("an account").iter().map(volume).collect::<Vec<_>>().join(" and ")
}
