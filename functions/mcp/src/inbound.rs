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
use rmcp::ErrorData;
use rmcp::model::{ErrorCode, ProtocolVersion};
use sayso_model::{Agent, AgentKey, ProfileViolation, members};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::Deps;
use crate::answer::{incident, internal_error};
use crate::unauthorized::Unauthorized;

/// The largest body that is read. Arguments over their own limit of 64 KiB get an answer that says so, up to here.
pub(crate) const MAX_BYTES: usize = 1024 * 1024;

const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;

/// Where a request of version 2026-07-28 or later says its version, in `params._meta`.
const VERSION_META: &str = "io.modelcontextprotocol/protocolVersion";

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
    // rmcp refuses every method but POST.
    if parts.method != Method::POST {
        return next.run(Request::from_parts(parts, body)).await;
    }
    let Ok(body) = to_bytes(body, MAX_BYTES).await else {
        let most = format!("the body is larger than {MAX_BYTES} bytes");
        return refuse(StatusCode::PAYLOAD_TOO_LARGE, None, INVALID_REQUEST, &most);
    };
    if !is_json(&parts.headers) {
        let problem = "the body must be JSON: send the header Content-Type: application/json";
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, None, INVALID_REQUEST, problem);
    }
    let (envelope, arguments) = match separate(&body, &parts.headers) {
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
    let refuse = Unauthorized::answer;
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
            let body = Json(json!({"jsonrpc": "2.0", "error": error}));
            Err((StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "5")], body).into_response())
        }
    }
}

fn accepts_events(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.into_iter().any(|value| value.contains("text/event-stream"))
}

/// Why a body is not a JSON-RPC request.
struct NotARequest {
    id: Option<Value>,
    code: i32,
    message: String,
    data: Option<Value>,
}

impl NotARequest {
    fn answer(self) -> Response {
        let Self { id, code, message, data } = self;
        answer(StatusCode::BAD_REQUEST, id, ErrorData::new(ErrorCode(code), message, data))
    }
}

/// The envelope with empty arguments, and the arguments.
fn separate(body: &[u8], headers: &HeaderMap) -> Result<(String, String), NotARequest> {
    let refuse = |code, message: String| NotARequest { id: None, code, message, data: None };
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
    let id = find(&envelope, "id").and_then(|at| serde_json::from_str(envelope[at].1.get()).ok());
    let id = id.filter(is_id);
    let refuse = |message: String| NotARequest { id: id.clone(), code: INVALID_REQUEST, message, data: None };
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
    // The rest is small and flat. If a parser with a recursion limit cannot read it, it is not a message.
    let message: Value = serde_json::from_str(&envelope).map_err(|e| refuse(format!("the body: {e}")))?;
    is_message(&message).map_err(|problem| refuse(problem.to_owned()))?;
    match unknown_version(headers, &message) {
        None => Ok((envelope, arguments)),
        Some(unknown) => Err(NotARequest {
            id,
            code: unknown.code.0,
            message: unknown.message.into_owned(),
            data: unknown.data,
        }),
    }
}

/// JSON-RPC 2.0, section 4, as MCP narrows it: an id is a text or an integer, and never null.
fn is_message(message: &Value) -> Result<(), &'static str> {
    if message["jsonrpc"] != "2.0" {
        return Err("the body is no JSON-RPC message: it needs \"jsonrpc\": \"2.0\"");
    }
    if message.get("id").is_some_and(|id| !is_id(id)) {
        return Err("`id` must be a text or an integer");
    }
    match message.get("method") {
        Some(Value::String(_)) => Ok(()),
        Some(_) => Err("`method` must be a text"),
        None if message.get("result").or(message.get("error")).is_some() => Ok(()),
        None => Err("the body is no JSON-RPC request: it needs a `method`"),
    }
}

fn is_id(id: &Value) -> bool {
    id.is_string() || id.is_i64() || id.is_u64() || id.as_f64().is_some_and(|id| id.fract() == 0.0)
}

/// The error for an unknown version that only the header names. rmcp would answer in plain text.
fn unknown_version(headers: &HeaderMap, message: &Value) -> Option<ErrorData> {
    let version = headers.get("mcp-protocol-version")?.to_str().unwrap_or_default();
    let known = ProtocolVersion::KNOWN_VERSIONS;
    let also_in_the_body =
        message.pointer("/params/_meta").is_some_and(|meta| meta.get(VERSION_META).is_some());
    if also_in_the_body || known.iter().any(|known| known.as_str() == version) {
        return None;
    }
    let data = json!({"requested": version, "supported": known});
    Some(ErrorData::new(ErrorCode::UNSUPPORTED_PROTOCOL_VERSION, "Unsupported protocol version", Some(data)))
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// The method's name, unescaped: `tools\/call` is `tools/call`.
fn method_name(raw: &RawValue) -> String {
    serde_json::from_str(raw.get()).unwrap_or_default()
}

fn object(members: &[(String, &RawValue)]) -> String {
    let member = |(key, value): &(String, &RawValue)| format!("{}:{}", json!(key), value.get());
    format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
}

fn refuse(status: StatusCode, id: Option<Value>, code: i32, message: &str) -> Response {
    answer(status, id, ErrorData::new(ErrorCode(code), message.to_owned(), None))
}

/// Without an id, the answer has no member `id`: no version of MCP allows a null id.
fn answer(status: StatusCode, id: Option<Value>, error: ErrorData) -> Response {
    let mut body = json!({"jsonrpc": "2.0", "error": error});
    if let Some(id) = id {
        body["id"] = id;
    }
    (status, Json(body)).into_response()
}
