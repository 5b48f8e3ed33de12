//! The agent that started this program and speaks over its standard input and output.

use std::io::{self, BufRead, Read};

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::mcp::message::{Id, Message, NotAMessage, code};
use crate::mcp::{Line, MOST_BYTES};

/// The conversation over our own standard input and output, and what ends once everything that was sent has been
/// written: wait for it before the program ends.
pub(crate) fn line() -> (Line, JoinHandle<()>) {
    line_over(io::BufReader::new(io::stdin()), tokio::io::stdout())
}

fn line_over(
    input: impl BufRead + Send + 'static,
    output: impl AsyncWrite + Send + Unpin + 'static,
) -> (Line, JoinHandle<()>) {
    let (ours, theirs) = Line::pair();
    let Line { to: forward, from: answers } = ours;
    let answer = theirs.to.downgrade();
    let written = tokio::spawn(write(answers, output));
    // A thread of its own, because a read of standard input cannot be interrupted: the runtime would wait for it when
    // the program ends.
    std::thread::spawn(move || read(input, &forward, &answer));
    (theirs, written)
}

/// Until the input ends or nobody listens any more.
fn read(mut input: impl BufRead, forward: &mpsc::Sender<Message>, answer: &mpsc::WeakSender<Message>) {
    while let Ok(Some(text)) = next_line(&mut input) {
        let message = match text.as_deref() {
            Ok(blank) if blank.trim().is_empty() => continue,
            Ok(text) => Message::parse(text),
            Err(problem) => {
                Err(NotAMessage { id: None::<Id>, code: code::PARSE_ERROR, problem: (*problem).to_owned() })
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

/// The next line, or what is wrong with it; `None` at the end of the input. One that is too long is read to its end.
fn next_line(input: &mut impl BufRead) -> io::Result<Option<Result<String, &'static str>>> {
    let limit = MOST_BYTES as u64 + 1;
    let mut line = Vec::new();
    if input.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.len() > MOST_BYTES && line.last() != Some(&b'\n') {
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
