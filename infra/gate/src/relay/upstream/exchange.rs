//! One request over HTTP and its answer, and the session that it may belong to.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tokio::sync::mpsc;

use super::endpoint::{Endpoint, elsewhere};
use super::events::Events;
use super::headers::Tools;

use super::{MAX_ANSWER_BYTES, received};
use crate::clock;
use crate::relay::message::{Id, Kind, Message, code};
use crate::relay::{SESSION_HEADER, VERSION_HEADER, VERSION_META};

/// How long the server may take to accept a message that has no answer.
const TELL_LIMIT: Duration = Duration::from_secs(30);
/// How long the server may take to end a session.
const END_LIMIT: Duration = Duration::from_secs(3);
/// How long to wait before requesting a stream again, at first and at most.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const MAX_WAIT: Duration = Duration::from_secs(60);

const EVENT_STREAM: &str = "text/event-stream";

const UNREACHABLE: &str =
    "the server cannot be reached, and nothing was sent to it. Check its URL, and whether it runs.";
const UNANSWERED: &str = "the server closed the connection before it answered. The call may or may not have run. \
                          Find out before you repeat it.";
const NO_ANSWER: &str = "the server's response is not a JSON-RPC answer to this request. The call may or may not have run. \
                         Find out before you repeat it.";
const SESSION_ENDED: &str = "the server has ended the session: start a new one with `initialize`";

/// How a task has ended.
pub(super) enum Finished {
    /// A request was answered.
    Request(Id),
    /// A request was not sent.
    Refused,
    /// The server has no stream for messages of its own.
    Listening,
    /// The server has ended the session.
    Session,
}

/// Why a request was not answered as usual.
enum Refused {
    Answer(Message),
    Problem(String),
    Session,
}

/// A conversation as the server knows it.
pub(super) struct Session {
    endpoint: Endpoint,
    to: mpsc::Sender<Message>,
    known: Mutex<Known>,
}

/// What the gate has learnt from the messages of a session.
#[derive(Default)]
struct Known {
    session: Option<HeaderValue>,
    /// The version that `initialize` agreed on.
    version: Option<HeaderValue>,
    tools: Tools,
}

/// The request that is being answered.
struct Asked<'a> {
    id: &'a Id,
    method: &'a str,
    modern: bool,
}

impl Session {
    pub(super) fn new(endpoint: Endpoint, to: mpsc::Sender<Message>) -> Self {
        Self { endpoint, to, known: Mutex::default() }
    }

    /// Waits until nobody listens any more.
    pub(super) async fn closed(&self) {
        self.to.closed().await;
    }

    /// Whether a message is of version 2026-07-28 or later: only those name their version.
    pub(super) fn is_modern(message: &Message) -> bool {
        version(message).is_some()
    }

    /// Answers a request with an error.
    pub(super) async fn fail(&self, id: &Id, problem: &str) {
        // It fails only if nobody listens any more.
        let _ = self.to.send(Message::error(Some(id), code::INTERNAL_ERROR, problem)).await;
    }

    /// Sends a request, and passes on everything that comes for it, up to its answer.
    pub(super) async fn ask(&self, message: Message, id: Id, method: &str) -> Finished {
        let asked = Asked { id: &id, method, modern: Self::is_modern(&message) };
        // Only once, whatever the server answers: one approval is for one attempt.
        let answered = self.exchange(&message, &asked).await;
        match answered {
            Ok(()) => {}
            Err(Refused::Answer(error)) => _ = self.pass(error, &asked).await,
            Err(Refused::Problem(problem)) => self.fail(&id, &problem).await,
            Err(Refused::Session) => {
                self.fail(&id, SESSION_ENDED).await;
                return Finished::Session;
            }
        }
        Finished::Request(id)
    }

    /// Sends a message that has no answer. A failure shows in the next request.
    pub(super) async fn tell(&self, message: &Message) {
        let told = self.post(message).timeout(TELL_LIMIT).send();
        tokio::select! {
            _ = told => {}
            () = self.closed() => {}
        }
    }

    /// Passes on the server's own messages, as long as it has a stream for them.
    pub(super) async fn listen(&self) -> Finished {
        let mut last = None;
        let mut wait = FIRST_WAIT;
        loop {
            match self.get(last.as_ref()).send().await {
                Ok(response) if is_stream(&response) => {
                    let mut events = Events::of(response);
                    while let Some(data) = events.next().await {
                        wait = FIRST_WAIT;
                        // Answers only count in the response to their request.
                        let message =
                            received(&data).filter(|it| !matches!(it.kind(), Kind::Response { .. }));
                        if let Some(message) = message
                            && self.to.send(message).await.is_err()
                        {
                            return Finished::Listening;
                        }
                    }
                    last = events.last.or(last);
                    wait = events.retry.unwrap_or(wait);
                }
                Ok(response) => match response.status() {
                    StatusCode::NOT_FOUND if self.known().session.is_some() => return Finished::Session,
                    StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS => {}
                    status if status.is_server_error() => {}
                    _ => return Finished::Listening,
                },
                Err(_) => {}
            }
            clock::sleep(wait).await;
            wait = (wait * 2).min(MAX_WAIT);
        }
    }

    /// Ends the session, if there is one.
    pub(super) async fn end(&self) {
        if self.known().session.is_some() {
            let request = self.request(Method::DELETE, None);
            let _ = request.timeout(END_LIMIT).send().await;
        }
    }

    async fn exchange(&self, message: &Message, asked: &Asked<'_>) -> Result<(), Refused> {
        let problem = |problem: &str| Refused::Problem(problem.to_owned());
        let response = self
            .post(message)
            .send()
            .await
            .map_err(|error| problem(if error.is_connect() { UNREACHABLE } else { UNANSWERED }))?;
        let status = response.status();
        if !status.is_success() {
            return Err(self.refusal(response, asked).await);
        }
        if asked.method == "initialize" {
            self.known().session = response.headers().get(SESSION_HEADER).cloned();
        }
        if is_stream(&response) {
            return self.follow(response, asked).await;
        }
        let text = body(response).await.ok_or_else(|| problem(UNANSWERED))?;
        let message = received(&text).ok_or_else(|| problem(NO_ANSWER))?;
        if self.pass(message, asked).await { Ok(()) } else { Err(problem(NO_ANSWER)) }
    }

    /// Turns an HTTP error into a refusal: its body, if that is an answer, otherwise only its status.
    async fn refusal(&self, response: Response, asked: &Asked<'_>) -> Refused {
        let status = response.status();
        if status == StatusCode::NOT_FOUND && !asked.modern && self.known().session.is_some() {
            return Refused::Session;
        }
        if let Some(elsewhere) = elsewhere(&response) {
            return Refused::Problem(elsewhere);
        }
        let answer = body(response).await.and_then(|text| Message::parse(&text).ok());
        let answers = |message: &Message| match message.kind() {
            Kind::Response { id } => id == asked.id || id.to_value().is_null(),
            _ => false,
        };
        answer.filter(answers).map_or_else(
            || Refused::Problem(format!("the server refused with HTTP status {}", status.as_u16())),
            Refused::Answer,
        )
    }

    /// Passes on a stream up to the answer. A stream that breaks off is resumed if the version allows it and the server has said
    /// where to resume.
    async fn follow(&self, response: Response, asked: &Asked<'_>) -> Result<(), Refused> {
        let unanswered = || Refused::Problem(UNANSWERED.to_owned());
        let mut events = Events::of(response);
        loop {
            while let Some(data) = events.next().await {
                if let Some(message) = received(&data)
                    && self.pass(message, asked).await
                {
                    return Ok(());
                }
            }
            let last = events.last.filter(|_| !asked.modern).ok_or_else(unanswered)?;
            clock::sleep(events.retry.unwrap_or(FIRST_WAIT)).await;
            let response = self.get(Some(&last)).send().await.map_err(|_| unanswered())?;
            if !is_stream(&response) {
                return Err(unanswered());
            }
            events = Events::of(response);
        }
    }

    /// Passes on a message that came for a request. Returns whether it was the answer. Answers to other requests are dropped.
    async fn pass(&self, message: Message, asked: &Asked<'_>) -> bool {
        let (message, answer) = match message.kind() {
            Kind::Response { id } if id == asked.id => (message, true),
            // An HTTP error may come before the server has read the id.
            Kind::Response { id } if id.to_value().is_null() => match asked.id.to_raw() {
                Some(id) => (message.with("id", id), true),
                None => return false,
            },
            Kind::Response { .. } => return false,
            _ => (message, false),
        };
        if answer {
            self.note(&message, asked.method);
        }
        let _ = self.to.send(message).await;
        answer
    }

    /// Remembers what later requests need from an answer.
    fn note(&self, answer: &Message, method: &str) {
        let read = |path: &[&str]| -> Option<Value> { serde_json::from_str(answer.at(path)?.get()).ok() };
        match method {
            "initialize" => {
                let version = read(&["result", "protocolVersion"]);
                let version = version.as_ref().and_then(Value::as_str);
                self.known().version = version.and_then(|version| HeaderValue::from_str(version).ok());
            }
            "tools/list" => {
                if let Some(tools) = read(&["result", "tools"]) {
                    self.known().tools.learn(&tools);
                }
            }
            _ => {}
        }
    }

    fn post(&self, message: &Message) -> RequestBuilder {
        self.request(Method::POST, Some(message))
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json, text/event-stream")
            .body(message.to_line())
    }

    /// Requests a stream: of the server's own messages, or the rest of one that broke off after the event `last`.
    fn get(&self, last: Option<&HeaderValue>) -> RequestBuilder {
        let request = self.request(Method::GET, None).header(ACCEPT, EVENT_STREAM);
        match last {
            Some(last) => request.header("last-event-id", last),
            None => request,
        }
    }

    fn request(&self, method: Method, message: Option<&Message>) -> RequestBuilder {
        let known = self.known();
        let mut headers = HeaderMap::new();
        if let Some((message, version)) = message.and_then(|message| Some((message, version(message)?))) {
            if let Kind::Request { method, .. } = message.kind() {
                headers = known.tools.headers(method, message.member("params"));
            }
            headers.insert(VERSION_HEADER, version);
        } else {
            let of_session = [(SESSION_HEADER, &known.session), (VERSION_HEADER, &known.version)];
            for (name, value) in of_session {
                if let Some(value) = value {
                    headers.insert(name, value.clone());
                }
            }
        }
        if let Some(authorization) = &self.endpoint.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        self.endpoint.http.request(method, self.endpoint.url()).headers(headers)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing panics while it is held.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The version that a message names.
fn version(message: &Message) -> Option<HeaderValue> {
    let version = message.at(&["params", "_meta", VERSION_META])?;
    HeaderValue::try_from(serde_json::from_str::<String>(version.get()).ok()?).ok()
}

fn is_stream(response: &Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    response.status().is_success() && kind.trim_start().to_ascii_lowercase().starts_with(EVENT_STREAM)
}

/// The body of a response; `None` if it breaks off, is too long or is not UTF-8.
async fn body(mut response: Response) -> Option<String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if bytes.len() + chunk.len() > MAX_ANSWER_BYTES {
            return None;
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).ok()
}
