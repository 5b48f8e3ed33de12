//! The conversation with the server that all stateless requests share. Each request gets its own id, and each message from the
//! server goes to the client whose request it names.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sayso_model::Timestamp;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::reply::{Replies, Reply, reply};
use crate::clock;
use crate::relay::Channel;
use crate::relay::message::{Id, Kind, Message, code};
use crate::relay::upstream::headers::Tools;

/// How many requests may be open at once.
const MAX_REQUESTS: usize = 256;

/// How long the server may still send something about a cancelled request.
const ECHO: Duration = Duration::from_secs(60);

const TOKEN: &[&str] = &["params", "_meta", "progressToken"];
const PROGRESS: &[&str] = &["params", "progressToken"];
const SUBSCRIPTION: &[&str] = &["params", "_meta", "io.modelcontextprotocol/subscriptionId"];
const SUBSCRIBED: &[&str] = &["result", "_meta", "io.modelcontextprotocol/subscriptionId"];
const CANCELLED: &[&str] = &["params", "requestId"];

#[derive(Default)]
pub(super) struct Shared(Mutex<State>);

#[derive(Default)]
pub(super) struct State {
    /// `None` before the conversation and after it.
    to: Option<mpsc::Sender<Message>>,
    requests: HashMap<Id, Request>,
    latest: u64,
    /// The tools that the server listed, and until when the list is used.
    pub(super) listed: Option<(Tools, Timestamp)>,
}

/// A request, with the id and the token that the client gave it.
struct Request {
    id: Box<RawValue>,
    token: Option<Box<RawValue>>,
    /// Whether it is a subscription: its messages always name it.
    listens: bool,
    /// `None` once the client is gone. Messages that still come are dropped.
    reply: Option<Reply>,
}

/// Cancels a request when its client disconnects, unless it is answered.
pub(super) struct DisconnectGuard {
    shared: Arc<Shared>,
    id: Id,
}

impl Drop for DisconnectGuard {
    fn drop(&mut self) {
        self.shared.cancel(&self.id);
    }
}

impl Shared {
    pub(super) fn start(line: Channel) -> Arc<Self> {
        let Channel { to, mut from } = line;
        let shared = Arc::new(Self::default());
        shared.lock().to = Some(to);
        let routing = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Some(message) = from.recv().await {
                routing.route(&message);
            }
            // Everybody who still waits learns that no answer comes.
            let state = std::mem::take(&mut *routing.lock());
            drop(state);
        });
        shared
    }

    /// Whether there is no conversation: it has not begun, or it has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().to.as_ref().is_none_or(mpsc::Sender::is_closed)
    }

    pub(super) fn close(&self) {
        *self.lock() = State::default();
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a request: where to send it, the text to send, and its replies; `None` if too many are open.
    pub(super) fn add(
        self: &Arc<Self>,
        message: &Message,
        id: &Id,
    ) -> Option<(mpsc::Sender<Message>, Message, Replies<DisconnectGuard>)> {
        let (known, token) = (id.to_raw()?, message.at(TOKEN));
        let listens =
            matches!(message.kind(), Kind::Request { method, .. } if method == "subscriptions/listen");
        let mut state = self.lock();
        let to = state.to.clone().filter(|_| state.requests.len() < MAX_REQUESTS)?;
        state.latest += 1;
        let unique = Id::text(&state.latest.to_string());
        let raw = unique.to_raw()?;
        let request = message.with("id", raw.clone()).with_at(TOKEN, &raw);
        let (reply, replies) =
            reply(id.clone(), DisconnectGuard { shared: Arc::clone(self), id: unique.clone() });
        state.requests.insert(unique, Request { id: known, token, listens, reply: Some(reply) });
        Some((to, request, replies))
    }

    fn route(self: &Arc<Self>, message: &Message) {
        match message.kind() {
            Kind::Response { id } => {
                let request = self.lock().requests.remove(id);
                if let Some(Request { id, reply: Some(reply), .. }) = request {
                    reply.finish(message.with("id", id.clone()).with_at(SUBSCRIBED, &id));
                }
            }
            Kind::Notification { method } => {
                let late = self.lock().notify(message, method);
                if let Some(id) = late {
                    self.cancel(&id);
                }
            }
            Kind::Gone { .. } => {}
            // No client could answer it.
            Kind::Request { id, .. } => {
                let problem = "this version of the protocol has no requests from the server";
                let refusal = Message::error(Some(id), code::METHOD_NOT_FOUND, problem);
                if let Some(to) = &self.lock().to {
                    let _ = to.try_send(refusal);
                }
            }
        }
    }

    /// Cancels a request at the server, unless its answer has come.
    fn cancel(self: &Arc<Self>, id: &Id) {
        let mut state = self.lock();
        let Some(request) = state.requests.get_mut(id).filter(|request| request.reply.is_some()) else {
            return;
        };
        request.reply = None;
        let Some(to) = state.to.clone() else { return };
        let (shared, id) = (Arc::clone(self), id.clone());
        tokio::spawn(async move {
            let params = json!({"requestId": id.to_value(), "reason": "the client is gone"});
            // It fails only if the conversation has ended.
            let _ = to.send(Message::notification("notifications/cancelled", &params)).await;
            drop(to);
            clock::sleep(ECHO).await;
            shared.lock().requests.remove(&id);
        });
    }
}

impl State {
    /// Passes a notification to the client whose request it names. Returns the id of a subscription whose client is too slow.
    fn notify(&mut self, message: &Message, method: &str) -> Option<Id> {
        let paths = [PROGRESS, SUBSCRIPTION, CANCELLED];
        let named: Vec<_> = paths.iter().filter_map(|path| message.at(path)).collect();
        let ids: Vec<_> = named.iter().filter_map(|raw| Id::parse(raw)).collect();
        let id = match ids.first() {
            Some(first) if ids.len() == named.len() && ids.iter().all(|id| id == first) => first.clone(),
            None if named.is_empty() && method == "notifications/message" => self.only()?,
            _ => return None,
        };
        let request = self.requests.get(&id)?;
        let reply = request.reply.as_ref()?;
        let mut restored = message.with_at(SUBSCRIPTION, &request.id).with_at(CANCELLED, &request.id);
        if message.at(PROGRESS).is_some() {
            restored = restored.with_at(PROGRESS, request.token.as_ref()?);
        }
        if !reply.add(restored) {
            // A subscription that misses a message is useless, so it ends. A call must not be cancelled for that.
            return request.listens.then_some(id);
        }
        if method == "notifications/cancelled" {
            // The server has ended a subscription, so its stream ends, too.
            self.requests.remove(&id);
        }
        None
    }

    /// The request that a log message must belong to: the only one that is no subscription, even if its client is gone.
    fn only(&self) -> Option<Id> {
        let mut requests = self.requests.iter().filter(|(_, request)| !request.listens);
        let (id, _) = requests.next()?;
        requests.next().is_none().then(|| id.clone())
    }
}
