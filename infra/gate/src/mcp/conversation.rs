use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use super::call::Call;
use super::definition::Definition;
use super::message::{Id, Kind, Message};
use crate::approval::KeptApproval;

/// How long the server behind the gate may take to list its tools.
const LISTING_LIMIT: Duration = Duration::from_secs(30);

/// Far above any honest list: a server whose pages never end is not waited for.
const MOST_PAGES: usize = 100;

/// How many calls may be held at once: each has a human asked.
const MOST_HELD: usize = 256;

/// What a client and the server behind the gate have going: the state of one pair of lines.
pub(crate) struct Conversation {
    client: mpsc::Sender<Message>,
    upstream: Option<mpsc::Sender<Message>>,
    /// Our own requests to the server. Their ids begin with something that a client cannot guess, and may not use where the
    /// server tells it: else it could have the answer to a request of its own taken for the server's list of tools.
    own: Mutex<HashMap<Id, oneshot::Sender<Message>>>,
    own_prefix: String,
    own_count: AtomicU64,
    /// Calls that have not reached the server. Whoever takes one out of here decides what becomes of it.
    held: Mutex<HashMap<Id, Option<Stop>>>,
    /// Approved calls that have, until they are answered.
    running: Mutex<HashMap<Id, KeptApproval>>,
}

/// By which a held call is stopped.
pub(crate) struct Stop {
    pub(crate) task: AbortHandle,
    /// Locked while a human is being asked and it is not kept that they were: a call that is stopped then would leave an
    /// approval that nobody finds again.
    pub(crate) asking: Arc<tokio::sync::Mutex<()>>,
}

/// A line of the conversation has ended.
pub(crate) struct Over;

/// Why a call is not held back, and so refused.
pub(crate) enum NotHeld {
    /// One with this id is.
    Known,
    /// [`MOST_HELD`] are.
    TooMany,
}

/// Why the server's own description of a tool cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum NotListed {
    /// There is no such tool, or none that the server owns up to.
    #[error("the server does not list it")]
    Unknown,
    /// Two tools of one name.
    #[error("the server lists it more than once")]
    Ambiguous,
    /// No list, or none that is one.
    #[error("the server did not list its tools when it was asked")]
    NoList,
}

impl Conversation {
    pub(crate) fn new(client: mpsc::Sender<Message>, upstream: mpsc::Sender<Message>, secret: &str) -> Self {
        Self {
            client,
            upstream: Some(upstream),
            own: Mutex::default(),
            own_prefix: format!("sayso-gate/{secret}/"),
            own_count: AtomicU64::new(0),
            held: Mutex::default(),
            running: Mutex::default(),
        }
    }

    /// To the client.
    pub(crate) async fn answer(&self, message: Message) -> Result<(), Over> {
        self.client.send(message).await.map_err(|_| Over)
    }

    /// To the server.
    pub(crate) async fn forward(&self, message: Message) -> Result<(), Over> {
        self.upstream.as_ref().ok_or(Over)?.send(message).await.map_err(|_| Over)
    }

    /// Tells the server that nothing more will come; what it still says can be told apart as before.
    pub(crate) fn close(self) -> Self {
        Self { upstream: None, ..self }
    }

    /// Holds a call back.
    pub(crate) fn hold(&self, id: &Id) -> Result<(), NotHeld> {
        let mut held = lock(&self.held);
        if held.contains_key(id) {
            return Err(NotHeld::Known);
        }
        if held.len() >= MOST_HELD {
            return Err(NotHeld::TooMany);
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

    /// Sends a call on to the server, unless its client has given it up. `kept` is forgotten when the server answers.
    pub(crate) async fn release(&self, id: &Id, call: Message, kept: Option<KeptApproval>) {
        {
            let mut held = lock(&self.held);
            if held.remove(id).is_none() {
                return;
            }
            if let Some(kept) = kept {
                lock(&self.running).insert(id.clone(), kept);
            }
        }
        let _ = self.forward(call).await;
    }

    /// Whether a `notifications/cancelled` is not for the server: it was about a call that is held, which it stops, or about
    /// what is not the client's.
    pub(crate) fn cancel(&self, notification: &Message) -> bool {
        let id = notification.at(&["params", "requestId"]).and_then(|raw| Id::parse(&raw));
        id.is_some_and(|id| self.is_own(&id) || self.give_up(&id))
    }

    /// Whether it is an id of a request of our own.
    pub(crate) fn is_own(&self, id: &Id) -> bool {
        id.is_text_with(&self.own_prefix)
    }

    /// Stops a call that is held; whether it was. Of one that runs nobody will hear what came of it, so that its approval
    /// stays kept: the same call is told first that it may have run.
    pub(crate) fn give_up(&self, id: &Id) -> bool {
        // In two steps: while `held` is locked, a call may move from there to `running`.
        let held = lock(&self.held).remove(id);
        match held {
            Some(stop) => {
                if let Some(Stop { task, asking }) = stop {
                    tokio::spawn(async move {
                        let _asked = asking.lock().await;
                        task.abort();
                    });
                }
                true
            }
            None => {
                lock(&self.running).remove(id);
                false
            }
        }
    }

    /// What the server sent, unless it is for us.
    pub(crate) fn unless_ours(&self, message: Message) -> Option<Message> {
        let Kind::Response { id } = message.kind() else { return Some(message) };
        if let Some(waiting) = lock(&self.own).remove(id) {
            // Who asked may have stopped waiting.
            let _ = waiting.send(message);
            return None;
        }
        if self.is_own(id) {
            return None;
        }
        if let Some(kept) = lock(&self.running).remove(id) {
            kept.forget();
        }
        Some(message)
    }

    /// The tool that is called, as the server lists it now.
    pub(crate) async fn definition(&self, call: &Call) -> Result<Definition, NotListed> {
        let pages = tokio::time::timeout(LISTING_LIMIT, self.listed(call));
        let mut found = pages.await.map_err(|_| NotListed::NoList)??;
        match (found.pop(), found.pop()) {
            (Some(tool), None) => Ok(Definition::from_listed(tool)),
            (None, _) => Err(NotListed::Unknown),
            (Some(_), Some(_)) => Err(NotListed::Ambiguous),
        }
    }

    async fn listed(&self, call: &Call) -> Result<Vec<Value>, NotListed> {
        let mut found = Vec::new();
        let mut cursor = None;
        for _ in 0..MOST_PAGES {
            let mut params = Map::new();
            if let Some(cursor) = cursor {
                params.insert("cursor".to_owned(), cursor);
            }
            let meta = call.protocol_meta();
            if !meta.is_empty() {
                params.insert("_meta".to_owned(), Value::Object(meta));
            }
            let answer = self.ask(Value::Object(params)).await.ok_or(NotListed::NoList)?;
            let page: Value = answer
                .member("result")
                .and_then(|result: &RawValue| serde_json::from_str(result.get()).ok())
                .ok_or(NotListed::NoList)?;
            let tools = page.get("tools").and_then(Value::as_array).ok_or(NotListed::NoList)?;
            found.extend(tools.iter().filter(|tool| tool["name"] == json!(call.tool)).cloned());
            match page.get("nextCursor") {
                None | Some(Value::Null) => return Ok(found),
                Some(next) => cursor = Some(next.clone()),
            }
        }
        Err(NotListed::NoList)
    }

    async fn ask(&self, params: Value) -> Option<Message> {
        let count = self.own_count.fetch_add(1, Ordering::Relaxed);
        let id = Id::text(&format!("{}{count}", self.own_prefix));
        let request = Message::request(&id, "tools/list", &params);
        let (answered, answer) = oneshot::channel();
        lock(&self.own).insert(id.clone(), answered);
        let _asked = Asked { own: &self.own, id };
        self.forward(request).await.ok()?;
        answer.await.ok()
    }
}

/// A request of our own. When it is not waited for any more, its answer is nobody's.
struct Asked<'a> {
    own: &'a Mutex<HashMap<Id, oneshot::Sender<Message>>>,
    id: Id,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        lock(self.own).remove(&self.id);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
