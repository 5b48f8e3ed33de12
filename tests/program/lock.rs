use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sayso_cloud::Clock;
use sayso_model::{ApprovalId, CanonicalJson, Outcome, Request, Retention, Timestamp};
use sayso_tests::{Front, Page, Program, Verdict, World, binary};
use tempfile::TempDir;
use tokio::process::Command;

/// The program in a directory of its own, in front of a deployment of its own.
pub(crate) struct Lock {
    pub(crate) world: World,
    directory: TempDir,
    mcp_url: String,
    issuer: String,
}

/// A command that leaves a line in `ran.txt` each time it runs.
pub(crate) const LEAVES_A_LINE: [&str; 3] = ["sh", "-c", "echo ran >> ran.txt"];

impl Lock {
    /// On the machine's clock.
    pub(crate) async fn new() -> Self {
        Self::of(World::live().await)
    }

    pub(crate) fn of(world: World) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let (mcp_url, issuer) = (world.host.mcp_url.clone(), world.host.issuer_url.clone());
        Self { world, directory, mcp_url, issuer }
    }

    /// With the issuer behind `front`. Decisions on the page are for the issuer itself: see [`Self::approve_at_front`].
    pub(crate) async fn with_front() -> (Self, Front) {
        let lock = Self::new().await;
        let front = Front::start(&lock.issuer).await;
        (lock.trusting(&front.url), front)
    }

    /// The machine's time, for a world that starts about then.
    pub(crate) fn now() -> Timestamp {
        Clock::system().now()
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// With another issuer.
    pub(crate) fn trusting(self, issuer: &str) -> Self {
        Self { issuer: issuer.to_owned(), ..self }
    }

    /// With another MCP endpoint.
    pub(crate) fn asking(self, mcp_url: &str) -> Self {
        Self { mcp_url: mcp_url.to_owned(), ..self }
    }

    /// Where the program works, by the one name that the kernel has for it.
    pub(crate) fn directory(&self) -> PathBuf {
        self.directory.path().canonicalize().expect("a directory")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory().join(name)
    }

    /// `sayso-gate` with these arguments, in an environment that has what it needs, PATH and HOME.
    pub(crate) async fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary("sayso-gate").await);
        let state = self.file("state");
        command.args(arguments).current_dir(self.directory()).env_clear();
        command.env("PATH", "/usr/bin:/bin").env("HOME", self.directory());
        command.env("SAYSO_MCP_URL", &self.mcp_url).env("SAYSO_AGENT_KEY", self.world.agent_key.expose());
        command
            .env("SAYSO_ISSUER", &self.issuer)
            .env("SAYSO_AUDIENCE", "production")
            .env("SAYSO_STATE", state);
        command
    }

    /// `sayso-gate run` with these options.
    pub(crate) async fn run_command(&self, options: &[&str], command: &[&str]) -> Command {
        self.command(&[&["run"], options, &["--"], command].concat()).await
    }

    pub(crate) async fn run(&self, options: &[&str], command: &[&str]) -> Program {
        Program::start(self.run_command(options, command).await)
    }

    /// Runs [`LEAVES_A_LINE`].
    pub(crate) async fn leave_a_line(&self) -> Program {
        self.run(&[], &LEAVES_A_LINE).await
    }

    /// How often [`LEAVES_A_LINE`] has run.
    pub(crate) fn lines(&self) -> usize {
        fs::read_to_string(self.file("ran.txt")).unwrap_or_default().lines().count()
    }

    /// Decides on the page that the mail leads to.
    pub(crate) async fn decide(&self, id: &str, verdict: Verdict, note: &str) {
        let page = self.world.browser().decide(&self.world.link(id), verdict, note).await;
        assert_eq!(page.status, 200, "{}", page.text());
    }

    /// What the approver reads.
    pub(crate) async fn page(&self, id: &str) -> Page {
        self.world.browser().open(&self.world.link(id).0).await
    }

    /// A yes for the issuer behind `front`, without the page.
    pub(crate) async fn approve_at_front(&self, id: &str, front: &Front) {
        let request = self.request(id).await;
        let closed = self.world.sign_yes(&front.url, &request).await;
        let concluded = self.world.store().await.conclude(closed, Retention::default()).await;
        let outcome = concluded.expect("a write").into_closed().outcome;
        assert!(matches!(outcome, Outcome::Approved { .. }), "{}", outcome.status());
    }

    /// What was asked, as it is kept and shown.
    pub(crate) async fn request(&self, id: &str) -> Arc<Request> {
        let (id, now) = (ApprovalId::parse(id).expect("an id"), self.world.clock.now());
        let stored = self.world.store().await.approval(id, now).await.expect("a read");
        stored.expect("an approval").request
    }

    /// How it stands, as the agent is told.
    pub(crate) async fn status(&self, id: &str) -> String {
        self.world.agent().await.check(id).await.field("status").to_owned()
    }
}

/// The id of what the program asks for, as soon as it is asked.
pub(crate) async fn asked(program: &mut Program) -> String {
    let line = program.error_with("Status: ").await;
    line.rsplit('/').next().expect("an id").to_owned()
}

/// How it ended by itself, as a shell would have it.
pub(crate) async fn code(program: &mut Program) -> i32 {
    let status = program.exit().await;
    status.code().unwrap_or_else(|| panic!("{status}: {}", program.output()))
}

/// That it ended so, with nothing on standard output, and said this.
pub(crate) async fn ends(program: &mut Program, expected: i32, said: &str) {
    let code = code(program).await;
    let output = program.output();
    assert_eq!(code, expected, "{output}");
    assert!(output.contains(said), "{said:?} is missing in: {output}");
    assert_eq!(program.printed(), "");
}

/// Sends it a signal by its name.
pub(crate) async fn signal(program: &Program, name: &str) {
    let id = program.id().expect("a process").to_string();
    let sent = Command::new("sh").args(["-c", r#"kill -s "$0" "$1""#, name, &id]).status().await;
    assert!(sent.expect("a shell").success());
}

/// The arguments of a command without what is pinned, and that.
pub(crate) fn without_pins(arguments: &CanonicalJson) -> (CanonicalJson, serde_json::Value) {
    let mut arguments: serde_json::Value = serde_json::from_str(arguments.as_str()).expect("JSON");
    let pinned = arguments.as_object_mut().expect("an object").remove("pinned").expect("pins");
    (canonical(&arguments), pinned)
}

pub(crate) fn canonical(json: &serde_json::Value) -> CanonicalJson {
    CanonicalJson::parse(&json.to_string()).expect("JSON")
}

/// The one of these files that is found first.
pub(crate) fn on_path(name: &str) -> PathBuf {
    let found = ["/usr/bin", "/bin"].iter().map(|directory| Path::new(directory).join(name));
    found.into_iter().find(|file| file.exists()).expect("a program")
}
