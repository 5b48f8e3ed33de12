//! The answer to one request over HTTP as it forms: JSON if it is all there is, a stream of events if something comes
//! before it.

use std::convert::Infallible;
use std::time::Duration;

use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::mpsc;

use crate::clock;
use crate::relay::WAITING_MESSAGES;
use crate::relay::message::{Id, Kind, Message, code};

/// How often a stream on which nothing happens shows that it is alive: that is also how a client that went without a
/// word is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long a client waits for the beginning of an answer: from then on it gets a stream. Proxies and clients give up a
/// connection on which nothing comes. Until then the status of HTTP may still say what is wrong.
const HEADERS_AFTER: Duration = Duration::from_secs(1);

/// Where the messages for one request go.
pub(super) struct Reply(mpsc::Sender<Message>);

impl Reply {
    /// Something that comes before the answer. Whether the client is there and keeps up.
    pub(super) fn add(&self, message: Message) -> bool {
        // The last place is the answer's.
        self.0.capacity() > 1 && self.0.try_send(message).is_ok()
    }

    /// The answer.
    pub(super) fn finish(self, message: Message) {
        // It fails only if the client is gone.
        let _ = self.0.try_send(message);
    }

    /// Whether the client is there.
    pub(super) fn is_wanted(&self) -> bool {
        !self.0.is_closed()
    }
}

/// What hears an answer.
type Answered = Box<dyn FnOnce(&Message) + Send>;

/// The messages for one request, and what is dropped when the client no longer wants them.
pub(super) struct Replies<Guard> {
    messages: mpsc::Receiver<Message>,
    id: Id,
    /// Hears the answer before the client does.
    answered: Option<Answered>,
    _guard: Guard,
}

/// The two ends of the answer to the client's request `id`.
pub(super) fn reply<Guard>(id: Id, guard: Guard) -> (Reply, Replies<Guard>) {
    let (to, messages) = mpsc::channel(WAITING_MESSAGES);
    (Reply(to), Replies { messages, id, answered: None, _guard: guard })
}

impl<Guard: Send + 'static> Replies<Guard> {
    /// Tells the answer to `answered` before the client hears it. It is dropped without one if the client goes.
    pub(super) fn when_answered(self, answered: impl FnOnce(&Message) + Send + 'static) -> Self {
        Self { answered: Some(Box::new(answered)), ..self }
    }

    /// The next message. When there is none, the server is gone.
    pub(super) async fn next(&mut self) -> Message {
        let message = self.messages.recv().await.unwrap_or_else(|| {
            let problem =
                "the server ended before it answered: the call may or may not have run, find out before you repeat it";
            Message::error(Some(&self.id), code::INTERNAL_ERROR, problem)
        });
        if is_answer(&message)
            && let Some(answered) = self.answered.take()
        {
            answered(&message);
        }
        message
    }

    /// The answer as JSON under its status, if it comes first and soon or the client reads nothing else; otherwise a stream.
    pub(super) async fn respond_soon(
        mut self,
        reads_events: bool,
        status: impl FnOnce(&Message) -> StatusCode,
    ) -> Response {
        let first = tokio::select! {
            biased;
            first = self.next() => first,
            () = clock::sleep(HEADERS_AFTER), if reads_events => return self.stream(None),
        };
        let status = status(&first);
        self.respond(first, status)
    }

    /// `first`, and what follows unless it is the answer.
    pub(super) fn respond(self, first: Message, status: StatusCode) -> Response {
        if is_answer(&first) {
            return json(status, &first);
        }
        self.stream(Some(first))
    }

    fn stream(self, first: Option<Message>) -> Response {
        // The answer is the last event, and ends the stream.
        events(stream::unfold((first, Some(self)), |(first, replies)| async {
            let mut replies = replies?;
            let message = match first {
                Some(first) => first,
                None => replies.next().await,
            };
            let more = (!is_answer(&message)).then_some(replies);
            Some((message, (None, more)))
        }))
    }
}

/// Whether a client takes a stream of events for an answer.
pub(super) fn reads_events(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.into_iter().any(|value| value.contains("text/event-stream"))
}

fn is_answer(message: &Message) -> bool {
    matches!(message.kind(), Kind::Response { .. })
}

/// A message as the whole body.
pub(super) fn json(status: StatusCode, message: &Message) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], message.to_line()).into_response()
}

/// A refusal with a JSON-RPC error for the request `id`, if there is one to name.
pub(super) fn refuse(status: StatusCode, id: Option<&Id>, code: i32, problem: &str) -> Response {
    json(status, &Message::error(id, code, problem))
}

/// A message as an event each, as long as there are any.
pub(super) fn events(messages: impl stream::Stream<Item = Message> + Send + 'static) -> Response {
    let event = |message: Message| Ok::<_, Infallible>(Event::default().data(message.to_line()));
    let sse = Sse::new(stream::StreamExt::map(messages, event));
    let unbuffered = [(HeaderName::from_static("x-accel-buffering"), "no")];
    (unbuffered, sse.keep_alive(KeepAlive::new().interval(KEEP_ALIVE))).into_response()
}

/// The messages that a channel brings.
pub(super) fn received(messages: mpsc::Receiver<Message>) -> impl stream::Stream<Item = Message> {
    stream::unfold(messages, |mut messages| async { Some((messages.recv().await?, messages)) })
}
