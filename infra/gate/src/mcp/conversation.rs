//! The state of one conversation between a client and the server: which requests are open, and which calls are held.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use super::answer;
use super::listed::{ListError, Names};
use super::withdrawing;
use crate::approval::SavedApproval;
use crate::relay::message::{Id, Kind, Message, code};

/// How many calls may be held at once: a human is asked about each.
const MAX_HELD: usize = 256;

/// How many requests may wait for the server at once.
const MAX_SENT: usize = 4096;

/// The code of an error that means that the server's tools, or the headers for them, have changed.
const HEADER_MISMATCH: &str = "-32020";

const CANCELLED: &[&str] = &["params", "requestId"];
const SUBSCRIPTION: &[&str] = &["params", "_meta", "io.modelcontextprotocol/subscriptionId"];
const SUBSCRIBED: &[&str] = &["result", "_meta", "io.modelcontextprotocol/subscriptionId"];

/// One conversation between a client and the server behind the gate.
///
/// The server never sees a client's request ids. Each request, also the gate's own, reaches it under the next integer. So no
/// client can pass off the answer to its request as the server's list of tools, no client gets another's answer, and servers
/// that accept only integers as ids work, too.
pub(crate) struct Conversation {
    client: mpsc::Sender<Message>,
    upstream: Option<mpsc::Sender<Message>>,
    latest: AtomicU64,
    /// Requests that the server has not answered, by the id that the server knows.
    sent: Mutex<HashMap<Id, Sent>>,
    /// Calls that have not reached the server. Whoever removes an entry decides what becomes of the call.
    held: Mutex<HashMap<Id, Option<Stop>>>,
    names: Mutex<Names>,
    /// The gate's own tool, as it is listed.
    own_tool: Option<Value>,
}

/// Whose request it is.
enum Sent {
    /// The gate's own.
    Own(oneshot::Sender<Result<Message, ListError>>),
    /// The client's.
    Client(Box<Theirs>),
}

/// A client's request.
struct Theirs {
    id: Id,
    /// As the client wrote it.
    raw: Box<RawValue>,
    /// Whether it is a subscription: its messages always name it.
    listens: bool,
    /// Whether it asks for the server's tools.
    lists: bool,
    /// The approval that it runs on, if a human approved it.
    approved: Option<SavedApproval>,
    /// Whether the client has given it up.
    gone: bool,
}

/// Stops a held call.
pub(crate) struct Stop {
    pub(crate) task: AbortHandle,
    /// Locked while an approval is being requested and is not saved yet. If the call were stopped then, nobody could find the
    /// approval again.
    pub(crate) asking: Arc<tokio::sync::Mutex<()>>,
}

/// The client or the server has ended the conversation.
pub(crate) struct ChannelClosed;

/// Why a call cannot be held, and is refused.
pub(crate) enum HoldError {
    /// A call with this id is held already.
    Known,
    /// [`MAX_HELD`] calls are held already.
    TooMany,
}

impl Conversation {
    pub(crate) fn new(
        client: mpsc::Sender<Message>,
        upstream: mpsc::Sender<Message>,
        own_tool: Option<Value>,
    ) -> Self {
        Self {
            client,
            upstream: Some(upstream),
            latest: AtomicU64::new(0),
            sent: Mutex::default(),
            held: Mutex::default(),
            names: Mutex::default(),
            own_tool,
        }
    }

    /// Sends a message to the client.
    pub(crate) async fn answer(&self, message: Message) -> Result<(), ChannelClosed> {
        self.client.send(message).await.map_err(|_| ChannelClosed)
    }

    /// Passes a client's message on to the server.
    pub(crate) async fn forward(&self, message: Message) -> Result<(), ChannelClosed> {
        match message.kind().clone() {
            Kind::Request { id, .. } => self.forward_request(&id, message, None).await,
            _ => self.send(message).await,
        }
    }

    async fn forward_request(
        &self,
        id: &Id,
        message: Message,
        approved: Option<SavedApproval>,
    ) -> Result<(), ChannelClosed> {
        match self.renamed(id, &message, approved) {
            Some(message) => self.send(message).await,
            None => {
                let problem = "too many requests are under way: wait for the answers to some of them";
                self.answer(Message::error(Some(id), code::INTERNAL_ERROR, problem)).await
            }
        }
    }

    /// A client's request with a new id for the server; `None` if too many requests are open.
    fn renamed(&self, id: &Id, message: &Message, approved: Option<SavedApproval>) -> Option<Message> {
        let raw = message.member("id")?.to_owned();
        let asks = |wanted: &str| matches!(message.kind(), Kind::Request { method, .. } if method == wanted);
        let (listens, lists) = (asks("subscriptions/listen"), asks("tools/list"));
        let fresh = self.next_id();
        let renamed = message.with("id", fresh.to_raw()?);
        let mut sent = lock(&self.sent);
        if sent.len() >= MAX_SENT {
            return None;
        }
        let theirs = Theirs { id: id.clone(), raw, listens, lists, approved, gone: false };
        sent.insert(fresh, Sent::Client(Box::new(theirs)));
        Some(renamed)
    }

    fn next_id(&self) -> Id {
        Id::number(self.latest.fetch_add(1, Ordering::Relaxed) + 1)
    }

    async fn send(&self, message: Message) -> Result<(), ChannelClosed> {
        self.upstream.as_ref().ok_or(ChannelClosed)?.send(message).await.map_err(|_| ChannelClosed)
    }

    /// Closes the sending side to the server. Answers that still arrive are routed as before.
    pub(crate) fn close(self) -> Self {
        Self { upstream: None, ..self }
    }

    /// Holds a call.
    pub(crate) fn hold(&self, id: &Id) -> Result<(), HoldError> {
        let mut held = lock(&self.held);
        if held.contains_key(id) {
            return Err(HoldError::Known);
        }
        if held.len() >= MAX_HELD {
            return Err(HoldError::TooMany);
        }
        held.insert(id.clone(), None);
        Ok(())
    }

    /// Sets how a held call is stopped when its client gives up.
    pub(crate) fn stop_by(&self, id: &Id, stop: Stop) {
        if let Some(held) = lock(&self.held).get_mut(id) {
            *held = Some(stop);
        }
    }

    /// Answers a held call that does not go to the server. False if the client is not there any more.
    pub(crate) async fn settle(&self, id: &Id, answer: Message) -> bool {
        let held = lock(&self.held).remove(id).is_some();
        held && self.answer(answer).await.is_ok()
    }

    /// Sends a held call to the server, unless its client has given up. `approved` is forgotten when the server answers.
    pub(crate) async fn release(&self, id: &Id, call: Message, approved: Option<SavedApproval>) {
        if lock(&self.held).remove(id).is_some() {
            let _ = self.forward_request(id, call, approved).await;
        }
    }

    /// The message that the server gets for a client's `notifications/cancelled`. A held call is stopped, and the server never
    /// hears of it. A call that a human approved goes on: clients cancel calls because they take long, and an approved action
    /// must not be left half done. Its answer is saved for the same call.
    pub(crate) fn cancelled(&self, notification: &Message) -> Option<Message> {
        let Some(raw) = notification.at(CANCELLED) else { return Some(notification.clone()) };
        let id = Id::parse(&raw)?;
        // First `held`, then `sent`: a call moves from the one to the other.
        if self.stop(&id) {
            return None;
        }
        let known = self.given_up(&id)?;
        Some(notification.with_at(CANCELLED, known.to_raw()?.as_ref()))
    }

    /// The client of this request has disconnected: nobody will hear the answer.
    pub(crate) fn gone(&self, id: &Id) {
        if !self.stop(id) {
            self.given_up(id);
        }
    }

    /// The server's id for a request that its client has given up; `None` if the server does not have the request, or is to go
    /// on with it.
    fn given_up(&self, id: &Id) -> Option<Id> {
        let mut sent = lock(&self.sent);
        let (known, theirs) = sent.iter_mut().find_map(|(known, sent)| match sent {
            Sent::Client(theirs) if theirs.id == *id && !theirs.gone => Some((known, theirs)),
            _ => None,
        })?;
        theirs.gone = theirs.approved.is_some();
        (!theirs.gone).then(|| known.clone())
    }

    /// Whether the server is running the call that this approval was used for.
    pub(crate) fn runs(&self, approved: &SavedApproval) -> bool {
        lock(&self.sent).values().any(|sent| match sent {
            Sent::Client(theirs) => theirs.approved.as_ref().is_some_and(|it| it.id == approved.id),
            Sent::Own(_) => false,
        })
    }

    /// Stops a held call. Returns whether the call was held.
    fn stop(&self, id: &Id) -> bool {
        let Some(stop) = lock(&self.held).remove(id) else { return false };
        if let Some(Stop { task, asking }) = stop {
            tokio::spawn(async move {
                let _asked = asking.lock().await;
                task.abort();
            });
        }
        true
    }

    /// The message that the client gets for a message from the server.
    pub(crate) fn received(&self, message: Message) -> Option<Message> {
        match message.kind() {
            Kind::Response { id } => {
                let sent = lock(&self.sent).remove(id);
                match sent {
                    Some(Sent::Own(waiting)) => {
                        // Whoever asked may have stopped waiting.
                        let _ = waiting.send(Ok(message));
                        None
                    }
                    Some(Sent::Client(theirs)) => self.answered(*theirs, &message),
                    None => {
                        self.misdirected();
                        // An error about an unreadable message has no id.
                        id.to_value().is_null().then_some(message)
                    }
                }
            }
            Kind::Notification { method } => {
                if method == "notifications/tools/list_changed" {
                    self.names().forget();
                }
                Some(self.restored(&message, method == "notifications/cancelled"))
            }
            _ => Some(message),
        }
    }

    /// The answer that the client gets for the server's. If an approved call's client has gone, its answer is saved for the same
    /// call.
    fn answered(&self, theirs: Theirs, message: &Message) -> Option<Message> {
        let failed = message.member("error").is_some();
        if message.at(&["error", "code"]).is_some_and(|code| code.get() == HEADER_MISMATCH) {
            self.names().forget();
        }
        let answer = message.with("id", theirs.raw.clone()).with_at(SUBSCRIBED, &theirs.raw);
        let answer = match &self.own_tool {
            Some(own) if theirs.lists => withdrawing::listed(&answer, own),
            _ => answer,
        };
        let Some(approved) = theirs.approved else { return Some(answer) };
        let answer = if failed { answer::failed_after_approval(&answer, &approved) } else { answer };
        if theirs.gone {
            approved.keep_answer(&answer.to_line());
            return None;
        }
        approved.forget();
        Some(answer)
    }

    /// Replaces the server's id of a subscription in a notification by the client's.
    fn restored(&self, message: &Message, ends: bool) -> Message {
        let mut sent = lock(&self.sent);
        [SUBSCRIPTION, CANCELLED].iter().fold(message.clone(), |message, path| {
            let id = message.at(path).and_then(|raw| Id::parse(&raw));
            let raw = id.as_ref().and_then(|id| match sent.get(id) {
                Some(Sent::Client(theirs)) if theirs.listens => Some(theirs.raw.clone()),
                _ => None,
            });
            let (Some(id), Some(raw)) = (id, raw) else { return message };
            if ends {
                // A subscription that the server has ended gets no other answer.
                sent.remove(&id);
            }
            message.with_at(path, &raw)
        })
    }

    /// An answer came that nobody asked for. A server that chooses its own ids may have answered the gate's own request, too.
    fn misdirected(&self) {
        let mut sent = lock(&self.sent);
        let own: Vec<Id> =
            sent.iter().filter(|(_, sent)| matches!(sent, Sent::Own(_))).map(|(id, _)| id.clone()).collect();
        for id in own {
            if let Some(Sent::Own(waiting)) = sent.remove(&id) {
                let _ = waiting.send(Err(ListError::Misdirected));
            }
        }
    }

    /// Sends the gate's own request to the server, and waits for the answer.
    pub(super) async fn ask(&self, method: &str, params: &Value) -> Result<Message, ListError> {
        let id = self.next_id();
        let request = Message::request(&id, method, params);
        let (answered, answer) = oneshot::channel();
        lock(&self.sent).insert(id, Sent::Own(answered));
        self.send(request).await.map_err(|ChannelClosed| ListError::Silent)?;
        answer.await.unwrap_or(Err(ListError::Silent))
    }

    pub(super) fn names(&self) -> MutexGuard<'_, Names> {
        lock(&self.names)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
