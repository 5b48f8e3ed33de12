//! The agents that reach the gate over streamable HTTP at `/mcp`, in both eras of the protocol.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{ALLOW, CONTENT_TYPE, HOST, ORIGIN};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use tokio::net::TcpListener;

use super::opener::Opener;
use super::reply::{json, reads_events, refuse};
use super::sessions::Sessions;
use super::stateless::Stateless;
use crate::relay::message::{Kind, Message, MessageError, code};
use crate::relay::upstream::Upstream;
use crate::relay::{Channel, MAX_BYTES, SESSION_HEADER, VERSION_HEADER, VERSION_META};

/// The versions that begin with `initialize`. In every other version, each request names its version.
const LEGACY_VERSIONS: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

/// Serves until the listener fails or this is dropped. Then every conversation is closed. `converse` gets the client's and the
/// server's end of each conversation. Each session has one, and all requests without a session share one.
pub(crate) async fn serve<Converse, Conversation>(
    listener: TcpListener,
    converse: Converse,
    upstream: Upstream,
    allowed_hosts: Vec<String>,
) -> io::Result<()>
where
    Converse: Fn(Channel, Channel) -> Conversation + Send + Sync + 'static,
    Conversation: Future<Output = ()> + Send + 'static,
{
    let start = move |client: Channel, server: Channel| _ = tokio::spawn(converse(client, server));
    let opener = Arc::new(Opener::new(upstream, start));
    let front = Arc::new(Front {
        sessions: Sessions::new(Arc::clone(&opener)),
        stateless: Stateless::new(opener),
        allowed_hosts,
    });
    // Connections outlive the listener, so they are closed separately.
    let _closing = Closing(Arc::clone(&front));
    let router = Router::new().route("/mcp", any(answer)).route("/mcp/", any(answer)).with_state(front);
    axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>()).await
}

struct Front {
    sessions: Sessions,
    stateless: Stateless,
    allowed_hosts: Vec<String>,
}

struct Closing(Arc<Front>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.sessions.close();
        self.0.stateless.close();
    }
}

async fn answer(State(front): State<Arc<Front>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if let Err(problem) = comes_from_no_page(&parts.headers, &parts.uri, &front.allowed_hosts) {
        return refuse(StatusCode::FORBIDDEN, None, code::INVALID_REQUEST, problem);
    }
    match (parts.method, parts.headers.get(SESSION_HEADER)) {
        (Method::POST, _) => {}
        (Method::GET, Some(session)) => return front.sessions.listen(session),
        (Method::DELETE, Some(session)) => return front.sessions.delete(session),
        // Without a session there is nothing to listen to and nothing to end.
        _ => return (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "POST")]).into_response(),
    }
    if !is_json(&parts.headers) {
        let problem = "the body must be JSON: send `Content-Type: application/json`";
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, None, code::INVALID_REQUEST, problem);
    }
    let Ok(bytes) = axum::body::to_bytes(body, MAX_BYTES).await else {
        let problem = "the message is longer than 16 MiB: send less at once";
        return refuse(StatusCode::PAYLOAD_TOO_LARGE, None, code::INVALID_REQUEST, problem);
    };
    let text = str::from_utf8(&bytes).map_err(|_| MessageError {
        id: None,
        code: code::PARSE_ERROR,
        problem: "the message is not UTF-8".to_owned(),
    });
    let message = match text.and_then(Message::parse) {
        Ok(message) => message,
        Err(refusal) => return json(StatusCode::BAD_REQUEST, &refusal.answer()),
    };
    if is_modern(&parts.headers, &message) {
        return front.stateless.answer(&parts.headers, &message).await;
    }
    match (parts.headers.get(SESSION_HEADER), message.kind().clone()) {
        (Some(session), _) => front.sessions.answer(session, message, reads_events(&parts.headers)).await,
        (None, Kind::Request { id, method }) if method == "initialize" => {
            let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
            front.sessions.initialize(id, message, peer, reads_events(&parts.headers)).await
        }
        (None, _) => {
            let problem = "there is no session: start one with `initialize` and send its `Mcp-Session-Id`";
            refuse(StatusCode::BAD_REQUEST, None, code::INVALID_REQUEST, problem)
        }
    }
}

/// Refuses requests from a web page, also if the page's host name resolves to this machine.
fn comes_from_no_page(headers: &HeaderMap, uri: &Uri, allowed: &[String]) -> Result<(), &'static str> {
    if headers.contains_key(ORIGIN) {
        return Err("requests with an `Origin` header are refused: they come from a web page");
    }
    let mut hosts = headers.get_all(HOST).iter().map(|host| host.to_str().unwrap_or_default());
    let host = hosts.next().unwrap_or_default();
    let fits = |host: &str| is_loopback(host) || allowed.iter().any(|it| is_host(host, it));
    if fits(host) && hosts.next().is_none() && uri.authority().is_none_or(|it| fits(it.as_str())) {
        return Ok(());
    }
    Err("this `Host` is not allowed: add it with --allowed-host")
}

fn is_loopback(host: &str) -> bool {
    ["127.0.0.1", "localhost", "[::1]"].iter().any(|loopback| is_host(host, loopback))
}

/// Whether a host is the allowed one, on the same port, or on any port if that names none.
fn is_host(host: &str, allowed: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    host.eq_ignore_ascii_case(allowed) || name.eq_ignore_ascii_case(allowed)
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

fn is_modern(headers: &HeaderMap, message: &Message) -> bool {
    let legacy = |version: &str| LEGACY_VERSIONS.contains(&version);
    message.at(&["params", "_meta", VERSION_META]).is_some()
        || headers.get(VERSION_HEADER).is_some_and(|version| !version.to_str().is_ok_and(legacy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_no_page_can_send_is_served() {
        for (host, origin, allowed, served) in [
            ("127.0.0.1:8080", None, "", true),
            ("localhost", None, "", true),
            ("[::1]:1", None, "", true),
            ("LOCALHOST:1", None, "", true),
            ("gate.internal:8080", None, "gate.internal", true),
            ("gate.internal:8080", None, "gate.internal:8080", true),
            ("gate.internal:8081", None, "gate.internal:8080", false),
            ("evil.example", None, "gate.internal", false),
            ("localhost.evil.example", None, "", false),
            ("127.0.0.1.evil.example:8080", None, "", false),
            ("localhost:evil.example", None, "", false),
            ("", None, "", false),
            ("localhost", Some("http://localhost"), "", false),
            ("localhost", Some("null"), "", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, host.parse().expect("a value"));
            if let Some(origin) = origin {
                headers.insert(ORIGIN, origin.parse().expect("a value"));
            }
            let allowed: Vec<_> = Some(allowed.to_owned()).filter(|it| !it.is_empty()).into_iter().collect();
            let outcome = comes_from_no_page(&headers, &Uri::from_static("/mcp"), &allowed);
            assert_eq!(outcome.is_ok(), served, "{host} {origin:?} {allowed:?}");
        }
        let elsewhere = Uri::from_static("http://evil.example/mcp");
        let headers = HeaderMap::from_iter([(HOST, "localhost".parse().expect("a value"))]);
        assert!(comes_from_no_page(&headers, &elsewhere, &[]).is_err());
        assert!(comes_from_no_page(&HeaderMap::new(), &Uri::from_static("/mcp"), &[]).is_err());
    }
}
