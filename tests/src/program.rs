use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{OnceCell, mpsc};
use tokio::time::timeout;

/// The longest a program may take to say or do what a test waits for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that a test started. It is killed, by its id, when this is dropped.
pub struct Program {
    name: String,
    child: Child,
    lines: mpsc::UnboundedReceiver<String>,
    errors: mpsc::UnboundedReceiver<String>,
    printed: Arc<Mutex<String>>,
    output: Arc<Mutex<String>>,
}

impl Program {
    /// Starts it with nothing to read, and keeps what it prints.
    pub fn start(command: Command) -> Self {
        Self::begin(command, None)
    }

    /// Starts it with this to read. It may end before it has read it all.
    pub fn start_with_input(command: Command, input: &str) -> Self {
        Self::begin(command, Some(input.to_owned()))
    }

    fn begin(mut command: Command, input: Option<String>) -> Self {
        let name = command.as_std().get_program().to_string_lossy().into_owned();
        let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{name} does not start: {e}"));
        if let (Some(mut pipe), Some(input)) = (child.stdin.take(), input) {
            tokio::spawn(async move { pipe.write_all(input.as_bytes()).await });
        }
        let (said, lines) = mpsc::unbounded_channel();
        let (complained, errors) = mpsc::unbounded_channel();
        let (printed, output) = <(Arc<Mutex<String>>, Arc<Mutex<String>>)>::default();
        let both = vec![Arc::clone(&printed), Arc::clone(&output)];
        tokio::spawn(listen(child.stdout.take().expect("a pipe"), both, said));
        tokio::spawn(listen(child.stderr.take().expect("a pipe"), vec![Arc::clone(&output)], complained));
        Self { name, child, lines, errors, printed, output }
    }

    /// Waits for the next line on its standard output that has this in it.
    pub async fn line_with(&mut self, text: &str) -> String {
        let found = next_with(&mut self.lines, text).await;
        found.unwrap_or_else(|| panic!("{} never printed {text:?}, but:\n{}", self.name, self.output()))
    }

    /// Waits for the next line on its standard error that has this in it.
    pub async fn error_with(&mut self, text: &str) -> String {
        let found = next_with(&mut self.errors, text).await;
        found.unwrap_or_else(|| panic!("{} never said {text:?}, but:\n{}", self.name, self.output()))
    }

    /// Waits until it ends by itself and has printed its last.
    pub async fn exit(&mut self) -> ExitStatus {
        let status = timeout(PATIENCE, self.child.wait()).await;
        let status = status.unwrap_or_else(|_| panic!("{} goes on:\n{}", self.name, self.output()));
        // Both pipes are read to their end by tasks that hold the output.
        let drained = timeout(PATIENCE, async {
            while Arc::strong_count(&self.output) > 1 {
                tokio::task::yield_now().await;
            }
        });
        drained.await.expect("the end of its output");
        status.expect("a status")
    }

    /// Waits until it has printed this, on either of its outputs; everything that it has by then.
    pub async fn output_with(&self, text: &str) -> String {
        let said = timeout(PATIENCE, async {
            while !self.output().contains(text) {
                tokio::task::yield_now().await;
            }
        });
        let said = said.await;
        assert!(said.is_ok(), "{} never said {text:?}, but:\n{}", self.name, self.output());
        self.output()
    }

    /// Its process's id, until it has ended.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Sends it a signal, by its name without `SIG`.
    pub async fn signal(&self, name: &str) {
        let id = self.id().expect("a running program").to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().await.expect("kill");
        assert!(sent.success(), "no SIG{name} for {}", self.name);
    }

    /// SIGKILL: it ends at once, wherever it is.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("its end");
    }

    /// What it has printed on its standard output.
    pub fn printed(&self) -> String {
        self.printed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Everything it has printed, on both.
    pub fn output(&self) -> String {
        self.output.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn next_with(lines: &mut mpsc::UnboundedReceiver<String>, text: &str) -> Option<String> {
    let found = timeout(PATIENCE, async {
        while let Some(line) = lines.recv().await {
            if line.contains(text) {
                return Some(line);
            }
        }
        None
    });
    found.await.unwrap_or_default()
}

async fn listen(
    pipe: impl AsyncRead + Unpin,
    outputs: Vec<Arc<Mutex<String>>>,
    said: mpsc::UnboundedSender<String>,
) {
    let mut lines = BufReader::new(pipe).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        for output in &outputs {
            let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
            output.push_str(&line);
            output.push('\n');
        }
        // The test may have heard enough.
        let _ = said.send(line);
    }
}

/// The workspace's root.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

/// The workspace's binaries: those in the folder that `SAYSO_BINARIES` names, which `tests/run` has just built; else Cargo looks
/// whether there is something left to build, which takes it a second for each test.
#[expect(clippy::disallowed_methods, reason = "how tests/run tells the tests what it has built")]
pub async fn binary(name: &str) -> PathBuf {
    if let Some(folder) = std::env::var_os("SAYSO_BINARIES") {
        return Path::new(&folder).join(name);
    }
    static BUILT: OnceCell<BTreeMap<String, PathBuf>> = OnceCell::const_new();
    let built = BUILT.get_or_init(build).await;
    built.get(name).unwrap_or_else(|| panic!("no binary {name} among {:?}", built.keys())).clone()
}

async fn build() -> BTreeMap<String, PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--workspace", "--bins", "--tests", "--locked", "--quiet", "--message-format=json"]);
    let output = cargo.current_dir(workspace()).kill_on_drop(true).output().await.expect("cargo");
    assert!(output.status.success(), "cargo build:\n{}", String::from_utf8_lossy(&output.stderr));
    let messages = String::from_utf8(output.stdout).expect("text");
    let artifacts = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let executables = artifacts.filter_map(|artifact| {
        let path = PathBuf::from(artifact["executable"].as_str()?);
        Some((artifact["target"]["name"].as_str()?.to_owned(), path))
    });
    executables.collect()
}
