//! A server that is a command, over its standard input and output, with one message per line.

use std::env;
use std::ffi::OsString;
use std::io;
use std::pin::pin;
use std::process::Stdio;

use serde_json::json;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;

use super::group::{GRACE, Group};
use super::user::User;
use super::{MAX_ANSWER_BYTES, OpenConversation, UpstreamError, notice, received};
use crate::clock;
use crate::relay::Channel;
use crate::relay::message::Message;

/// The prefix of Sayso's own variables. One of them is the agent key.
const OURS: &str = "SAYSO_";

/// A command, and the variables that it must not see.
#[derive(Debug, Clone)]
pub(super) struct Program {
    argv: Vec<String>,
    hidden: Vec<OsString>,
    /// The user that it runs as, if that is another one.
    user: Option<User>,
}

impl Program {
    #[expect(clippy::disallowed_methods, reason = "only names are read, and this is a from_env")]
    pub(super) fn from_env(argv: Vec<String>, user: Option<&str>) -> Result<Self, UpstreamError> {
        if argv.first().is_none_or(String::is_empty) {
            return Err(UpstreamError("the server's command is missing: give it after `--`".to_owned()));
        }
        let ours = |name: &OsString| name.to_string_lossy().to_ascii_uppercase().starts_with(OURS);
        let hidden = env::vars_os().map(|(name, _)| name).filter(ours).collect();
        Ok(Self { argv, hidden, user: user.map(User::find).transpose()? })
    }

    pub(super) fn name(&self) -> String {
        json!(self.argv).to_string()
    }

    pub(super) fn open(&self, open: OpenConversation) -> Result<Channel, UpstreamError> {
        let program = self.argv.first().map_or("", String::as_str);
        let mut command = Command::new(program);
        command
            .args(self.argv.iter().skip(1))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        Group::begin(&mut command);
        for name in &self.hidden {
            command.env_remove(name);
        }
        if let Some(user) = &self.user {
            user.put_on(&mut command);
        }
        let child = command.spawn().map_err(|error| {
            UpstreamError(format!("the server's command {program:?} cannot be started: {error}"))
        })?;
        let (ours, theirs) = Channel::pair();
        tokio::spawn(async move {
            converse(child, ours).await;
            drop(open);
        });
        Ok(theirs)
    }
}

/// Runs until the channel is closed or the server ends. Then makes sure that the server has ended.
async fn converse(mut child: Child, line: Channel) {
    let group = Group::of(&child);
    let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else { return };
    let Channel { to, from } = line;
    let gone = to.clone();
    let mut overdue = false;
    {
        let mut reading = pin!(read(BufReader::new(stdout), to));
        tokio::select! {
            () = &mut reading => {}
            () = gone.closed() => {}
            // Its input has ended. Its remaining answers still pass.
            () = write(from, stdin) => tokio::select! {
                () = &mut reading => {}
                () = clock::sleep(GRACE) => overdue = true,
            },
        }
    }
    drop(gone);
    if !overdue {
        tokio::select! {
            _ = child.wait() => {}
            () = clock::sleep(GRACE) => {}
        }
    }
    if let Some(group) = group {
        group.end(&mut child).await;
    }
    // It fails only if the server has ended.
    let _ = child.kill().await;
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
        let message = match next_line(&mut stdout, MAX_ANSWER_BYTES).await {
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
                    "the server wrote lines to standard output that are not JSON-RPC messages; dropped them",
                );
                noticed = true;
            }
        }
    }
}

/// The next line; `None` at the end of the input.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::upstream::{Server, Upstream};

    fn upstream(argv: &[&str], hidden: &[&str]) -> Upstream {
        let argv = argv.iter().map(ToString::to_string).collect();
        Upstream::new(Server::Command(Program {
            argv,
            hidden: hidden.iter().map(Into::into).collect(),
            user: None,
        }))
    }

    fn message(text: &str) -> Message {
        Message::parse(text).expect("a message")
    }

    #[tokio::test]
    async fn a_message_with_line_breaks_is_one_message_to_the_server() {
        let mut line = upstream(&["cat"], &[]).open().await.expect("a server");
        let smuggled = "{\"id\":1,\"method\":\"a\",\"params\":{\"x\":\n{\"id\":2,\"method\":\"b\"}\r\n}}";
        line.to.send(message(smuggled)).await.expect("it listens");
        line.to.send(message(r#"{"method":"end","params":"\u2028"}"#)).await.expect("it listens");
        let received = line.from.recv().await.expect("a message").to_line();
        assert_eq!(received, r#"{"id":1,"method":"a","params":{"x": {"id":2,"method":"b"}  }}"#);
        let received = line.from.recv().await.expect("a message").to_line();
        assert_eq!(received, r#"{"method":"end","params":"\u2028"}"#);
    }

    #[tokio::test]
    async fn what_the_server_writes_beside_messages_is_dropped_and_an_answer_that_is_none_becomes_an_error() {
        let script = r#"echo hello; echo '{"method":"a"}'; echo; echo '{"method":1}'; printf '\377\n'
            echo '{"id":7,"result":{},"result":{}}'; printf '{"method":"z"}'"#;
        let upstream = upstream(&["sh", "-c", script], &[]);
        let Channel { to, mut from } = upstream.open().await.expect("a server");
        assert_eq!(from.recv().await.expect("a message").to_line(), r#"{"method":"a"}"#);
        let error = from.recv().await.expect("a message");
        assert_eq!(
            *error.kind(),
            crate::relay::message::Kind::Response {
                id: crate::relay::message::Id::parse(&serde_json::value::to_raw_value(&7).expect("JSON"))
                    .expect("an id")
            }
        );
        assert!(error.member("error").is_some(), "{error:?}");
        // The input may end without a line's end.
        assert_eq!(from.recv().await.expect("a message").to_line(), r#"{"method":"z"}"#);
        // The server has ended, and so has the line.
        assert!(from.recv().await.is_none());
        drop(to);
        upstream.closed().await;
    }

    #[tokio::test]
    async fn a_server_does_not_see_what_is_hidden_from_it() {
        let script = r#"echo "{\"method\":\"${HOME-none}\"}""#;
        for (hidden, expected) in [(&["HOME"][..], true), (&[], false)] {
            let mut line = upstream(&["sh", "-c", script], hidden).open().await.expect("a server");
            let seen = line.from.recv().await.expect("a message").to_line();
            assert_eq!(seen == r#"{"method":"none"}"#, expected, "{seen}");
        }
    }

    #[tokio::test]
    async fn a_server_that_does_not_end_is_ended() {
        let upstream = upstream(&["sleep", "1000"], &[]);
        drop(upstream.open().await.expect("a server"));
        upstream.closed().await;
    }

    /// Package runners and shells start the server as a child of theirs, which does not hear of their end.
    #[tokio::test]
    async fn what_a_server_has_started_ends_with_it() {
        let deaf = "trap '' TERM; ";
        for (shell, child) in
            [("", "sleep 1000"), (deaf, "sleep 1000"), ("", "sh -c 'trap \"\" TERM; sleep 1000'")]
        {
            let script = format!(r#"{shell}{child} & echo "{{\"method\":\"$!\"}}"; wait; sleep 1000"#);
            let upstream = upstream(&["sh", "-c", &script], &[]);
            let mut line = upstream.open().await.expect("a server");
            let child = line.from.recv().await.expect("a message");
            let crate::relay::message::Kind::Notification { method: child } = child.kind() else {
                panic!("{child:?}")
            };
            let status = format!("/proc/{child}/stat");
            assert!(std::fs::exists(&status).expect("a look"));
            drop(line);
            upstream.closed().await;
            // It is told: soon it is gone, or dead and not yet taken note of.
            while std::fs::read_to_string(&status).is_ok_and(|stat| !stat.contains(") Z ")) {
                tokio::task::yield_now().await;
            }
        }
    }

    #[tokio::test]
    async fn what_a_server_says_after_its_input_has_ended_passes() {
        let script = r#"while read -r line; do :; done; echo '{"method":"bye"}'"#;
        let upstream = upstream(&["sh", "-c", script], &[]);
        let Channel { to, mut from } = upstream.open().await.expect("a server");
        drop(to);
        assert_eq!(from.recv().await.expect("a message").to_line(), r#"{"method":"bye"}"#);
        assert!(from.recv().await.is_none());
    }

    #[tokio::test]
    async fn a_command_that_cannot_be_started_says_which() {
        let problem = upstream(&["/no/such/command"], &[]).open().await.err().expect("no server");
        assert!(problem.to_string().contains("/no/such/command"), "{problem}");
        assert!(Upstream::command_from_env(Vec::new(), None).is_err());
    }

    #[tokio::test]
    async fn a_line_is_read_up_to_a_bound() {
        for (input, most, expected) in [("abc\nd", 3, Some("abc\n")), ("abc", 3, Some("abc")), ("", 3, None)]
        {
            let line = next_line(&mut input.as_bytes(), most).await.expect("a line");
            assert_eq!(line.as_deref(), expected.map(str::as_bytes), "{input}");
        }
        assert!(next_line(&mut "abcd\n".as_bytes(), 3).await.is_err());
    }

    #[test]
    fn two_commands_have_one_name_only_if_they_are_the_same() {
        assert_ne!(upstream(&["a", "b c"], &[]).name(), upstream(&["a", "b", "c"], &[]).name());
        assert_eq!(upstream(&["a", "\""], &[]).name(), r#"["a","\""]"#);
    }
}
