//! Servers at a URL that do what a library's does not.

use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::Upstream;
use crate::relay::Channel;
use crate::relay::message::Message;

/// What a server was asked.
#[derive(Debug)]
struct Asked {
    method: Method,
    headers: HeaderMap,
    body: Value,
}

impl Asked {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("ASCII"))
    }

    fn is(&self, method: &str) -> bool {
        self.body["method"] == method
    }
}

type Log = Arc<Mutex<Vec<Asked>>>;
type Answer = (u16, &'static [(&'static str, &'static str)], String);

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
const EVENTS: &[(&str, &str)] = &[("content-type", "text/event-stream")];
const NOTHING: Answer = (202, &[], String::new());

/// A server that answers by a script, until the test ends; its URL, and what it was asked.
async fn scripted(script: impl Fn(&Asked) -> Answer + Clone + Send + Sync + 'static) -> (String, Log) {
    let log = Log::default();
    let asked = Arc::clone(&log);
    let answer = async move |method: Method, headers: HeaderMap, body: Bytes| {
        let body = serde_json::from_slice(&body).unwrap_or_default();
        let request = Asked { method, headers, body };
        let (status, headers, body) = script(&request);
        asked.lock().expect("a lock").push(request);
        let response = headers
            .iter()
            .fold(Response::builder().status(status), |it, (name, value)| it.header(*name, *value));
        response.body(Body::from(body)).expect("a response")
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/mcp/", listener.local_addr().expect("an address"));
    let router = axum::Router::new().fallback(move |method, headers, body| {
        let answer = answer.clone();
        async move { answer(method, headers, body).await }
    });
    tokio::spawn(async { axum::serve(listener, router).await });
    (url, log)
}

async fn open(url: &str) -> (Upstream, Channel) {
    let upstream = Upstream::url(url, Some("Bearer secret")).expect("a URL");
    assert!(!format!("{upstream:?}").contains("secret"));
    assert_eq!(upstream.name(), url);
    let line = upstream.open().await.expect("a line");
    (upstream, line)
}

async fn send(line: &Channel, message: &Value) {
    line.to.send(Message::parse(&message.to_string()).expect("a message")).await.expect("it listens");
}

async fn received(line: &mut Channel) -> Value {
    let message = line.from.recv().await.expect("a message");
    serde_json::from_str(&message.to_line()).expect("JSON")
}

fn result(asked: &Asked, result: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": asked.body["id"], "result": result}).to_string()
}

fn modern(id: u32, method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28", "progressToken": 5});
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

fn legacy(id: u32, method: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": {}})
}

/// A server with sessions, whose other answers are a script's.
fn session(asked: &Asked, script: impl Fn(&Asked) -> Answer) -> Answer {
    match asked.body["method"].as_str() {
        Some("initialize") => {
            let headers = &[("content-type", "application/json; charset=utf-8"), ("mcp-session-id", "s-1")];
            (200, headers, result(asked, &json!({"protocolVersion": "2025-06-18"})))
        }
        _ => script(asked),
    }
}

#[tokio::test]
async fn a_session_and_its_version_are_said_until_it_is_deleted() {
    let (url, log) = scripted(|asked| {
        session(asked, |asked| match asked.method {
            Method::GET => match asked.header("last-event-id") {
                "" => {
                    let stray = r#"data: {"id":9,"result":{}}"#;
                    (200, EVENTS, format!("{stray}\n\nid: 7\nretry: 0\ndata: {{\"method\":\"told\"}}\n\n"))
                }
                "7" => (200, EVENTS, "id: 8\ndata: {\"method\":\"told again\"}\n\n".to_owned()),
                _ => (405, &[], String::new()),
            },
            _ if asked.is("ping") => (200, JSON, result(asked, &json!({}))),
            _ => NOTHING,
        })
    })
    .await;
    let (upstream, mut line) = open(&url).await;
    send(&line, &legacy(1, "initialize")).await;
    assert_eq!(received(&mut line).await["result"]["protocolVersion"], "2025-06-18");
    send(&line, &json!({"method": "notifications/initialized"})).await;
    for message in ["told", "told again"] {
        assert_eq!(received(&mut line).await["method"], message);
    }
    send(&line, &legacy(2, "ping")).await;
    assert_eq!(received(&mut line).await["id"], 2);
    send(&line, &json!({"id": 3, "result": {}})).await;
    drop(line);
    upstream.closed().await;
    let log = log.lock().expect("a lock");
    assert!(log.iter().all(|asked| asked.header("authorization") == "Bearer secret"));
    let (first, rest) = log.split_first().expect("requests");
    assert_eq!((first.header("mcp-session-id"), first.header("mcp-protocol-version")), ("", ""));
    assert_eq!(first.header("accept"), "application/json, text/event-stream");
    for asked in rest {
        let said = (asked.header("mcp-session-id"), asked.header("mcp-protocol-version"));
        assert_eq!(said, ("s-1", "2025-06-18"), "{asked:?}");
        assert_eq!(asked.header("mcp-method"), "");
    }
    assert_eq!(log.last().expect("a request").method, Method::DELETE);
}

#[tokio::test]
async fn a_session_has_one_stream_however_often_a_client_says_that_it_begins() {
    let (url, log) = scripted(|asked| {
        session(asked, |asked| match asked.method {
            Method::GET if asked.header("last-event-id").is_empty() => {
                (200, EVENTS, "retry: 0\nid: 7\ndata: {\"method\":\"told\"}\n\n".to_owned())
            }
            Method::GET => (405, &[], String::new()),
            _ if asked.is("ping") => (200, JSON, result(asked, &json!({}))),
            _ => NOTHING,
        })
    })
    .await;
    let (upstream, mut line) = open(&url).await;
    send(&line, &legacy(1, "initialize")).await;
    received(&mut line).await;
    send(&line, &json!({"method": "notifications/initialized"})).await;
    assert_eq!(received(&mut line).await["method"], "told");
    for id in 2..10 {
        send(&line, &json!({"method": "notifications/initialized"})).await;
        send(&line, &legacy(id, "ping")).await;
        assert_eq!(received(&mut line).await["id"], id);
    }
    drop(line);
    upstream.closed().await;
    let begun = |asked: &&Asked| asked.method == Method::GET && asked.header("last-event-id").is_empty();
    assert_eq!(log.lock().expect("a lock").iter().filter(begun).count(), 1);
}

#[tokio::test]
async fn a_request_without_a_session_repeats_itself_in_headers() {
    let (url, log) = scripted(|asked| (200, JSON, result(asked, &json!({})))).await;
    let (_, mut line) = open(&url).await;
    for (id, (method, params, name)) in [
        ("tools/list", json!({}), ""),
        ("tools/call", json!({"name": "drop table"}), "drop table"),
        ("resources/read", json!({"uri": "a://é"}), "=?base64?YTovL8Op?="),
        ("prompts/get", json!({"name": " p"}), "=?base64?IHA=?="),
    ]
    .into_iter()
    .enumerate()
    {
        send(&line, &modern(u32::try_from(id).expect("small"), method, params)).await;
        assert_eq!(received(&mut line).await["id"], id);
        let asked = log.lock().expect("a lock").pop().expect("a request");
        let said =
            ["mcp-protocol-version", "mcp-method", "mcp-name", "mcp-session-id"].map(|it| asked.header(it));
        assert_eq!(said, ["2026-07-28", method, name, ""]);
    }
}

#[tokio::test]
async fn a_call_is_sent_once_and_with_its_annotated_headers_once_the_tools_were_listed() {
    let (url, log) = scripted(|asked| {
        let schema = json!({"properties": {"a": {"type": "string", "x-mcp-header": "A"}}});
        if asked.is("tools/list") {
            let second = asked.body["params"]["cursor"] == "2";
            let tools = if second { json!([{"name": "t", "inputSchema": schema}]) } else { json!([]) };
            let page =
                if second { json!({"tools": tools}) } else { json!({"tools": tools, "nextCursor": "2"}) };
            return (200, EVENTS, format!("data: {}\n\n", result(asked, &page)));
        }
        match asked.header("mcp-param-a") {
            "x" => (200, JSON, result(asked, &json!({}))),
            _ => (
                400,
                JSON,
                json!({"id": asked.body["id"], "error": {"code": -32020, "message": "m"}}).to_string(),
            ),
        }
    })
    .await;
    let (_, mut line) = open(&url).await;
    let call = modern(1, "tools/call", json!({"name": "t", "arguments": {"a": "x"}}));
    // The server says that it did not run the call. It might say so of one that it has run.
    send(&line, &call).await;
    assert_eq!(received(&mut line).await["error"]["code"], -32020);
    send(&line, &modern(2, "tools/list", json!({"cursor": "2"}))).await;
    received(&mut line).await;
    send(&line, &call).await;
    assert_eq!(received(&mut line).await["result"], json!({}));
    let log = log.lock().expect("a lock");
    assert_eq!(log.iter().filter(|asked| asked.is("tools/call")).count(), 2);
}

#[tokio::test]
async fn a_server_that_is_at_another_address_is_named_at_the_start_and_without_what_may_be_a_credential() {
    let moved: &[(&str, &str)] = &[("location", "/mcp/?token=secret#x")];
    let (url, log) = scripted(|_| (307, moved, String::new())).await;
    let upstream = Upstream::url(&format!("{url}/mcp"), None).expect("a URL");
    let problem = upstream.look().await.expect_err("it is elsewhere").to_string();
    assert!(problem.contains("--upstream http://127.0.0.1:") && problem.contains("/mcp/`"), "{problem}");
    assert!(!problem.contains("secret"), "{problem}");
    assert_eq!(log.lock().expect("a lock").len(), 1, "it is not followed");
    let (url, _) = scripted(|_| NOTHING).await;
    assert!(Upstream::url(&url, None).expect("a URL").look().await.is_ok());
}

#[tokio::test]
async fn what_a_server_answers_beside_the_protocol_is_an_error_and_no_more() {
    let (elsewhere, never) = scripted(|_| NOTHING).await;
    let elsewhere: &'static str = elsewhere.leak();
    let redirect: &'static [(&str, &str)] = vec![("location", elsewhere)].leak();
    let rows: [(Answer, &str); 9] = [
        ((307, redirect, String::new()), "HTTP status 307): give `--upstream http://127.0.0.1:"),
        ((401, &[("www-authenticate", "Bearer")], "no".to_owned()), "HTTP status 401"),
        ((500, JSON, r#"{"secret":"of the server"}"#.to_owned()), "HTTP status 500"),
        ((400, JSON, r#"{"id":8,"error":{"code":1,"message":"of another"}}"#.to_owned()), "HTTP status 400"),
        (
            (400, JSON, r#"{"id":null,"error":{"code":1,"message":"its own words"}}"#.to_owned()),
            "its own words",
        ),
        ((200, JSON, "[]".to_owned()), "not a JSON-RPC answer"),
        ((200, JSON, r#"{"id":8,"result":{}}"#.to_owned()), "not a JSON-RPC answer"),
        ((202, &[], String::new()), "not a JSON-RPC answer"),
        ((200, EVENTS, "data: {\"id\":8,\"result\":{}}\n\n".to_owned()), "may or may not have run"),
    ];
    for (answer, expected) in rows {
        let (url, _) = scripted(move |_| answer.clone()).await;
        let (_, mut line) = open(&url).await;
        send(&line, &modern(1, "tools/call", json!({"name": "t"}))).await;
        let error = received(&mut line).await;
        assert_eq!(error["id"], 1);
        let message = error["error"]["message"].as_str().expect("a text");
        assert!(message.contains(expected), "{message} {expected}");
        assert!(!message.contains("secret"), "{message}");
    }
    assert!(never.lock().expect("a lock").is_empty());
    // Nobody listens there any more.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let (_, mut line) = open(&url).await;
    send(&line, &modern(1, "tools/call", json!({"name": "t"}))).await;
    let error = received(&mut line).await;
    assert!(error.to_string().contains("nothing was sent"), "{error}");
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_resumed_where_it_was() {
    let (url, log) = scripted(|asked| {
        session(asked, |asked| match (&asked.method, asked.header("last-event-id")) {
            (&Method::POST, _) => (200, EVENTS, "retry: 0\nid: a\ndata:\n\n".to_owned()),
            (_, "a") => (200, EVENTS, "retry: 0\nid: b\ndata: {\"method\":\"half\"}\n\n".to_owned()),
            _ => (200, EVENTS, "id: c\ndata: {\"id\":2,\ndata: \"result\":{}}\n\n".to_owned()),
        })
    })
    .await;
    let (_, mut line) = open(&url).await;
    send(&line, &legacy(1, "initialize")).await;
    received(&mut line).await;
    send(&line, &legacy(2, "tools/call")).await;
    assert_eq!(received(&mut line).await["method"], "half");
    assert_eq!(received(&mut line).await["id"], 2);
    let posts = log.lock().expect("a lock").iter().filter(|asked| asked.is("tools/call")).count();
    assert_eq!(posts, 1);
}

#[tokio::test]
async fn a_session_that_the_server_has_ended_ends_the_conversation() {
    let (url, _) = scripted(|asked| session(asked, |_| (404, &[], String::new()))).await;
    let (upstream, mut line) = open(&url).await;
    send(&line, &legacy(1, "initialize")).await;
    received(&mut line).await;
    send(&line, &legacy(2, "tools/list")).await;
    let error = received(&mut line).await.to_string();
    assert!(error.contains("`initialize`"), "{error}");
    assert!(line.from.recv().await.is_none());
    upstream.closed().await;
}

#[tokio::test]
async fn only_a_url_that_nobody_can_listen_in_on_is_a_server() {
    for (url, authorization) in [
        ("http://example.com/mcp", None),
        ("https://user:password@example.com", None),
        ("https://example.com/?key=secret", None),
        ("ftp://127.0.0.1", None),
        ("https://example.com", Some("secret\r\nHost: x")),
    ] {
        let problem = Upstream::url(url, authorization).expect_err(url).to_string();
        assert!(!problem.contains("secret") && !problem.contains("password"), "{problem}");
    }
}
