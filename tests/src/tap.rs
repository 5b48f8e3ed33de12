use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use http_body_util::{Full, Limited};
use sayso_cloud::Endpoints;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::loopback;

/// What goes wrong with one call.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The service refuses with this status and AWS error code; nothing happens.
    Refuse(u16, &'static str),
    /// DynamoDB cancels the transaction, with this code as the reason for its first write; nothing happens.
    Cancel(&'static str),
    /// The service does what was asked, and the answer is lost.
    LoseAnswer,
    /// The service does what was asked, and the caller gets this status and AWS error code instead: with one that no
    /// client tries again after, as good as a caller that died right after the call.
    DoAndRefuse(u16, &'static str),
    /// The connection breaks before anything happens.
    Reset,
    /// The service does what was asked, and the connection breaks.
    DoAndReset,
    /// Nothing happens, and no answer ever comes.
    Silence,
    /// The service does what was asked, and no answer ever comes.
    KeepAnswer,
    /// DynamoDB reads the first of the rows and leaves the others out, as it does under load.
    LeaveOut,
    /// Nothing, but not before the test adds a permit.
    Hold(Arc<Semaphore>),
    /// The service does what was asked, and the answer does not come before the test adds a permit.
    HoldAnswer(Arc<Semaphore>),
    /// Nothing: this call goes well, and a fault behind it in the queue meets a later one.
    Pass,
}

/// Sits between the functions and the three AWS endpoints: counts every call and breaks those it is told to.
#[derive(Clone)]
pub struct Tap {
    state: Arc<Mutex<Seen>>,
    http: reqwest::Client,
}

/// What IAM has to allow for a call: its action, and the kind of row (`REQUEST`) or of resource (`identity`) it touches; a
/// key has no kind.
pub type Permission = (String, String);

#[derive(Default)]
struct Seen {
    calls: Vec<String>,
    permissions: BTreeSet<Permission>,
    faults: HashMap<String, VecDeque<Fault>>,
    outages: HashMap<String, Fault>,
}

impl Tap {
    /// Starts in front of `upstream`; gives the endpoints to use instead.
    pub async fn start(upstream: &Endpoints, tasks: &mut JoinSet<()>) -> (Self, Endpoints) {
        let tap = Self { state: Arc::default(), http: loopback::client().build().expect("a client") };
        let endpoints = Endpoints {
            dynamodb: tap.front(upstream.dynamodb.as_ref(), tasks).await,
            sesv2: tap.front(upstream.sesv2.as_ref(), tasks).await,
            kms: tap.front(upstream.kms.as_ref(), tasks).await,
        };
        (tap, endpoints)
    }

    /// The calls since the last time this was asked, by API name, in order: `GetItem`, `SendEmail`, `Sign`.
    pub fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.seen().calls)
    }

    /// What every call since the start has needed.
    pub fn permissions(&self) -> BTreeSet<Permission> {
        self.seen().permissions.clone()
    }

    /// The next call of this name goes wrong; several faults queue up.
    pub fn break_next(&self, call: &str, fault: Fault) {
        self.seen().faults.entry(call.to_owned()).or_default().push_back(fault);
    }

    /// Every call of this name goes wrong until it is mended, once what [`Tap::break_next`] has queued up has happened.
    pub fn break_all(&self, call: &str, fault: Fault) {
        self.seen().outages.insert(call.to_owned(), fault);
    }

    /// Takes back every fault that has not happened yet.
    pub fn mend(&self) {
        let mut seen = self.seen();
        seen.faults.clear();
        seen.outages.clear();
    }

    /// Waits until somebody has made a call of this name, since the calls were last taken.
    pub async fn called(&self, call: &str) {
        while !self.seen().calls.iter().any(|made| made == call) {
            tokio::task::yield_now().await;
        }
    }

    async fn front(&self, upstream: Option<&String>, tasks: &mut JoinSet<()>) -> Option<String> {
        let upstream = upstream?.clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(forward).with_state((self.clone(), upstream));
        tasks.spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Some(url)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, call: &str, body: &Bytes) -> Option<Fault> {
        let mut seen = self.seen();
        seen.calls.push(call.to_owned());
        seen.permissions.extend(needed(call, &serde_json::from_slice(body).unwrap_or_default()));
        let next = seen.faults.get_mut(call).and_then(VecDeque::pop_front);
        next.or_else(|| seen.outages.get(call).cloned())
    }
}

async fn forward(
    State((tap, upstream)): State<(Tap, String)>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let fault = tap.record(&call_name(&headers, &uri), &body);
    match &fault {
        Some(Fault::Refuse(status, code)) => return refusal(*status, code),
        Some(Fault::Cancel(code)) => return cancellation(code),
        Some(Fault::Reset) => return broken(),
        Some(Fault::Silence) => return std::future::pending().await,
        Some(Fault::Hold(until)) => drop(until.acquire().await),
        _ => {}
    }
    let (body, left_out) = match fault {
        Some(Fault::LeaveOut) => leave_out(&body),
        _ => (body, Value::Null),
    };
    let mut request = tap.http.request(method, format!("{upstream}{uri}")).body(body);
    for name in ["content-type", "x-amz-target", "authorization", "x-amz-date"] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value);
        }
    }
    let Ok(answer) = request.send().await else { return StatusCode::BAD_GATEWAY.into_response() };
    let (status, headers) = (answer.status(), answer.headers().clone());
    let Ok(body) = answer.bytes().await else { return StatusCode::BAD_GATEWAY.into_response() };
    match fault {
        Some(Fault::LoseAnswer) => return refusal(500, "InternalServerError"),
        Some(Fault::DoAndRefuse(status, code)) => return refusal(status, code),
        Some(Fault::DoAndReset) => return broken(),
        Some(Fault::KeepAnswer) => return std::future::pending().await,
        Some(Fault::LeaveOut) => return partly(&body, left_out),
        Some(Fault::HoldAnswer(until)) => drop(until.acquire().await),
        _ => {}
    }
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    for name in ["content-type", "x-amzn-errortype", "x-amz-crc32"] {
        if let Some(value) = headers.get(name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

/// DynamoDB and KMS name the call in a header; SES in the path.
fn call_name(headers: &HeaderMap, uri: &Uri) -> String {
    match headers.get("x-amz-target").and_then(|target| target.to_str().ok()) {
        Some(target) => target.rsplit('.').next().unwrap_or_default().to_owned(),
        None if uri.path() == "/v2/email/outbound-emails" => "SendEmail".to_owned(),
        None => uri.path().to_owned(),
    }
}

/// A transaction needs what each of its parts would need alone.
fn needed(call: &str, body: &Value) -> Vec<Permission> {
    match call {
        "SendEmail" => {
            let sent_under = body["ConfigurationSetName"].is_string().then_some("configuration-set");
            let on = |kind: &str| ("ses:SendEmail".to_owned(), kind.to_owned());
            ["identity"].into_iter().chain(sent_under).map(on).collect()
        }
        "Sign" | "GetPublicKey" => vec![(format!("kms:{call}"), String::new())],
        "TransactWriteItems" => {
            let parts = body["TransactItems"].as_array().into_iter().flatten().filter_map(Value::as_object);
            let parts = parts.flatten().map(|(part, body)| (part.as_str(), body));
            let action = |part| {
                if part == "ConditionCheck" { "ConditionCheckItem".to_owned() } else { format!("{part}Item") }
            };
            parts.flat_map(|(part, body)| on_rows(&action(part), body)).collect()
        }
        call => on_rows(call, body),
    }
}

fn on_rows(action: &str, body: &Value) -> Vec<Permission> {
    let mut kinds = BTreeSet::new();
    find_kinds(body, &mut kinds);
    kinds.into_iter().map(|kind| (format!("dynamodb:{action}"), kind)).collect()
}

/// The kinds of the rows whose keys stand anywhere in a request.
fn find_kinds(value: &Value, kinds: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(key) = members.get("pk").and_then(|pk| pk["S"].as_str()) {
                kinds.insert(key.split('#').next().unwrap_or_default().to_owned());
            }
            members.values().for_each(|member| find_kinds(member, kinds));
        }
        Value::Array(items) => items.iter().for_each(|item| find_kinds(item, kinds)),
        _ => {}
    }
}

/// A request for many rows of one table as one for the first of them, and what is left of it.
fn leave_out(body: &Bytes) -> (Bytes, Value) {
    let mut first: Value = serde_json::from_slice(body).expect("a request");
    let mut rest = first["RequestItems"].clone();
    let wanted = first["RequestItems"].as_object_mut().expect("tables").values_mut();
    for (wanted, left) in wanted.zip(rest.as_object_mut().expect("tables").values_mut()) {
        wanted["Keys"].as_array_mut().expect("keys").truncate(1);
        left["Keys"].as_array_mut().expect("keys").remove(0);
    }
    rest.as_object_mut().expect("tables").retain(|_, left| left["Keys"] != json!([]));
    (first.to_string().into(), rest)
}

fn partly(answer: &Bytes, left_out: Value) -> Response {
    let mut answer: Value = serde_json::from_slice(answer).expect("an answer");
    answer["UnprocessedKeys"] = left_out;
    ([("content-type", "application/x-amz-json-1.0")], answer.to_string()).into_response()
}

/// A head that promises more than comes: the connection cannot be used any more.
fn broken() -> Response {
    Body::new(Limited::new(Full::new(Bytes::from_static(b"{}")), 1)).into_response()
}

fn cancellation(code: &str) -> Response {
    let exception = "TransactionCanceledException";
    let reasons = format!(r#"[{{"Code":"{code}","Message":"busy"}},{{"Code":"None"}}]"#);
    let body = format!(
        r#"{{"__type":"{exception}","Message":"as the test asked","CancellationReasons":{reasons}}}"#
    );
    (StatusCode::BAD_REQUEST, [("x-amzn-errortype", exception)], body).into_response()
}

fn refusal(status: u16, code: &str) -> Response {
    let body = format!(r#"{{"__type":"{code}","message":"as the test asked"}}"#);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [("x-amzn-errortype", code.to_owned())], body).into_response()
}
