use std::path::Path;
use std::time::Duration;

use rmcp::model::ProtocolVersion;
use sayso_cloud::Clock;
use sayso_model::{ApprovalId, Timestamp};
use sayso_tests::{Agent, Program, World, binary, expect_golden};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

/// A deployment, and the program of its operator. The program has the machine's clock, so the deployment's time begins there.
pub(crate) struct Operated {
    pub(crate) world: World,
    /// Where the program is run.
    pub(crate) folder: TempDir,
}

/// How a command ended.
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) out: String,
    /// Both outputs.
    pub(crate) all: String,
}

impl Ran {
    /// What it printed with `--json`.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}", self.all))
    }

    /// A member of that, as text.
    pub(crate) fn field(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", self.all)).to_owned()
    }
}

impl Operated {
    /// Time passes only as the test says.
    pub(crate) async fn new() -> Self {
        Self::since(Duration::ZERO).await
    }

    /// The same, and the deployment's time begins so long before the program's.
    pub(crate) async fn since(ago: Duration) -> Self {
        Self::of(World::at(Clock::system().now().minus(ago)).await)
    }

    fn of(world: World) -> Self {
        Self { world, folder: TempDir::new().expect("a folder") }
    }

    /// Time passes by itself.
    pub(crate) async fn live() -> Self {
        Self::of(World::live().await)
    }

    /// With a gate and an approver.
    pub(crate) async fn ready() -> Self {
        let operated = Self::new().await;
        operated.does(&["gate", "add", "production"]).await;
        operated.does(&["approver", "add", "alex", "alex@example.com"]).await;
        operated
    }

    pub(crate) fn port(&self) -> String {
        let address = self.world.host.mcp_url.trim_start_matches("http://127.0.0.1:");
        address.trim_end_matches("/mcp").to_owned()
    }

    /// Runs `sayso --local=PORT` with these arguments.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ran {
        let local = format!("--local={}", self.port());
        run_in(self.folder.path(), &[], &[&[local.as_str()], arguments].concat()).await
    }

    /// Runs it, and it is done.
    pub(crate) async fn does(&self, arguments: &[&str]) -> Ran {
        let ran = self.run(arguments).await;
        assert_eq!(ran.status, 0, "{arguments:?}: {}", ran.all);
        ran
    }

    /// Whether an agent with this key is let in.
    pub(crate) async fn lets_in(&self, key: &str) -> bool {
        Agent::try_connect(&self.world.host.mcp_url, key, ProtocolVersion::V_2026_07_28).await.is_ok()
    }

    /// Runs each line, and gives back what a terminal would have shown, with what differs from run to run replaced.
    pub(crate) async fn transcript(&self, lines: &[&str]) -> String {
        let mut shown = String::new();
        for line in lines {
            let ran = self.run(&words(line)).await;
            shown.push_str(&format!("$ sayso {line}\n{}[{}]\n\n", ran.all, ran.status));
        }
        // Another engine has many tables.
        steady(&shown.replace(&self.world.backends.table, "sayso"), &self.port())
    }
}

/// Runs `sayso` with these arguments, in an environment that has nothing else to say.
pub(crate) async fn run(arguments: &[&str]) -> Ran {
    run_in(Path::new("."), &[], arguments).await
}

/// Runs it in this folder, and in an environment that has only this to say.
pub(crate) async fn run_in(folder: &Path, environment: &[(&str, &str)], arguments: &[&str]) -> Ran {
    let mut command = Command::new(binary("sayso").await);
    command.args(arguments).current_dir(folder);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", "/nowhere");
    command.env("AWS_EC2_METADATA_DISABLED", "true").envs(environment.iter().copied());
    let mut program = Program::start(command);
    let status = program.exit().await.code().unwrap_or(-1);
    Ran { status, out: program.printed(), all: program.output() }
}

/// As a shell would: single quotes hold words together.
pub(crate) fn words(line: &str) -> Vec<&str> {
    let parts = line.split('\'').enumerate();
    parts
        .flat_map(|(at, part)| if at % 2 == 1 { vec![part] } else { part.split_whitespace().collect() })
        .collect()
}

/// What differs from run to run, replaced by something as long: columns stay as wide as they are.
pub(crate) fn steady(text: &str, port: &str) -> String {
    let text = text.replace(&format!("127.0.0.1:{port}"), "127.0.0.1:PORT");
    let mut shown = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        let is = |length: usize, fits: &dyn Fn(&str) -> bool| rest.get(..length).is_some_and(fits);
        let (length, replaced) = if is(55, &|text| text.starts_with("sayso_agent_")) {
            (55, "sayso_agent_KEY")
        } else if is(20, &|text| Timestamp::parse(text).is_ok()) {
            (20, "2026-11-23T12:00:00Z")
        } else if is(26, &|text| ApprovalId::parse(text).is_ok()) {
            (26, "01ABCDEFGHJKMNPQRSTVWXYZ00")
        } else if is(8, &|text| shown.ends_with("id\": \"") && text.chars().all(|c| c.is_ascii_hexdigit())) {
            (8, "0123abcd")
        } else {
            (first.len_utf8(), "")
        };
        shown.push_str(if replaced.is_empty() { &rest[..length] } else { replaced });
        rest = &rest[length..];
    }
    shown
}

/// Compares with `transcripts/NAME`.
pub(crate) fn expect_transcript(name: &str, shown: &str) {
    expect_golden(&format!("operator/transcripts/{name}"), shown);
}
