use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sayso_tests::{Link, Local, Program, binary, six_free_ports, workspace};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

/// The longest a client may take for all its steps.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server as a client's configuration has it: a command with its environment, or an address.
#[derive(Debug, Clone)]
pub(crate) struct Server(Value);

impl Server {
    fn command(command: &Path, arguments: &[&str], environment: &BTreeMap<String, String>) -> Self {
        Self(json!({"command": command, "args": arguments, "env": environment}))
    }

    fn at(url: &str) -> Self {
        Self(json!({"type": "streamable-http", "url": url}))
    }

    /// The reference server of everything the protocol has.
    pub(crate) fn everything() -> Self {
        Self::command(&node(), &[&script("server-everything")], &BTreeMap::new())
    }

    /// The same over HTTP, until the program is dropped.
    pub(crate) async fn everything_over_http() -> (Program, Self) {
        let mut command = Command::new(node());
        let preload = workspace().join("tests/clients/loopback.mjs");
        command.arg("--import").arg(preload).arg(script("server-everything")).arg("streamableHttp");
        let mut program = Program::start(command);
        let url = address(&program.line_with("http://127.0.0.1:").await);
        (program, Self::at(&url))
    }

    /// The reference server of files.
    pub(crate) fn files(root: &Path) -> Self {
        let root = root.to_str().expect("a path");
        Self::command(&node(), &[&script("server-filesystem"), root], &BTreeMap::new())
    }

    /// The reference server of Git repositories: Python, and of the newest protocol.
    pub(crate) fn git() -> Self {
        let quiet = BTreeMap::from([("GIT_CONFIG_GLOBAL".to_owned(), "/dev/null".to_owned())]);
        Self::command(&python(), &["-m", "mcp_server_git"], &quiet)
    }

    /// The arguments of a gate that stands in front of it, and what the server needs in its environment.
    fn behind_a_gate(&self) -> (Vec<&str>, Option<&Value>) {
        match self.0["url"].as_str() {
            Some(url) => (vec!["--upstream", url], None),
            None => {
                let arguments = self.0["args"].as_array().expect("arguments").iter();
                let command = [&self.0["command"]].into_iter().chain(arguments);
                let words = command.map(|word| word.as_str().expect("a text"));
                (["--"].into_iter().chain(words).collect(), Some(&self.0["env"]))
            }
        }
    }
}

/// Sayso, and gates that ask it: each with a policy of its own, all with one state.
pub(crate) struct Setting {
    pub(crate) local: Local,
    /// What a gate is configured by.
    environment: BTreeMap<String, String>,
    directory: TempDir,
    _state: TempDir,
}

impl Setting {
    pub(crate) async fn new() -> Self {
        Self::of(Local::start(&["--port", "0"]).await)
    }

    /// Where the mails go to this address.
    pub(crate) async fn mailing(approver: &str) -> Self {
        Self::of(Local::start(&["--port", "0", "--approver", approver]).await)
    }

    fn of(local: Local) -> Self {
        let (directory, state) = (tempfile::tempdir(), tempfile::tempdir());
        let (directory, state) = (directory.expect("a directory"), state.expect("a directory"));
        let environment = [
            ("SAYSO_MCP_URL", local.ready.get("mcp_url")),
            ("SAYSO_AGENT_KEY", local.ready.get("agent_key")),
            ("SAYSO_ISSUER", local.ready.get("issuer_url")),
            ("SAYSO_AUDIENCE", local.ready.get("audience")),
            ("SAYSO_STATE", state.path().to_str().expect("a path")),
        ];
        let environment =
            environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
        Self { local, environment, directory, _state: state }
    }

    /// For the gates from now on, nobody answers where Sayso should be.
    pub(crate) fn cut_off(&mut self) {
        let nowhere = format!("http://127.0.0.1:{}", six_free_ports());
        self.environment.insert("SAYSO_MCP_URL".to_owned(), format!("{nowhere}/mcp"));
        self.environment.insert("SAYSO_ISSUER".to_owned(), nowhere);
    }

    /// A directory for the server's files.
    pub(crate) fn files(&self) -> PathBuf {
        let files = self.directory.path().join("files");
        std::fs::create_dir_all(&files).expect("a directory");
        files
    }

    /// The command line of a gate with this policy, from the program on.
    async fn gate(&self, server: &Server, policy: &str, more: &[&str]) -> (PathBuf, Vec<String>) {
        let file = tempfile::Builder::new().suffix(".toml").tempfile_in(self.directory.path());
        let (_, file) = file.and_then(|file| Ok(file.keep()?)).expect("a file");
        std::fs::write(&file, policy).expect("a file");
        let mut arguments = vec!["mcp", "--policy", file.to_str().expect("a path")];
        arguments.extend(more);
        arguments.extend(server.behind_a_gate().0);
        let arguments = arguments.into_iter().map(str::to_owned).collect();
        (binary("sayso-gate").await, arguments)
    }

    /// A gate in front of the server, as a command that a client starts.
    pub(crate) async fn gated(&self, server: &Server, policy: &str) -> Server {
        let (program, arguments) = self.gate(server, policy, &[]).await;
        let mut environment = self.environment.clone();
        environment.extend(server_environment(server));
        Server::command(&program, &arguments.iter().map(String::as_str).collect::<Vec<_>>(), &environment)
    }

    /// A gate in front of the server, listening until the program is dropped.
    pub(crate) async fn listening(&self, server: &Server, policy: &str) -> (Program, Server) {
        let mut program = self.start(server, policy, &["--listen", "127.0.0.1:0"]).await;
        let url = address(&program.error_with("http://127.0.0.1:").await);
        (program, Server::at(&url))
    }

    /// A gate as a program of its own.
    pub(crate) async fn start(&self, server: &Server, policy: &str, more: &[&str]) -> Program {
        let (program, arguments) = self.gate(server, policy, more).await;
        let mut command = Command::new(program);
        command.args(arguments).envs(&self.environment).envs(server_environment(server));
        Program::start(command)
    }

    /// The one link in the mails about an approval.
    pub(crate) async fn link(&self, approval_id: &str) -> Link {
        let mut links = self.local.links(approval_id).await;
        assert_eq!(links.len(), 1, "one mail about {approval_id}");
        links.remove(0)
    }

    /// The link in the first mail there is, as soon as there is one.
    pub(crate) async fn first_link(&self) -> Link {
        let page = format!("{}/", self.local.ready.get("page_url"));
        let first = async {
            loop {
                let mails = self.local.messages().await;
                let texts = mails.iter().filter_map(|mail| mail["text"].as_str());
                let links = texts.filter_map(|text| text.lines().find(|line| line.starts_with(&page)));
                if let Some(link) = links.map(str::to_owned).next() {
                    return Link(link);
                }
            }
        };
        timeout(PATIENCE, first).await.expect("a mail")
    }
}

fn server_environment(server: &Server) -> BTreeMap<String, String> {
    let environment = server.behind_a_gate().1.cloned().unwrap_or_else(|| json!({}));
    serde_json::from_value(environment).expect("an environment")
}

/// The address in the line that says where a program listens.
fn address(line: &str) -> String {
    line.split_whitespace().find(|word| word.starts_with("http://")).expect("an address").to_owned()
}

/// The file that clients read their servers from, with this one as `server`.
fn servers_file(server: &Server) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("servers.json");
    let servers = json!({"mcpServers": {"server": server.0}});
    std::fs::write(&file, servers.to_string()).expect("a file");
    (directory, file)
}

/// The Python client, about to take these steps.
fn client(server: &Server, mode: &str, steps: &Value) -> (TempDir, Command) {
    let (directory, file) = servers_file(server);
    let mut command = Command::new(python());
    command.args(["-W", "ignore", "-u"]).arg(workspace().join("tests/clients/transcript.py"));
    command.arg(file).args(["server", mode, &steps.to_string()]);
    (directory, command)
}

/// What the Python client hears from a server: one value a step.
pub(crate) async fn transcript(server: &Server, mode: &str, steps: &Value) -> Vec<Value> {
    let (_directory, command) = client(server, mode, steps);
    let (success, stdout, stderr) = output(command).await;
    assert!(success, "{stderr}\n{stdout}");
    stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

/// The Python client as a program that takes its time.
pub(crate) fn calling(server: &Server, steps: &Value) -> (TempDir, Program) {
    let (directory, command) = client(server, "auto", steps);
    (directory, Program::start(command))
}

/// What the Inspector's command line prints, and whether it says it went well.
pub(crate) async fn inspect(server: &Server, arguments: &[&str]) -> (bool, Value) {
    let (home, file) = servers_file(server);
    let mut command = Command::new(node());
    command.arg(script("inspector")).args(["--cli", "--config"]).arg(file).args(["--server", "server"]);
    command.args(arguments).env("HOME", home.path());
    let (success, stdout, stderr) = output(command).await;
    let printed =
        serde_json::from_str(&stdout).unwrap_or_else(|e| panic!("{e}: {arguments:?}: {stdout}\n{stderr}"));
    (success, printed)
}

async fn output(mut command: Command) -> (bool, String, String) {
    let output = timeout(PATIENCE, command.kill_on_drop(true).output()).await;
    let output = output.expect("its end").expect("a program");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

/// The Python that `tests/run` puts the client into.
fn python() -> PathBuf {
    installed("target/python/bin/python")
}

/// The Node that `tests/run` installs, or the machine's where there is none to install.
fn node() -> PathBuf {
    let own = workspace().join("target/node/node_modules/.bin/node");
    if own.exists() { own } else { PathBuf::from("node") }
}

/// A package's program, to be run by [`node`].
fn script(package: &str) -> String {
    let within = match package {
        "inspector" => "clients/launcher/build/index.js",
        _ => "dist/index.js",
    };
    let path = installed(&format!("target/node/node_modules/@modelcontextprotocol/{package}/{within}"));
    path.to_str().expect("a path").to_owned()
}

fn installed(path: &str) -> PathBuf {
    let path = workspace().join(path);
    assert!(path.exists(), "{} is missing: run tests/run once", path.display());
    path
}
