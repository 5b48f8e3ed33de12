//! The response to one request over HTTP: JSON if the answer is all there is, a stream of events if something comes before it.

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

/// How often an idle stream sends a keep-alive. That also shows whether the client is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long the response may wait for the answer. After that it becomes a stream, because proxies and clients close a silent
/// connection. Until then an error can still be an HTTP status.
const HEADERS_AFTER: Duration = Duration::from_secs(1);

/// The sender of the messages for one request.
pub(super) struct Reply(mpsc::Sender<Message>);

impl Reply {
    /// Sends a message ahead of the answer. False if the client is gone or too slow.
    pub(super) fn add(&self, message: Message) -> bool {
        // The last place is reserved for the answer.
        self.0.capacity() > 1 && self.0.try_send(message).is_ok()
    }

    /// Sends the answer.
    pub(super) fn finish(self, message: Message) {
        // It fails only if the client is gone.
        let _ = self.0.try_send(message);
    }

    /// Whether the client is still there.
    pub(super) fn is_wanted(&self) -> bool {
        !self.0.is_closed()
    }
}

/// A callback that gets the answer.
type Answered = Box<dyn FnOnce(&Message) + Send>;

/// The receiver of the messages for one request, and a guard that is dropped when the client no longer wants them.
pub(super) struct Replies<Guard> {
    messages: mpsc::Receiver<Message>,
    id: Id,
    /// Gets the answer before the client does.
    answered: Option<Answered>,
    _guard: Guard,
}

/// The two ends of the answer to the client's request `id`.
pub(super) fn reply<Guard>(id: Id, guard: Guard) -> (Reply, Replies<Guard>) {
    let (to, messages) = mpsc::channel(WAITING_MESSAGES);
    (Reply(to), Replies { messages, id, answered: None, _guard: guard })
}

impl<Guard: Send + 'static> Replies<Guard> {
    /// Calls `answered` with the answer before the client gets it. It is dropped uncalled if the client disconnects.
    pub(super) fn when_answered(self, answered: impl FnOnce(&Message) + Send + 'static) -> Self {
        Self { answered: Some(Box::new(answered)), ..self }
    }

    /// The next message. If there is none, the server has ended, and an error takes its place.
    pub(super) async fn next(&mut self) -> Message {
        let message = self.messages.recv().await.unwrap_or_else(|| {
            let problem =
                "the server ended before it answered. The call may or may not have run. Find out before you repeat it.";
            Message::error(Some(&self.id), code::INTERNAL_ERROR, problem)
        });
        if is_answer(&message)
            && let Some(answered) = self.answered.take()
        {
            answered(&message);
        }
        message
    }

    /// Responds with JSON and its status if the answer comes first and soon, or if the client reads nothing else. Otherwise with a
    /// stream.
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

    /// Responds with `first`, and with what follows unless that is the answer.
    pub(super) fn respond(self, first: Message, status: StatusCode) -> Response {
        if is_answer(&first) {
            return json(status, &first);
        }
        self.stream(Some(first))
    }

    fn stream(self, first: Option<Message>) -> Response {
        // The answer is the last event.
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

/// Whether the client accepts a stream of events.
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

/// A stream with one event for each message.
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
