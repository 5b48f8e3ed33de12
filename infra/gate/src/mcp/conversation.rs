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

/// How many calls may be held at once: each has a human asked.
const MAX_HELD: usize = 256;

/// How many requests the server may have at once.
const MAX_SENT: usize = 4096;

/// A server that says so lists other tools now, or other headers for them.
const HEADER_MISMATCH: &str = "-32020";

const CANCELLED: &[&str] = &["params", "requestId"];
const SUBSCRIPTION: &[&str] = &["params", "_meta", "io.modelcontextprotocol/subscriptionId"];
const SUBSCRIBED: &[&str] = &["result", "_meta", "io.modelcontextprotocol/subscriptionId"];

/// What a client and the server behind the gate have going: the state of one pair of lines.
///
/// The server never sees a client's request ids. Each request reaches it under the next integer, the gate's own requests
/// among them. So no client can have the answer to its request taken for the server's list of tools, no client gets
/// another's answer, and a server that takes no ids but integers is served, too.
pub(crate) struct Conversation {
    client: mpsc::Sender<Message>,
    upstream: Option<mpsc::Sender<Message>>,
    latest: AtomicU64,
    /// Requests that the server has not answered, by the id that it knows.
    sent: Mutex<HashMap<Id, Sent>>,
    /// Calls that have not reached the server. The one that removes an entry decides what becomes of the call.
    held: Mutex<HashMap<Id, Option<Stop>>>,
    names: Mutex<Names>,
    /// The tool of the gate's own, as it is listed.
    own_tool: Option<Value>,
}

/// Whose request it is.
enum Sent {
    /// The gate's.
    Own(oneshot::Sender<Result<Message, ListError>>),
    /// The client's.
    Client(Box<Theirs>),
}

/// A client's request.
struct Theirs {
    id: Id,
    /// As the client wrote it.
    raw: Box<RawValue>,
    /// Whether it is a subscription: what it brings always names it.
    listens: bool,
    /// Whether it is for the server's tools.
    lists: bool,
    /// The approval that it runs on, if a human was asked.
    approved: Option<SavedApproval>,
    /// Whether the client has given it up.
    gone: bool,
}

/// By which a held call is stopped.
pub(crate) struct Stop {
    pub(crate) task: AbortHandle,
    /// Locked while a human is being asked and it is not kept that they were: a call that is stopped then would leave an
    /// approval that nobody finds again.
    pub(crate) asking: Arc<tokio::sync::Mutex<()>>,
}

/// A line of the conversation has ended.
pub(crate) struct ChannelClosed;

/// Why a call is not held back, and so refused.
pub(crate) enum HoldError {
    /// One with this id is.
    Known,
    /// [`MAX_HELD`] are.
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

    /// To the client.
    pub(crate) async fn answer(&self, message: Message) -> Result<(), ChannelClosed> {
        self.client.send(message).await.map_err(|_| ChannelClosed)
    }

    /// What the client sent, to the server.
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

    /// A client's request under the id that the server gets; `None` if the server has too many.
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

    /// Tells the server that nothing more will come; what it still says can be told apart as before.
    pub(crate) fn close(self) -> Self {
        Self { upstream: None, ..self }
    }

    /// Holds a call back.
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

    /// By which a held call is stopped when its client gives it up.
    pub(crate) fn stop_by(&self, id: &Id, stop: Stop) {
        if let Some(held) = lock(&self.held).get_mut(id) {
            *held = Some(stop);
        }
    }

    /// Answers a call that did not go to the server; false if nobody is there to be told.
    pub(crate) async fn settle(&self, id: &Id, answer: Message) -> bool {
        let held = lock(&self.held).remove(id).is_some();
        held && self.answer(answer).await.is_ok()
    }

    /// Sends a call on to the server, unless its client has given it up. `approved` is forgotten when the server answers.
    pub(crate) async fn release(&self, id: &Id, call: Message, approved: Option<SavedApproval>) {
        if lock(&self.held).remove(id).is_some() {
            let _ = self.forward_request(id, call, approved).await;
        }
    }

    /// What the server is to have of a client's `notifications/cancelled`. A call that is held is stopped, and the server
    /// has never heard of it. A call that a human approved goes on: clients give a call up because it takes long, and what
    /// was approved is not to be left half done. Its answer is kept for the same call.
    pub(crate) fn cancelled(&self, notification: &Message) -> Option<Message> {
        let Some(raw) = notification.at(CANCELLED) else { return Some(notification.clone()) };
        let id = Id::parse(&raw)?;
        // In two steps: while `held` is locked, a call may move from there to `sent`.
        if self.stop(&id) {
            return None;
        }
        let known = self.given_up(&id)?;
        Some(notification.with_at(CANCELLED, known.to_raw()?.as_ref()))
    }

    /// The client of this request is gone: nobody will hear its answer.
    pub(crate) fn gone(&self, id: &Id) {
        if !self.stop(id) {
            self.given_up(id);
        }
    }

    /// By which the server knows a request whose answer nobody waits for any more; `None` if it does not have it, or is to
    /// go on with it.
    fn given_up(&self, id: &Id) -> Option<Id> {
        let mut sent = lock(&self.sent);
        let (known, theirs) = sent.iter_mut().find_map(|(known, sent)| match sent {
            Sent::Client(theirs) if theirs.id == *id && !theirs.gone => Some((known, theirs)),
            _ => None,
        })?;
        theirs.gone = theirs.approved.is_some();
        (!theirs.gone).then(|| known.clone())
    }

    /// Whether the server has the call that this approval was used for.
    pub(crate) fn runs(&self, approved: &SavedApproval) -> bool {
        lock(&self.sent).values().any(|sent| match sent {
            Sent::Client(theirs) => theirs.approved.as_ref().is_some_and(|it| it.id == approved.id),
            Sent::Own(_) => false,
        })
    }

    /// Stops a call that is held; whether it was.
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

    /// What the client is to have of what the server sent.
    pub(crate) fn received(&self, message: Message) -> Option<Message> {
        match message.kind() {
            Kind::Response { id } => {
                let sent = lock(&self.sent).remove(id);
                match sent {
                    Some(Sent::Own(waiting)) => {
                        // Who asked may have stopped waiting.
                        let _ = waiting.send(Ok(message));
                        None
                    }
                    Some(Sent::Client(theirs)) => self.answered(*theirs, &message),
                    None => {
                        self.misdirected();
                        // An error about what could not be read has no id.
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

    /// The server's answer to a client's request, as the client is to have it. That of an approved call whose client has gone
    /// is kept for the same call.
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

    /// A notification that names a subscription of the client's by the server's id for it.
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
                // Nothing else answers a subscription that the server has ended.
                sent.remove(&id);
            }
            message.with_at(path, &raw)
        })
    }

    /// An answer came that nobody asked for. A server that answers with ids of its own choosing has answered us, too.
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

    /// The server's answer to a request of the gate's own.
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
