use std::path::PathBuf;

use sayso_tests::{Link, Local, Program, Verdict, workspace};
use tokio::process::Command;

/// The Python that `tests/run` puts the client into.
fn python() -> PathBuf {
    let target = workspace().join("target/python/bin/python");
    assert!(
        target.exists(),
        "{} is missing: run tests/run once, or: python3 -m venv target/python && target/python/bin/pip install \
         --requirement tests/requirements.txt",
        target.display()
    );
    target
}

fn approve(local: &Local) -> Program {
    let mut command = Command::new(python());
    command.arg("-u").arg(workspace().join("tests/clients/approve.py"));
    command
        .env("SAYSO_MCP_URL", local.ready.get("mcp_url"))
        .env("SAYSO_AGENT_KEY", local.ready.get("agent_key"));
    Program::start(command)
}

/// What the script says when it has asked, and the link in the mail.
async fn asked(local: &Local, script: &mut Program) -> Link {
    let tools = script.line_with("tools:").await;
    assert_eq!(tools, "tools: request_approval, check_approval, withdraw_approval");
    let asked = script.line_with("asked ").await;
    assert!(asked.starts_with("asked y•••@example.com: http://localhost:"), "{asked}");
    let id = asked.rsplit('/').next().expect("an id");
    let mut links = local.links(id).await;
    assert_eq!(links.len(), 1, "one mail");
    links.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readmes_python_client_is_told_that_it_was_approved_and_gets_the_token() {
    let local = Local::start(&["--port", "0"]).await;
    let mut script = approve(&local);
    let link = asked(&local, &mut script).await;
    let page = local.browser().decide(&link, Verdict::Approve, "").await;
    assert_eq!(page.status, 200, "{}", page.text());
    script.line_with("approved").await;
    let token = script.line_with("ey").await;
    assert_eq!(token.split('.').count(), 3, "{token}");
    assert!(script.exit().await.success(), "{}", script.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readmes_python_client_is_told_that_it_was_denied_and_what_to_do() {
    let local = Local::start(&["--port", "0"]).await;
    let mut script = approve(&local);
    let link = asked(&local, &mut script).await;
    let page = local.browser().decide(&link, Verdict::Deny, "").await;
    assert_eq!(page.status, 200, "{}", page.text());
    script.line_with("denied").await;
    script.line_with("A human said no.").await;
    assert!(script.exit().await.success(), "{}", script.output());
}
