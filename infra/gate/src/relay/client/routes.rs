//! Routes the messages of one session: each answer to its request, the rest to the client's stream.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc};

use super::reply::{Replies, Reply, reply};
use crate::clock;
use crate::relay::WAITING_MESSAGES;
use crate::relay::message::{Id, Kind, Message};

/// How long an idle session lasts, and one that nobody has used since it began.
const IDLE: Duration = Duration::from_secs(30 * 60);
const NEVER_USED: Duration = Duration::from_secs(60);

const TOKEN: &[&str] = &["params", "_meta", "progressToken"];
const PROGRESS: &[&str] = &["params", "progressToken"];
const CANCELLED: &[&str] = &["params", "requestId"];

/// The open requests and the stream of one session.
#[derive(Default)]
pub(super) struct Routes {
    state: Mutex<State>,
    used: Notify,
    latest: AtomicU64,
}

#[derive(Default)]
struct State {
    /// The oldest first.
    requests: Vec<Request>,
    /// Gets the messages that belong to no request.
    stream: Option<mpsc::Sender<Message>>,
    /// Messages that belong to no request, while there is no stream.
    waiting: VecDeque<Message>,
}

/// An open request. A client may use one id for many requests, and some do, so each gets its own id here.
struct Request {
    id: Id,
    /// The client's id.
    known: Id,
    raw: Box<RawValue>,
    token: Option<Id>,
    /// The client's token, if another request had the same one already.
    known_token: Option<Box<RawValue>>,
    reply: Reply,
}

/// A request that a client waits for. Tells the gate when the client disconnects, unless the request is answered.
pub(super) struct PendingRequest {
    id: Id,
    /// Weak, so that it does not keep the session open.
    to: mpsc::WeakSender<Message>,
    routes: Arc<Routes>,
}

impl Drop for PendingRequest {
    fn drop(&mut self) {
        let mut state = lock(&self.routes.state);
        let ours = |request: &Request| request.id == self.id && !request.reply.is_wanted();
        let Some(place) = state.requests.iter().position(ours) else { return };
        if let Some(to) = self.to.upgrade()
            && let Err(TrySendError::Full(gone)) = to.try_send(Message::gone(self.id.clone()))
        {
            tokio::spawn(async move { to.send(gone).await });
        }
        // Only after that: a later request with this id is another one.
        state.requests.remove(place);
    }
}

impl Routes {
    /// Sends a request, and returns its replies; `None` if the session has ended.
    pub(super) async fn send(
        self: &Arc<Self>,
        to: &mpsc::Sender<Message>,
        known: Id,
        message: &Message,
    ) -> Option<Replies<PendingRequest>> {
        let id = Id::number(self.latest.fetch_add(1, Ordering::Relaxed) + 1);
        let pending = PendingRequest { id: id.clone(), to: to.downgrade(), routes: Arc::clone(self) };
        let (reply, replies) = reply(known.clone(), pending);
        let (raw, mut renamed) = (message.member("id")?.to_owned(), message.with("id", id.to_raw()?));
        {
            let requests = &mut lock(&self.state).requests;
            let (mut token, mut known_token) = (message.at(TOKEN).and_then(|raw| Id::parse(&raw)), None);
            if token.is_some() && requests.iter().any(|request| request.token == token) {
                let fresh = Id::text(&format!("sayso-{id}"));
                renamed = renamed.with_at(TOKEN, fresh.to_raw()?.as_ref());
                (token, known_token) = (Some(fresh), message.at(TOKEN));
            }
            requests.push(Request { id, known, raw, token, known_token, reply });
        }
        to.send(renamed).await.ok()?;
        Some(replies)
    }

    /// Routes messages until the server ends, or until nobody has used the session for long.
    pub(super) async fn run(&self, mut from: mpsc::Receiver<Message>) {
        let mut patience = NEVER_USED;
        let mut idle = pin!(clock::sleep(patience));
        loop {
            tokio::select! {
                message = from.recv() => match message {
                    Some(message) => self.route(message),
                    None => break,
                },
                () = self.used.notified() => {
                    patience = IDLE;
                    idle.set(clock::sleep(patience));
                }
                () = &mut idle => {
                    if self.is_abandoned() {
                        break;
                    }
                    idle.set(clock::sleep(patience));
                }
            }
        }
        // Everybody who still waits learns that no answer comes.
        *lock(&self.state) = State::default();
    }

    fn is_abandoned(&self) -> bool {
        self.idle() == Some(false)
    }

    /// Notes that somebody uses the session.
    pub(super) fn use_now(&self) {
        self.used.notify_one();
    }

    /// Whether an idle session has a listener; `None` while somebody waits for an answer.
    pub(super) fn idle(&self) -> Option<bool> {
        let state = lock(&self.state);
        let waits = state.requests.iter().any(|request| request.reply.is_wanted());
        (!waits).then(|| state.stream.as_ref().is_some_and(|stream| !stream.is_closed()))
    }

    /// The cancellation with the id of the newest request that the client means; `None` if there is none.
    pub(super) fn cancelled(&self, message: &Message) -> Option<Message> {
        let Some(raw) = message.at(CANCELLED) else { return Some(message.clone()) };
        let known = Id::parse(&raw)?;
        let state = lock(&self.state);
        let request = state.requests.iter().rfind(|request| request.known == known)?;
        Some(message.with_at(CANCELLED, request.id.to_raw()?.as_ref()))
    }

    /// The stream of messages that belong to no request, with those that have been waiting; `None` if there is a stream already.
    pub(super) fn listen(&self) -> Option<mpsc::Receiver<Message>> {
        let mut state = lock(&self.state);
        if state.stream.as_ref().is_some_and(|stream| !stream.is_closed()) {
            return None;
        }
        let (to, messages) = mpsc::channel(WAITING_MESSAGES);
        for message in state.waiting.drain(..) {
            // There is room for all of them.
            let _ = to.try_send(message);
        }
        state.stream = Some(to);
        Some(messages)
    }

    fn route(&self, message: Message) {
        let mut state = lock(&self.state);
        match message.kind() {
            Kind::Response { id } => {
                if let Some(place) = state.requests.iter().position(|request| request.id == *id) {
                    let Request { raw, reply, .. } = state.requests.remove(place);
                    reply.finish(message.with("id", raw));
                }
            }
            Kind::Notification { method } if method == "notifications/progress" => {
                let token = message.at(PROGRESS).and_then(|raw| Id::parse(&raw));
                match state.requests.iter().find(|request| token.is_some() && request.token == token) {
                    Some(Request { known_token: Some(raw), reply, .. }) => {
                        _ = reply.add(message.with_at(PROGRESS, raw));
                    }
                    Some(request) => _ = request.reply.add(message),
                    None => state.unasked(message),
                }
            }
            _ => state.unasked(message),
        }
    }
}

impl State {
    /// Sends a message that belongs to no request to the stream, else ahead of the newest request's answer. Otherwise it waits.
    fn unasked(&mut self, message: Message) {
        if let Some(stream) = self.stream.as_ref().filter(|stream| !stream.is_closed()) {
            // A client that is too slow misses messages.
            let _ = stream.try_send(message);
        } else if let Some(request) = self.requests.iter().rfind(|request| request.reply.is_wanted()) {
            let _ = request.reply.add(message);
        } else {
            if self.waiting.len() >= WAITING_MESSAGES {
                self.waiting.pop_front();
            }
            self.waiting.push_back(message);
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while one is held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
