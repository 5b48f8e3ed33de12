//! A client that says what it likes to a gate in front of a server that writes down what it is told.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use sayso_tests::{Link, Local, Verdict, World, binary, workspace};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Sayso, a policy, a recording server, and a place for the gate's state: what outlives a gate.
pub(crate) struct Site {
    local: Option<Local>,
    directory: TempDir,
    environment: Vec<(String, String)>,
}

/// A running `sayso-gate mcp`, and the client's ends of its pipes.
pub(crate) struct Raw {
    child: Child,
    to: ChildStdin,
    from: Lines<BufReader<ChildStdout>>,
    /// What came that was no answer.
    pub(crate) aside: Vec<Value>,
    next_id: u64,
}

impl Site {
    /// With one tool, `drop_table`, that needs approval, and others that the policy names.
    pub(crate) async fn new() -> Self {
        let local = Local::start(&["--port", "0"]).await;
        let site = Self::told(&local.gate_environment());
        Self { local: Some(local), ..site }
    }

    /// The same in front of a world, whose line to its table can be broken and whose clock is its own.
    pub(crate) fn beside(world: &World) -> Self {
        Self::told(&[
            ("SAYSO_MCP_URL", &world.host.mcp_url),
            ("SAYSO_AGENT_KEY", world.agent_key.expose()),
            ("SAYSO_ISSUER", &world.host.issuer_url),
            ("SAYSO_AUDIENCE", "production"),
        ])
    }

    fn told(environment: &[(&str, &str)]) -> Self {
        let environment =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let site = Self { local: None, directory: tempfile::tempdir().expect("a directory"), environment };
        site.policy("wait_seconds = 0\n[[tools]]\nmatch = \"list_*\"\ndecision = \"allow\"\n[[tools]]\nmatch = \"forbidden\"\ndecision = \"deny\"\n");
        site.tools(&json!([
            tool("drop_table"),
            tool("list_tables"),
            tool("forbidden"),
            tool("hang"),
            tool("late"),
            tool("broken")
        ]));
        site
    }

    pub(crate) fn local(&self) -> &Local {
        self.local.as_ref().expect("a local host")
    }

    pub(crate) fn policy(&self, text: &str) {
        std::fs::write(self.path("gate.toml"), text).expect("a policy");
    }

    /// What the server lists from now on.
    pub(crate) fn tools(&self, tools: &Value) {
        std::fs::write(self.path("tools.json"), tools.to_string()).expect("tools");
    }

    /// What the gate is told from now on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The lines that reached the server and call a tool.
    pub(crate) fn calls(&self) -> Vec<String> {
        let received = std::fs::read_to_string(self.path("received")).unwrap_or_default();
        received.lines().filter(|line| line.contains("tools/call")).map(str::to_owned).collect()
    }

    /// How `sayso-gate mcp` is started here.
    pub(crate) async fn command(&self) -> Command {
        self.command_with(&[]).await
    }

    /// The same with more flags.
    pub(crate) async fn command_with(&self, flags: &[&str]) -> Command {
        let mut command = Command::new(binary("sayso-gate").await);
        command.arg("mcp").arg("--policy").arg(self.path("gate.toml")).args(flags);
        command.args(["--", "python3"]).arg(recorder()).arg(self.directory.path());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.env("SAYSO_STATE", self.path("state"));
        command
    }

    /// A gate whose client has said `initialize`.
    pub(crate) async fn gate(&self) -> Raw {
        let mut raw = Raw::start(self.command().await);
        let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
        let answer = raw.request("initialize", &hello.to_string()).await;
        assert_eq!(answer["result"]["serverInfo"]["name"], "recorder", "{answer}");
        raw.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
        raw
    }

    /// The approver's answer to an approval.
    pub(crate) async fn decide(&self, id: &str, verdict: Verdict, note: &str) {
        let link: Link = self.local().links(id).await.pop().expect("a mail with the link");
        let page = self.local().browser().decide(&link, verdict, note).await;
        assert_eq!(page.status, 200, "{}", page.text());
    }

    /// The approval that the first mail is about, once it is out.
    pub(crate) async fn mailed_approval(&self) -> String {
        loop {
            if let Some(mail) = self.local().messages().await.first() {
                let start = format!("{}/", self.local().ready.get("page_url"));
                let text = mail["text"].as_str().expect("text");
                let link = text.lines().find_map(|line| line.strip_prefix(&start)).expect("a link");
                return link.split('/').next().expect("an id").to_owned();
            }
            tokio::task::yield_now().await;
        }
    }

    /// How many mails have gone out.
    pub(crate) async fn mails(&self) -> usize {
        self.local().messages().await.len()
    }
}

fn recorder() -> PathBuf {
    Path::new(workspace()).join("tests/fronted/recorder.py")
}

/// A tool as a server lists it.
pub(crate) fn tool(name: &str) -> Value {
    json!({"name": name, "description": format!("{name}, for good"), "inputSchema": {"type": "object"}})
}

impl Raw {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("a gate");
        let to = child.stdin.take().expect("a pipe");
        let from = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Self { child, to, from, aside: Vec::new(), next_id: 1 }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("a process")
    }

    /// One line, as it stands.
    pub(crate) async fn send(&mut self, line: &str) {
        self.to.write_all(format!("{line}\n").as_bytes()).await.expect("an open pipe");
    }

    /// The next answer; what comes before it is put aside.
    pub(crate) async fn answer(&mut self) -> Value {
        loop {
            if let Some(answer) = self.hear().await {
                return answer;
            }
        }
    }

    /// The next message, if it is an answer; otherwise it is put aside.
    pub(crate) async fn hear(&mut self) -> Option<Value> {
        let line = self.from.next_line().await.expect("text").expect("a message before the end");
        let message: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        if message.get("method").is_none() {
            return Some(message);
        }
        self.aside.push(message);
        None
    }

    /// Whether progress was told for this token.
    pub(crate) fn heard_progress(&self, token: &str) -> bool {
        self.aside.iter().any(|message| message["params"]["progressToken"] == token)
    }

    /// A request whose params are this text, and its answer.
    pub(crate) async fn request(&mut self, method: &str, params: &str) -> Value {
        let id = self.ask(method, params).await;
        let answer = self.answer().await;
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    /// A request whose params are this text, without waiting; its id.
    pub(crate) async fn ask(&mut self, method: &str, params: &str) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)).await;
        id
    }

    /// The text of a tool's result for params that are this text.
    pub(crate) async fn call_with(&mut self, params: &str) -> String {
        let answer = self.request("tools/call", params).await;
        let text = answer.pointer("/result/content/0/text").or(answer.pointer("/error/message"));
        text.and_then(Value::as_str).unwrap_or_else(|| panic!("no text in {answer}")).to_owned()
    }

    /// The text of a tool's result for arguments that are this text.
    pub(crate) async fn call(&mut self, tool: &str, arguments: &str) -> String {
        self.call_with(&format!(r#"{{"name":"{tool}","arguments":{arguments}}}"#)).await
    }

    /// The approval that a call has to wait for.
    pub(crate) async fn asks(&mut self, tool: &str, arguments: &str) -> String {
        let text = self.call(tool, arguments).await;
        let id = text.strip_prefix("Waiting for approval ").and_then(|rest| rest.split(':').next());
        id.unwrap_or_else(|| panic!("it does not wait: {text}")).to_owned()
    }

    /// Closes our end of its standard error.
    pub(crate) fn deafen(&mut self) {
        self.child.stderr.take().expect("a pipe");
    }

    /// SIGKILL, wherever it is.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("its end");
    }

    /// Its exit code and what it said on standard error, with its standard input left open.
    pub(crate) async fn wait(self) -> (Option<i32>, String) {
        let Self { child, to, .. } = self;
        let output = child.wait_with_output().await.expect("its end");
        drop(to);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Closes its standard input; its exit code and what it said on standard error.
    pub(crate) async fn end(self) -> (Option<i32>, String) {
        drop(self.to);
        let output = self.child.wait_with_output().await.expect("its end");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}
