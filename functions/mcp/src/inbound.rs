//! What stands in front of rmcp: who is calling, and the call's *raw* text.
//!
//! rmcp hands a tool its arguments as a parsed map, in which a duplicate key is gone and 2^53+1 is 2^53. So this
//! layer takes the text of `params.arguments` out of the body, keeps it for the tool to parse, and gives rmcp `{}` in
//! its place. It also says in JSON-RPC what rmcp says in plain text.

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use sayso_model::{Agent, AgentKey, ProfileViolation, members};
use serde_json::json;
use serde_json::value::RawValue;

use crate::Deps;
use crate::answer::{incident, internal_error};
use crate::unauthorized::Unauthorized;

/// The largest body that is read. Arguments over their own limit of 64 KiB get an answer that says so, up to here.
pub(crate) const MOST_BYTES: usize = 1024 * 1024;

const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;

/// Who calls, in the request's extensions.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) agent: Agent,
    /// Whether progress may be sent: it turns the answer into a stream of events.
    pub(crate) reads_events: bool,
}

/// The raw text of `params.arguments`, in the request's extensions.
#[derive(Clone)]
pub(crate) struct RawArguments(pub(crate) String);

/// Authenticates, then separates the arguments from the envelope.
pub(crate) async fn check(State(deps): State<Deps>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let agent = match authenticate(&deps, &parts.headers).await {
        Ok(agent) => agent,
        Err(refused) => return refused,
    };
    let reads_events = accepts_events(&parts.headers);
    parts.extensions.insert(Caller { agent, reads_events });
    // Any method but POST is rmcp's to refuse.
    if parts.method != Method::POST {
        return next.run(Request::from_parts(parts, body)).await;
    }
    let Ok(body) = to_bytes(body, MOST_BYTES).await else {
        let most = format!("the body is larger than {MOST_BYTES} bytes");
        return refuse(StatusCode::PAYLOAD_TOO_LARGE, None, INVALID_REQUEST, &most);
    };
    let (envelope, arguments) = match separate(&body) {
        Ok(separated) => separated,
        Err(refusal) => return refusal.answer(),
    };
    parts.extensions.insert(RawArguments(arguments));
    // rmcp refuses a client that does not name both types; what such a client gets is always JSON.
    parts.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(envelope.len()));
    next.run(Request::from_parts(parts, Body::from(envelope))).await
}

async fn authenticate(deps: &Deps, headers: &HeaderMap) -> Result<Agent, Response> {
    let refuse = |why: Unauthorized| why.answer(headers);
    let value = headers.get(header::AUTHORIZATION).ok_or_else(|| refuse(Unauthorized::NoKey))?;
    let credentials = value.to_str().ok().and_then(|value| value.split_once(' '));
    let key = credentials
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .and_then(|(_, key)| AgentKey::parse(key.trim()).ok())
        .ok_or_else(|| refuse(Unauthorized::NoKey))?;
    match deps.store.agent(key.hash(), deps.clock.now()).await {
        Ok(Some(agent)) => Ok(agent),
        Ok(None) => Err(refuse(Unauthorized::UnknownKey)),
        Err(failure) => {
            let error = internal_error(&incident(&failure));
            let body = Json(json!({"jsonrpc": "2.0", "id": null, "error": error}));
            Err((StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "5")], body).into_response())
        }
    }
}

fn accepts_events(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.into_iter().any(|value| value.contains("text/event-stream"))
}

/// A body that is no JSON-RPC request.
struct NotARequest {
    id: Option<Box<RawValue>>,
    code: i32,
    message: String,
}

impl NotARequest {
    fn answer(self) -> Response {
        refuse(StatusCode::BAD_REQUEST, self.id.as_deref(), self.code, &self.message)
    }
}

/// The envelope with empty arguments, and the arguments.
fn separate(body: &[u8]) -> Result<(String, String), NotARequest> {
    let refuse = |code, message: String| NotARequest { id: None, code, message };
    let text =
        std::str::from_utf8(body).map_err(|_| refuse(PARSE_ERROR, "the body is not UTF-8".to_owned()))?;
    if text.trim_start().starts_with('[') {
        return Err(refuse(
            INVALID_REQUEST,
            "batches are not supported: send one message a request".to_owned(),
        ));
    }
    let mut envelope = members(text).map_err(|e| match &e {
        ProfileViolation::NotJson(_) => refuse(PARSE_ERROR, format!("the body: {e}")),
        _ => refuse(INVALID_REQUEST, format!("the body: {e}")),
    })?;
    let find =
        |envelope: &[(String, &RawValue)], key: &str| envelope.iter().position(|(name, _)| name == key);
    let id = find(&envelope, "id").map(|at| envelope[at].1.to_owned());
    let refuse = |message: String| NotARequest { id: id.clone(), code: INVALID_REQUEST, message };
    let is_call = find(&envelope, "method").is_some_and(|at| method_name(envelope[at].1) == "tools/call");
    let params_at = find(&envelope, "params").filter(|_| is_call);
    let mut arguments = "{}".to_owned();
    let mut rebuilt = None;
    if let Some(at) = params_at {
        let mut params = members(envelope[at].1.get()).map_err(|e| refuse(format!("params: {e}")))?;
        let empty = serde_json::from_str("{}").unwrap_or(RawValue::NULL);
        if let Some(position) = find(&params, "arguments").filter(|at| params[*at].1.get() != "null") {
            params[position].1.get().clone_into(&mut arguments);
            params[position].1 = empty;
        }
        rebuilt = Some((at, RawValue::from_string(object(&params)).map_err(|e| refuse(e.to_string()))?));
    }
    if let Some((at, params)) = &rebuilt {
        envelope[*at].1 = params;
    }
    let envelope = object(&envelope);
    // What is left is small and flat: a parser with a recursion limit reads it, or it is no message.
    serde_json::from_str::<serde_json::Value>(&envelope).map_err(|e| refuse(format!("the body: {e}")))?;
    Ok((envelope, arguments))
}

/// The method, however its text is escaped: `tools\/call` is the same.
fn method_name(raw: &RawValue) -> String {
    serde_json::from_str(raw.get()).unwrap_or_default()
}

fn object(members: &[(String, &RawValue)]) -> String {
    let member = |(key, value): &(String, &RawValue)| format!("{}:{}", json!(key), value.get());
    format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
}

fn refuse(status: StatusCode, id: Option<&RawValue>, code: i32, message: &str) -> Response {
    let body = json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}});
    (status, Json(body)).into_response()
}
