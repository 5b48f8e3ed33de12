//! The agent that started this program, over its standard input and output.

use std::io::{self, BufRead, Read};

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::relay::message::{Id, Message, MessageError, code};
use crate::relay::{Channel, MAX_BYTES};

/// The conversation over standard input and output, and a task that ends once everything sent has been written. Wait for the
/// task before the program ends.
pub(crate) fn line() -> (Channel, JoinHandle<()>) {
    line_over(io::BufReader::new(io::stdin()), tokio::io::stdout())
}

pub(super) fn line_over(
    input: impl BufRead + Send + 'static,
    output: impl AsyncWrite + Send + Unpin + 'static,
) -> (Channel, JoinHandle<()>) {
    let (ours, theirs) = Channel::pair();
    let Channel { to: forward, from: answers } = ours;
    let answer = theirs.to.downgrade();
    let written = tokio::spawn(write(answers, output));
    // On its own thread, because nothing can interrupt a read of standard input: the runtime would wait for it at the end of
    // the program.
    std::thread::spawn(move || read(input, &forward, &answer));
    (theirs, written)
}

/// Reads until the input ends or nobody listens any more.
fn read(mut input: impl BufRead, forward: &mpsc::Sender<Message>, answer: &mpsc::WeakSender<Message>) {
    while let Ok(Some(text)) = next_line(&mut input) {
        let message = match text.as_deref() {
            Ok(blank) if blank.trim().is_empty() => continue,
            Ok(text) => Message::parse(text),
            Err(problem) => {
                Err(MessageError { id: None::<Id>, code: code::PARSE_ERROR, problem: (*problem).to_owned() })
            }
        };
        let sent = match message {
            Ok(message) => forward.blocking_send(message).is_ok(),
            Err(refusal) => {
                answer.upgrade().is_some_and(|answer| answer.blocking_send(refusal.answer()).is_ok())
            }
        };
        if !sent {
            return;
        }
    }
}

/// The next line, or what is wrong with it; `None` at the end of the input. Skips the rest of a line that is too long.
fn next_line(input: &mut impl BufRead) -> io::Result<Option<Result<String, &'static str>>> {
    let limit = MAX_BYTES as u64 + 1;
    let mut line = Vec::new();
    if input.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.len() > MAX_BYTES && line.last() != Some(&b'\n') {
        input.skip_until(b'\n')?;
        return Ok(Some(Err("the message is longer than 16 MiB: send less at once")));
    }
    Ok(Some(String::from_utf8(line).map_err(|_| "the message is not UTF-8")))
}

async fn write(mut messages: mpsc::Receiver<Message>, mut output: impl AsyncWrite + Unpin) {
    while let Some(message) = messages.recv().await {
        let line = message.to_line() + "\n";
        if output.write_all(line.as_bytes()).await.is_err() || output.flush().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_that_is_no_message_is_answered_and_goes_no_further() {
        let long = format!(r#"{{"method":"{}"}}"#, "a".repeat(MAX_BYTES));
        let batch = r#"[{"id":1,"method":"a"}]"#;
        let twice = r#"{"id":1,"method":"tools/list","method":"tools/call"}"#;
        let mut input = [batch, twice, &long, "", "nonsense"].join("\n").into_bytes();
        input.extend(b"\n\xff\n{\"id\":{},\"method\":\"a\"}\n\r\n{\"method\":\"b\"}\r\n{\"method\":\"c\"}");
        let (output, mut answers) = tokio::io::duplex(1024 * 1024);
        let (mut line, written) = line_over(io::Cursor::new(input), output);
        for method in ["b", "c"] {
            let message = line.from.recv().await.expect("a message").to_line();
            assert_eq!(message, format!(r#"{{"method":"{method}"}}"#));
        }
        assert!(line.from.recv().await.is_none());
        line.to.send(Message::notification("bye", &serde_json::json!({}))).await.expect("it is written");
        drop(line);
        written.await.expect("it is written");
        let mut answered = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut answers, &mut answered).await.expect("a text");
        let code = |line: &str| -> serde_json::Value {
            let answer: serde_json::Value = serde_json::from_str(line).expect("JSON");
            answer["error"]["code"].clone()
        };
        let codes: Vec<_> = answered.lines().map(code).collect();
        let expected = serde_json::json!([-32600, -32600, -32700, -32700, -32700, -32600, null]);
        assert_eq!(serde_json::Value::from(codes), expected, "{answered}");
    }
}
