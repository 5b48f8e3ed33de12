use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use tokio::process::Command;

use crate::{Browser, Link, Program};

/// The real `sayso-local`, as a process of its own. It is killed when this is dropped.
pub struct Local {
    /// What it printed when it was ready.
    pub ready: Ready,
    program: Program,
}

/// Its one line of JSON.
pub struct Ready(Value);

impl Ready {
    /// One of its addresses, or the key.
    pub fn get(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", self.0))
    }

    /// The names of all it told.
    pub fn names(&self) -> Vec<&str> {
        self.0.as_object().expect("an object").keys().map(String::as_str).collect()
    }
}

impl Local {
    /// Starts it with `--json` and these arguments.
    pub async fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(crate::binary("sayso-local").await);
        command.arg("--json").args(arguments);
        let mut program = Program::start(command);
        let line = program.line_with("{").await;
        let ready = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        Self { ready: Ready(ready), program }
    }

    /// Starts it on these five ports and this file, with this key.
    pub async fn start_again(port: u16, data: &Path, key: &str) -> Self {
        let (port, data) = (port.to_string(), data.to_str().expect("a path"));
        Self::start(&["--port", &port, "--data", data, "--agent-key", key]).await
    }

    /// What `sayso-gate` has to be told, as its environment.
    pub fn gate_environment(&self) -> [(&'static str, &str); 4] {
        [
            ("SAYSO_MCP_URL", self.ready.get("mcp_url")),
            ("SAYSO_AGENT_KEY", self.ready.get("agent_key")),
            ("SAYSO_ISSUER", self.ready.get("issuer_url")),
            ("SAYSO_AUDIENCE", self.ready.get("audience")),
        ]
    }

    /// SIGKILL, wherever it is.
    pub async fn kill(mut self) {
        self.program.kill().await;
    }

    /// Everything it has printed, on both of its outputs.
    pub fn output(&self) -> String {
        self.program.output()
    }

    /// A browser without cookies or scripts.
    pub fn browser(&self) -> Browser {
        Browser::new()
    }

    /// The mails, as `messages.json` lists them.
    pub async fn messages(&self) -> Vec<Value> {
        let listed = self.browser().open(&format!("{}/messages.json", self.ready.get("outbox_url"))).await;
        assert_eq!((listed.status, listed.header("content-type")), (200, "application/json"));
        serde_json::from_str(&listed.html).expect("a list")
    }

    /// The deciding links in the mails about an approval, oldest first.
    pub async fn links(&self, approval_id: &str) -> Vec<Link> {
        let start = format!("{}/{approval_id}/", self.ready.get("page_url"));
        let texts =
            self.messages().await.into_iter().map(|mail| mail["text"].as_str().expect("text").to_owned());
        let found =
            texts.filter_map(|text| text.lines().find(|line| line.starts_with(&start)).map(str::to_owned));
        found.map(Link).collect()
    }
}

/// Six free ports in a row, by the first. Nothing holds them: a test starts `sayso-local` on them again and again. They are
/// below those that systems give to outgoing connections, which might take one in between.
pub fn six_free_ports() -> u16 {
    /// From port 12,000 on, six in each.
    const BLOCKS: u32 = 3_000;
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let first = |block: u32| u16::try_from(12_000 + 6 * (block % BLOCKS)).expect("a port");
    let free = |first: &u16| (*first..first + 6).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok());
    // Other test processes have other ids, and so begin elsewhere.
    let mut blocks = (0..BLOCKS).map(|_| std::process::id() + TAKEN.fetch_add(1, Ordering::Relaxed));
    blocks.find_map(|block| Some(first(block)).filter(free)).expect("six free ports in a row")
}
