//! A server at a URL: streamable HTTP, in both eras of the protocol.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use sayso_model::BaseUrl;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use super::exchange::{Finished, Session, elsewhere};
use super::{CannotOpen, Open};
use crate::mcp::Line;
use crate::mcp::message::{Id, Kind, Message};

const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long the server may take to say that it is elsewhere, when the gate starts.
const LOOK_LIMIT: Duration = Duration::from_secs(3);
/// A call may take as long as it takes, but not on a connection whose other end is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// How many requests may be under way at once.
const MOST_REQUESTS: usize = 256;

/// A URL and the way there.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    url: String,
    pub(super) http: Client,
    pub(super) authorization: Option<HeaderValue>,
}

impl Endpoint {
    pub(super) fn new(url: &str, authorization: Option<&str>) -> Result<Self, CannotOpen> {
        let refuse = |problem: &str| CannotOpen(format!("the server's URL: {problem}"));
        let base = BaseUrl::parse(url).map_err(|problem| refuse(&problem.to_string()))?;
        let builder = Client::builder()
            .connect_timeout(CONNECT_LIMIT)
            .tcp_keepalive(KEEP_ALIVE)
            // What is sent goes to the configured server and nowhere else, and once.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never());
        // `BaseUrl` allows plain HTTP on loopback only, where no proxy belongs in between and no certificate is looked at.
        let local = base.as_str().starts_with("http://");
        let builder = if local { builder.no_proxy().tls_certs_only([]) } else { builder.https_only(true) };
        let http = builder.build().map_err(|_| refuse("no TLS is to be had on this machine"))?;
        let authorization = authorization.map(HeaderValue::try_from).transpose();
        let mut authorization = authorization.map_err(|_| {
            CannotOpen("the server's `Authorization` holds what no header may hold: remove it".to_owned())
        })?;
        if let Some(value) = &mut authorization {
            value.set_sensitive(true);
        }
        // As it was written: to some servers a slash at the end makes a difference.
        Ok(Self { url: url.to_owned(), http, authorization })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Whether the server sends elsewhere whoever asks for anything at this address. A server that is not there yet is none of
    /// this one's problems.
    pub(super) async fn look(&self) -> Result<(), CannotOpen> {
        let mut request = self.http.get(&self.url).header(ACCEPT, "text/event-stream").timeout(LOOK_LIMIT);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        match request.send().await.ok().and_then(|response| elsewhere(&response)) {
            Some(elsewhere) => Err(CannotOpen(elsewhere)),
            None => Ok(()),
        }
    }

    pub(super) fn open(&self, open: Open) -> Line {
        let (ours, theirs) = Line::pair();
        let conversation = Conversation {
            session: Arc::new(Session::new(self.clone(), ours.to)),
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
}

/// Everything of one conversation that is under way.
struct Conversation {
    session: Arc<Session>,
    work: JoinSet<Finished>,
    under_way: HashMap<Id, UnderWay>,
    /// Whether the server was asked for its stream: once, however often a client says that it begins.
    listens: bool,
}

struct UnderWay {
    task: AbortHandle,
    /// Whether to give up its answer is to cancel it.
    modern: bool,
}

impl Conversation {
    /// Until the line is closed or the server has ended the session.
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

    /// A request is on its own from here; anything else is sent before what comes after it.
    async fn send(&mut self, message: Message) {
        match message.kind().clone() {
            // Not by `under_way`: a client may give many requests one id.
            Kind::Request { id, .. } if self.work.len() >= MOST_REQUESTS => {
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
                    // To close its stream is how it is cancelled.
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
