use axum::Router;
use axum::http::StatusCode;
use sayso_local::outbox::{Fate, Mail};
use sayso_tests::{Fault, Program, Verdict, binary};
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::setting::{Operated, expect_transcript, run, steady};

const SIMULATOR: &str = "bounce@simulator.amazonses.com";

/// A deployment as it is reached on AWS: by its table, where agents ask and who signs, and nothing more.
struct Deployed(Operated);

impl Deployed {
    async fn new() -> Self {
        Self(Operated::live().await)
    }

    async fn smoke(&self) -> Program {
        let host = &self.0.world.host;
        self.smoke_at(&host.mcp_url, &host.issuer_url).await
    }

    async fn smoke_at(&self, mcp_url: &str, issuer: &str) -> Program {
        let world = &self.0.world;
        let table = world.backends.endpoints.dynamodb.clone().expect("an endpoint");
        let mut command = Command::new(binary("sayso").await);
        command.args(["--region", "us-east-1", "--table", &world.backends.table]);
        command.args(["--mcp-url", mcp_url, "--issuer", issuer]);
        command.args(["deploy", "smoke", "--email", "you@example.com"]);
        command.env_clear().env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_ENDPOINT_URL_DYNAMODB", table);
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        Program::start(command)
    }

    /// What a mail asks for, once it has gone to this address.
    async fn mailed(&self, address: &str) -> String {
        let to = |mail: &Mail| mail.to.iter().any(|to| to == address);
        loop {
            if let Some(mail) = self.0.world.mails().into_iter().find(to) {
                let id = mail.tags.into_iter().find(|(name, _)| name == "approval_id");
                return id.expect("the approval's id").1;
            }
            tokio::task::yield_now().await;
        }
    }

    /// What a terminal has shown, once the program has ended. How long the bounce took differs from run to run.
    async fn ended(&self, mut program: Program) -> String {
        let status = program.exit().await.code().unwrap_or(-1);
        let shown = format!("$ sayso deploy smoke --email you@example.com\n{}[{status}]\n", program.output());
        let mut shown = steady(&shown, &self.0.port());
        if let Some((_, after)) = shown.clone().split_once("your operator error ") {
            shown = shown.replace(&after[..12], "0123456789ab");
        }
        for seconds in 0..60 {
            shown = shown.replace(&format!("after {seconds} s"), "after N s");
        }
        let keys = self.0.world.table().keys("AGENT#").await;
        assert_eq!(keys.len(), 1, "deploy-bot alone: {shown}");
        shown
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_is_tried_step_by_step() {
    let deployed = Deployed::new().await;
    let mut program = deployed.smoke().await;
    let bounced = deployed.mailed(SIMULATOR).await;
    deployed.0.world.comes_back(&bounced, Fate::Bounce).await;
    program.line_with("Open the mail to y•••@example.com").await;
    let asked = deployed.mailed("you@example.com").await;
    let link = deployed.0.world.link(&asked);
    deployed.0.world.browser().decide(&link, Verdict::Approve, "").await;
    expect_transcript("smoke.txt", &deployed.ended(program).await);
}

/// Each with what it means and what to do.
#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_is_named_by_its_step() {
    let mut shown = String::new();
    for (call, code) in [
        ("TransactWriteItems", "AccessDeniedException"),
        ("SendEmail", "MessageRejected"),
        ("BatchGetItem", "AccessDeniedException"),
    ] {
        let deployed = Deployed::new().await;
        deployed.0.world.tap.break_all(call, Fault::Refuse(400, code));
        let program = deployed.smoke().await;
        shown.push_str(&format!("{call}: {code}\n{}\n", deployed.ended(program).await));
    }
    expect_transcript("smoke-broken.txt", &shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_front_door_answers_in_a_functions_place_is_named() {
    let (deployed, mut shown) = (Deployed::new().await, String::new());
    for status in [403, 404, 429, 502] {
        let status = StatusCode::from_u16(status).expect("a status");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let door = Router::new().fallback(move || async move { status });
        let door = tokio::spawn(async move { axum::serve(listener, door).await });
        let program = deployed.smoke_at(&format!("{url}/mcp"), &url).await;
        shown.push_str(&format!("HTTP {status}\n{}\n", deployed.ended(program).await));
        door.abort();
    }
    expect_transcript("smoke-front-door.txt", &shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_host_is_left_to_doctor() {
    let ran = run(&["--local=1", "deploy", "smoke", "--email", "you@example.com"]).await;
    assert!(ran.status == 2 && ran.all.contains("sayso --local doctor"), "{}", ran.all);
}
