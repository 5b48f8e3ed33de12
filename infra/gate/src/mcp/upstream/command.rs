//! A server that is a command: a message a line, over its standard input and output.

use std::env;
use std::ffi::OsString;
use std::io;
use std::pin::pin;
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;

use super::{CannotOpen, MOST_ANSWER_BYTES, Open, notice, received};
use crate::clock;
use crate::mcp::Line;
use crate::mcp::message::Message;

/// How long a server may take to end once its input has.
const GRACE: Duration = Duration::from_secs(3);

/// What every variable of Sayso's own begins with: the agent key is among them.
const OURS: &str = "SAYSO_";

/// A command and what of our environment it must not see.
#[derive(Debug, Clone)]
pub(super) struct Program {
    argv: Vec<String>,
    hidden: Vec<OsString>,
}

impl Program {
    #[expect(clippy::disallowed_methods, reason = "only names are read, and this is a from_env")]
    pub(super) fn from_env(argv: Vec<String>) -> Result<Self, CannotOpen> {
        if argv.first().is_none_or(String::is_empty) {
            return Err(CannotOpen("the server's command is missing: give it after `--`".to_owned()));
        }
        let ours = |name: &OsString| name.to_string_lossy().to_ascii_uppercase().starts_with(OURS);
        let hidden = env::vars_os().map(|(name, _)| name).filter(ours).collect();
        Ok(Self { argv, hidden })
    }

    pub(super) fn name(&self) -> String {
        json!(self.argv).to_string()
    }

    pub(super) fn open(&self, open: Open) -> Result<Line, CannotOpen> {
        let program = self.argv.first().map_or("", String::as_str);
        let mut command = Command::new(program);
        command
            .args(self.argv.iter().skip(1))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        for name in &self.hidden {
            command.env_remove(name);
        }
        let child = command.spawn().map_err(|error| {
            CannotOpen(format!("the server's command {program:?} cannot be started: {error}"))
        })?;
        let (ours, theirs) = Line::pair();
        tokio::spawn(async move {
            converse(child, ours).await;
            drop(open);
        });
        Ok(theirs)
    }
}

/// Until the line is closed or the server ends; then sees to it that the server has ended.
async fn converse(mut child: Child, line: Line) {
    let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else { return };
    let Line { to, from } = line;
    let gone = to.clone();
    {
        let mut reading = pin!(read(BufReader::new(stdout), to));
        tokio::select! {
            () = &mut reading => {}
            () = gone.closed() => {}
            // Its input has ended: what it still answers passes.
            () = write(from, stdin) => tokio::select! {
                () = &mut reading => {}
                () = clock::sleep(GRACE) => {}
            },
        }
    }
    drop(gone);
    tokio::select! {
        _ = child.wait() => {}
        () = clock::sleep(GRACE) => {
            // It fails only if the server has ended.
            let _ = child.kill().await;
        }
    }
}

async fn write(mut messages: mpsc::Receiver<Message>, mut stdin: ChildStdin) {
    while let Some(message) = messages.recv().await {
        let line = message.to_line() + "\n";
        if stdin.write_all(line.as_bytes()).await.is_err() || stdin.flush().await.is_err() {
            return;
        }
    }
}

async fn read(mut stdout: impl AsyncBufRead + Unpin, to: mpsc::Sender<Message>) {
    let mut noticed = false;
    loop {
        let message = match next_line(&mut stdout, MOST_ANSWER_BYTES).await {
            Ok(Some(line)) if line.trim_ascii().is_empty() => continue,
            Ok(Some(line)) => str::from_utf8(&line).ok().and_then(received),
            Ok(None) => return,
            Err(error) => {
                notice(&format!("the server's standard output cannot be read: {error}"));
                return;
            }
        };
        match message {
            Some(message) => {
                if to.send(message).await.is_err() {
                    return;
                }
            }
            None if noticed => {}
            None => {
                notice(
                    "the server wrote lines to its standard output that are no messages: they are dropped",
                );
                noticed = true;
            }
        }
    }
}

/// The next line; `None` at the end.
async fn next_line(input: &mut (impl AsyncBufRead + Unpin), most: usize) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    input.take(most as u64 + 1).read_until(b'\n', &mut line).await?;
    match line.last() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) if line.len() > most => Err(io::Error::other("a line is too long")),
        Some(_) => Ok(Some(line)),
    }
}
