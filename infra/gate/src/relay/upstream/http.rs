//! A server at a URL, over streamable HTTP, in both eras of the protocol.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use super::OpenConversation;
use super::endpoint::Endpoint;
use super::exchange::{Finished, Session};
use crate::relay::Channel;
use crate::relay::message::{Id, Kind, Message};

/// How many requests may be open at once.
const MAX_REQUESTS: usize = 256;

/// Opens a conversation with the server at `endpoint`. Drops `open` when the conversation is closed.
pub(super) fn open(endpoint: &Endpoint, open: OpenConversation) -> Channel {
    let (ours, theirs) = Channel::pair();
    let conversation = HttpConversation {
        session: Arc::new(Session::new(endpoint.clone(), ours.to)),
        work: JoinSet::new(),
        under_way: HashMap::new(),
        listens: false,
    };
    tokio::spawn(async move {
        conversation.run(ours.from).await;
        drop(open);
    });
    theirs
}

/// One conversation, and its open requests.
struct HttpConversation {
    session: Arc<Session>,
    work: JoinSet<Finished>,
    under_way: HashMap<Id, UnderWay>,
    /// Whether the server was asked for its stream. It is asked once, even if the client sends `initialized` often.
    listens: bool,
}

struct UnderWay {
    task: AbortHandle,
    /// Whether closing its response cancels it.
    modern: bool,
}

impl HttpConversation {
    /// Runs until the channel is closed or the server has ended the session.
    async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        loop {
            tokio::select! {
                message = messages.recv() => match message {
                    Some(message) => self.send(message).await,
                    None => break,
                },
                Some(finished) = self.work.join_next() => match finished {
                    Ok(Finished::Request(id)) => {
                        self.under_way.remove(&id);
                    }
                    Ok(Finished::Session) => break,
                    Ok(Finished::Refused | Finished::Listening) | Err(_) => {}
                },
                () = self.session.closed() => break,
            }
        }
        self.work.shutdown().await;
        self.session.end().await;
    }

    /// Sends a message. A request runs as its own task. Anything else is sent before the next message.
    async fn send(&mut self, message: Message) {
        match message.kind().clone() {
            // `under_way` does not count them: a client may use one id for many requests.
            Kind::Request { id, .. } if self.work.len() >= MAX_REQUESTS => {
                let session = Arc::clone(&self.session);
                self.work.spawn(async move {
                    session.fail(&id, "too many requests are under way: wait for one of them").await;
                    Finished::Refused
                });
            }
            Kind::Request { id, method } => {
                let session = Arc::clone(&self.session);
                let modern = Session::is_modern(&message);
                let asked = id.clone();
                let task = self.work.spawn(async move { session.ask(message, asked, &method).await });
                self.under_way.insert(id, UnderWay { task, modern });
            }
            Kind::Notification { method } if method == "notifications/cancelled" => {
                let id = message.at(&["params", "requestId"]).and_then(|raw| Id::parse(&raw));
                match id.and_then(|id| self.under_way.get(&id).map(|it| (id, it.modern))) {
                    // Closing its stream cancels it.
                    Some((id, true)) => {
                        if let Some(cancelled) = self.under_way.remove(&id) {
                            cancelled.task.abort();
                        }
                    }
                    Some((_, false)) => self.session.tell(&message).await,
                    None => {}
                }
            }
            Kind::Notification { method } => {
                self.session.tell(&message).await;
                if method == "notifications/initialized" && !self.listens {
                    self.listens = true;
                    let session = Arc::clone(&self.session);
                    self.work.spawn(async move { session.listen().await });
                }
            }
            Kind::Response { .. } => self.session.tell(&message).await,
            Kind::Gone { .. } => {}
        }
    }
}
