use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use http_body_util::{Full, Limited};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::loopback;

/// What goes wrong on the way between a gate and one of the functions.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// The request arrives, and the answer breaks off after its head.
    LoseAnswer,
    /// The request does not arrive, and the connection breaks.
    LoseRequest,
    /// The request arrives nowhere, and no answer ever comes.
    Silence,
    /// The request arrives, and no answer ever comes.
    KeepAnswer,
    /// The request waits until it is let through.
    Hold(Arc<Notify>),
    /// Something else answers: this status, header and body.
    Answer(u16, Option<(&'static str, String)>, String),
    /// Nothing: the trouble behind it meets a later request.
    Pass,
}

/// The issuer, or another function, at another address, on a line that a test can break. Stops when dropped.
pub struct Front {
    /// The address: tokens that are to be redeemed through it must name it as their issuer.
    pub url: String,
    state: Arc<Line>,
    _tasks: JoinSet<()>,
}

struct Line {
    upstream: String,
    http: reqwest::Client,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    requests: Vec<String>,
    troubles: HashMap<String, VecDeque<Trouble>>,
}

impl Front {
    /// Starts in front of the function at `upstream`.
    pub async fn start(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let http = loopback::client().build().expect("a client");
        let state = Arc::new(Line { upstream: upstream.to_owned(), http, seen: Mutex::default() });
        let router = Router::new().fallback(forward).with_state(Arc::clone(&state));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { url, state, _tasks: tasks }
    }

    /// The next request for `path` meets this; several queue up.
    pub fn trouble(&self, path: &str, trouble: Trouble) {
        self.state.seen().troubles.entry(path.to_owned()).or_default().push_back(trouble);
    }

    /// Waits until somebody asks for `path`.
    pub async fn asked_for(&self, path: &str) {
        while !self.state.seen().requests.iter().any(|asked| asked == path) {
            tokio::task::yield_now().await;
        }
    }

    /// The paths asked for since the last time this was asked.
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state.seen().requests)
    }
}

impl Line {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn forward(
    State(line): State<Arc<Line>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let trouble = {
        let mut seen = line.seen();
        seen.requests.push(uri.path().to_owned());
        seen.troubles.get_mut(uri.path()).and_then(VecDeque::pop_front)
    };
    match trouble {
        Some(Trouble::LoseRequest) => return broken(),
        Some(Trouble::Silence) => return std::future::pending().await,
        Some(Trouble::Answer(status, header, body)) => {
            let mut response = (StatusCode::from_u16(status).expect("a status"), body).into_response();
            if let Some((name, value)) = header {
                response.headers_mut().insert(name, value.parse().expect("a header"));
            }
            return response;
        }
        Some(Trouble::Hold(ref until)) => until.notified().await,
        _ => {}
    }
    let mut request = line.http.request(method, format!("{}{uri}", line.upstream)).body(body);
    // With the host that was called, which the issuer takes for its own.
    for name in
        ["host", "content-type", "accept", "authorization", "mcp-protocol-version", "mcp-method", "mcp-name"]
    {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value);
        }
    }
    let answer = request.send().await.expect("an answer");
    match trouble {
        Some(Trouble::LoseAnswer) => return broken(),
        Some(Trouble::KeepAnswer) => return std::future::pending().await,
        _ => {}
    }
    let (status, headers) = (answer.status(), answer.headers().clone());
    (status, headers, answer.bytes().await.expect("a body")).into_response()
}

/// A head that promises more than comes.
fn broken() -> Response {
    Body::new(Limited::new(Full::new(Bytes::from_static(b"{}")), 1)).into_response()
}
