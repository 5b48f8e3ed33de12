//! Clients of the versions up to 2025-11-25: each has its own session, and its own conversation with the server.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::opener::Opener;
use super::reply::{Replies, events, received, refuse};
use super::routes::{PendingRequest, Routes, lock};
use crate::relay::SESSION_HEADER;
use crate::relay::message::{Id, Kind, Message, code};

/// How many sessions there may be at once, and how many from one client's address. Each has its own server.
const MAX_SESSIONS: usize = 64;
const MAX_SESSIONS_OF_AN_ADDRESS: usize = 32;

type OpenSessions = Arc<Mutex<HashMap<String, Session>>>;

/// All sessions by their ids. Whoever knows an id can use the session.
pub(super) struct Sessions {
    opener: Arc<Opener>,
    open: OpenSessions,
    places: Arc<Semaphore>,
    /// Counts uses, to find the session that has been idle longest.
    uses: AtomicU64,
}

#[derive(Clone)]
struct Session {
    to: mpsc::Sender<Message>,
    routes: Arc<Routes>,
    peer: Option<IpAddr>,
    used_last: Arc<AtomicU64>,
}

impl Sessions {
    pub(super) fn new(opener: Arc<Opener>) -> Self {
        Self {
            opener,
            open: OpenSessions::default(),
            places: Arc::new(Semaphore::new(MAX_SESSIONS)),
            uses: AtomicU64::new(0),
        }
    }

    /// Closes all sessions.
    pub(super) fn close(&self) {
        lock(&self.open).clear();
    }

    /// Starts a session with its first request. A server may start slowly, so the client may get the session's id before the
    /// first answer.
    pub(super) async fn initialize(
        &self,
        id: Id,
        message: Message,
        peer: Option<IpAddr>,
        reads_events: bool,
    ) -> Response {
        let Some(place) = self.place(peer).await else {
            let problem = "there are too many sessions: end one, or try again later";
            return refuse(StatusCode::SERVICE_UNAVAILABLE, Some(&id), code::INTERNAL_ERROR, problem);
        };
        let (key, line) = match (fresh_key(), self.opener.open().await) {
            (Some(key), Ok(line)) => (key, line),
            (_, Err(problem)) => {
                return refuse(StatusCode::OK, Some(&id), code::INTERNAL_ERROR, &problem.to_string());
            }
            (None, _) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        };
        let used_last = Arc::new(AtomicU64::new(self.uses.fetch_add(1, Ordering::Relaxed)));
        let session = Session { to: line.to, routes: Arc::default(), peer, used_last };
        lock(&self.open).insert(key.clone(), session.clone());
        let ending = Ending { key: key.clone(), open: Arc::clone(&self.open), ends: true };
        let (routes, last) = (Arc::clone(&session.routes), ending.another());
        tokio::spawn(async move {
            routes.run(line.from).await;
            drop((last, place));
        });
        let mut response = session.first_request(id, message, ending, reads_events).await;
        if lock(&self.open).contains_key(&key)
            && let Ok(key) = HeaderValue::try_from(key)
        {
            response.headers_mut().insert(SESSION_HEADER, key);
        }
        response
    }

    /// Passes a message of a session on, and answers it if it is a request.
    pub(super) async fn answer(&self, key: &HeaderValue, message: Message, reads_events: bool) -> Response {
        // `initialized` alone does not count as use.
        let begins =
            matches!(message.kind(), Kind::Notification { method } if method == "notifications/initialized");
        let session = if begins { self.find(key) } else { self.get(key) };
        let Some(session) = session else { return unknown() };
        let message = match message.kind().clone() {
            Kind::Request { id, .. } => return session.request(id, message, reads_events).await,
            Kind::Notification { method } if method == "notifications/cancelled" => {
                match session.routes.cancelled(&message) {
                    Some(cancelled) => cancelled,
                    None => return StatusCode::ACCEPTED.into_response(),
                }
            }
            _ => message,
        };
        match session.to.send(message).await {
            Ok(()) => StatusCode::ACCEPTED.into_response(),
            Err(_) => unknown(),
        }
    }

    /// The stream of what belongs to no request.
    pub(super) fn listen(&self, key: &HeaderValue) -> Response {
        let Some(session) = self.get(key) else { return unknown() };
        match session.routes.listen() {
            Some(messages) => events(received(messages)),
            None => {
                let problem = "the session has a stream already: close it first";
                refuse(StatusCode::CONFLICT, None, code::INVALID_REQUEST, problem)
            }
        }
    }

    /// Ends a session.
    pub(super) fn delete(&self, key: &HeaderValue) -> Response {
        let ended = key.to_str().ok().and_then(|key| lock(&self.open).remove(key));
        ended.map_or_else(unknown, |_| StatusCode::NO_CONTENT.into_response())
    }

    fn find(&self, key: &HeaderValue) -> Option<Session> {
        lock(&self.open).get(key.to_str().ok()?).cloned()
    }

    /// Finds a session, and notes that it is used.
    fn get(&self, key: &HeaderValue) -> Option<Session> {
        let session = self.find(key)?;
        session.used_last.store(self.uses.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        session.routes.use_now();
        Some(session)
    }

    /// A place for another session. If there is none, the longest idle session is closed: one of this address, if that has its
    /// maximum. Sessions with a listener are closed last. A session with an open request is never closed.
    async fn place(&self, peer: Option<IpAddr>) -> Option<OwnedSemaphorePermit> {
        let full = lock(&self.open).values().filter(|session| session.peer == peer).count()
            >= MAX_SESSIONS_OF_AN_ADDRESS;
        if full && !self.make_way(|session| session.peer == peer) {
            return None;
        }
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(place);
        }
        if !full && !self.make_way(|_| true) {
            return None;
        }
        // The closed session's server ends first.
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    fn make_way(&self, among: impl Fn(&Session) -> bool) -> bool {
        let mut open = lock(&self.open);
        let idle = open.iter().filter(|(_, session)| among(session)).filter_map(|(key, session)| {
            Some((session.routes.idle()?, session.used_last.load(Ordering::Relaxed), key))
        });
        let Some(key) = idle.min().map(|(_, _, key)| key.clone()) else { return false };
        open.remove(&key).is_some()
    }
}

fn unknown() -> Response {
    let problem = "there is no such session (it may have ended): start a new one with `initialize`";
    refuse(StatusCode::NOT_FOUND, None, code::INVALID_REQUEST, problem)
}

/// Ends a session when it is dropped.
struct Ending {
    key: String,
    open: OpenSessions,
    ends: bool,
}

impl Ending {
    fn another(&self) -> Self {
        Self { key: self.key.clone(), open: Arc::clone(&self.open), ends: true }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if self.ends {
            lock(&self.open).remove(&self.key);
        }
    }
}

impl Session {
    /// Sends the request that begins the session. If it is refused, or the client disconnects, the session ends.
    async fn first_request(self, id: Id, message: Message, ending: Ending, reads_events: bool) -> Response {
        let Some(replies) = self.send(id, &message).await else { return unknown() };
        let replies = replies.when_answered(move |answer| {
            let mut ending = ending;
            ending.ends = answer.member("error").is_some();
        });
        replies.respond_soon(reads_events, |_| StatusCode::OK).await
    }

    async fn request(self, id: Id, message: Message, reads_events: bool) -> Response {
        let Some(replies) = self.send(id, &message).await else { return unknown() };
        replies.respond_soon(reads_events, |_| StatusCode::OK).await
    }

    /// Sends a request, and returns its replies; `None` if the session has ended.
    async fn send(self, known: Id, message: &Message) -> Option<Replies<PendingRequest>> {
        self.routes.send(&self.to, known, message).await
    }
}

/// 256 random bits.
#[expect(
    clippy::disallowed_methods,
    reason = "a gate links no sayso-cloud, where randomness lives otherwise"
)]
fn fresh_key() -> Option<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).ok()?;
    Some(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}
