//! Clients over HTTP that are up to no good, or gone; and servers that are.

use std::sync::LazyLock;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};

use super::{over_http, server, serving};
use crate::relay::MAX_BYTES;
use crate::relay::upstream::Upstream;

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"sampling":{}},"clientInfo":{"name":"c","version":"1"}}}"#;

fn headers(of: &[(&'static str, &str)]) -> HeaderMap {
    let header = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"))
    };
    of.iter().map(header).collect()
}

/// One that keeps no connection: a test has a runtime of its own.
static CLIENT: LazyLock<Client> = LazyLock::new(|| {
    Client::builder().no_proxy().tls_certs_only([]).pool_max_idle_per_host(0).build().expect("a client")
});

fn post(url: &str, of: &[(&'static str, &str)], body: impl Into<String>) -> RequestBuilder {
    let request = CLIENT.post(url).header("content-type", "application/json").headers(headers(of));
    request.body(body.into())
}

/// The status and the error's code, if there is one.
async fn outcome(request: RequestBuilder) -> (u16, Option<i64>) {
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    let body: Value = serde_json::from_str(&response.text().await.expect("a body")).unwrap_or_default();
    (status, body["error"]["code"].as_i64())
}

fn modern(id: &Value, method: &str, mut params: Value) -> Value {
    let version = json!("2026-07-28");
    let meta = params["_meta"].as_object().cloned().unwrap_or_default();
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    for (name, value) in meta {
        params["_meta"][name] = value;
    }
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

fn call(url: &str, id: &Value, tool: &str, meta: &Value) -> RequestBuilder {
    let body = modern(id, "tools/call", json!({"name": tool, "arguments": {}, "_meta": meta}));
    let repeated = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", tool)];
    post(url, &repeated, body.to_string())
}

async fn text(response: Response) -> String {
    let body: Value = serde_json::from_str(&response.text().await.expect("a body")).expect("JSON");
    body["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned()
}

/// The next message of a stream.
async fn event(response: &mut Response, rest: &mut String) -> Option<Value> {
    loop {
        if let Some((event, more)) = rest.split_once("\n\n") {
            let data = event.strip_prefix("data: ").map(|data| serde_json::from_str(data).expect("JSON"));
            *rest = more.to_owned();
            match data {
                Some(data) => return Some(data),
                None => continue,
            }
        }
        let chunk = response.chunk().await.expect("a stream")?;
        rest.push_str(str::from_utf8(&chunk).expect("UTF-8"));
    }
}

#[tokio::test]
async fn what_is_not_for_the_gate_is_refused() {
    let url = over_http(server::url().await).await;
    let long = format!(r#"{{"method":"{}"}}"#, "a".repeat(MAX_BYTES));
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    for (of, body, expected) in [
        (&[("origin", "http://127.0.0.1")][..], INITIALIZE, (403, Some(-32600))),
        (&[("host", "evil.example")], INITIALIZE, (403, Some(-32600))),
        (&[("content-type", "text/plain")], INITIALIZE, (415, Some(-32600))),
        (&[], &long, (413, Some(-32600))),
        (&[], "{", (400, Some(-32700))),
        (&[], "[]", (400, Some(-32600))),
        (&[], r#"{"id":1,"method":"initialize","method":"tools/call"}"#, (400, Some(-32600))),
        // Nothing but `initialize` begins a session.
        (&[], ping, (400, Some(-32600))),
        (&[], r#"{"id":1,"result":{}}"#, (400, Some(-32600))),
        (&[("mcp-session-id", "AAAA")], ping, (404, Some(-32600))),
        (&[("mcp-session-id", "é")], ping, (404, Some(-32600))),
        // A version without the metadata it asks for.
        (&[("mcp-protocol-version", "2026-07-28")], ping, (400, Some(-32602))),
        (&[("mcp-protocol-version", "nonsense")], ping, (400, Some(-32602))),
    ] {
        assert_eq!(outcome(post(&url, of, body)).await, expected, "{of:?} {}", &body[..body.len().min(80)]);
    }
    for (method, of, status) in [
        (Method::GET, &[][..], 405),
        (Method::DELETE, &[], 405),
        (Method::PUT, &[("mcp-session-id", "AAAA")], 405),
        (Method::GET, &[("mcp-session-id", "AAAA")], 404),
        (Method::DELETE, &[("mcp-session-id", "AAAA")], 404),
        (Method::GET, &[("origin", "null")], 403),
    ] {
        let (found, _) = outcome(CLIENT.request(method.clone(), &url).headers(headers(of))).await;
        assert_eq!(found, status, "{method} {of:?}");
    }
}

#[tokio::test]
async fn a_request_without_a_session_says_in_its_headers_what_it_says_in_its_body() {
    let url = over_http(server::command()).await;
    let version = ("mcp-protocol-version", "2026-07-28");
    let method = ("mcp-method", "tools/call");
    let name = ("mcp-name", "echo");
    let body = modern(&json!(1), "tools/call", json!({"name": "echo", "arguments": {}})).to_string();
    let twice = body.replace(r#""name":"echo""#, r#""name":"echo","name":"wait""#);
    let another = body.replace(r#""name":"echo""#, r#""name":"echo","Name":"wait""#);
    let no_capabilities = body.replace("clientCapabilities", "clientInfo");
    let unknown_version = body.replace("2026-07-28", "2099-01-01");
    let unknown_method = body.replace("tools/call", "no/such");
    let mismatch = Some(-32020);
    for (of, body, expected) in [
        (&[version, method, name][..], &body, (200, None)),
        (&[version, method, ("mcp-name", "=?base64?ZWNobw==?=")], &body, (200, None)),
        (&[method, name], &body, (400, mismatch)),
        (&[("mcp-protocol-version", "2025-11-25"), method, name], &body, (400, mismatch)),
        (&[version, name], &body, (400, mismatch)),
        (&[version, ("mcp-method", "tools/list"), name], &body, (400, mismatch)),
        (&[version, method], &body, (400, mismatch)),
        (&[version, method, ("mcp-name", "wait")], &body, (400, mismatch)),
        (&[version, method, ("mcp-name", "=?base64?*?=")], &body, (400, mismatch)),
        (&[version, method, name], &twice, (400, Some(-32600))),
        (&[version, method, name], &another, (400, Some(-32600))),
        (&[version, method, name], &no_capabilities, (400, Some(-32602))),
        (&[("mcp-protocol-version", "2099-01-01"), method, name], &unknown_version, (400, Some(-32022))),
        (&[version, ("mcp-method", "no/such")], &unknown_method, (404, Some(-32601))),
    ] {
        assert_eq!(outcome(post(&url, of, body)).await, expected, "{of:?} {body}");
    }
    // So do those of its arguments that the tool wants repeated.
    let region = |region: &Value| {
        let arguments = json!({"region": region});
        modern(&json!(1), "tools/call", json!({"name": "echo", "arguments": arguments})).to_string()
    };
    for (value, param, expected) in [
        (json!("eu"), Some("eu"), (200, None)),
        (json!("eu"), Some("=?base64?ZXU=?="), (200, None)),
        (json!("eu"), Some("us"), (400, mismatch)),
        (json!("eu"), Some("=?base64?*?="), (400, mismatch)),
        (json!("eu"), None, (400, mismatch)),
        (json!(null), Some("eu"), (400, mismatch)),
        (json!(null), None, (200, None)),
    ] {
        let param = param.map(|param| ("mcp-param-region", param));
        let of: Vec<_> = [version, method, name].into_iter().chain(param).collect();
        assert_eq!(outcome(post(&url, &of, region(&value))).await, expected, "{value} {param:?}");
    }
    // It would turn the conversation that all share into a session.
    let initialize = modern(&json!(1), "initialize", json!({})).to_string();
    for (of, body, expected) in [
        (&[version, ("mcp-method", "initialize")][..], initialize.as_str(), (404, Some(-32601))),
        (&[version], r#"{"id":"1","result":{}}"#, (400, Some(-32600))),
        (&[version], r#"{"method":"a"}"#, (400, Some(-32600))),
    ] {
        assert_eq!(outcome(post(&url, of, body)).await, expected, "{body}");
    }
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_its_own_request_and_no_other() {
    let url = over_http(server::command()).await;
    let mut streaming =
        call(&url, &json!("s"), "wait", &json!({"progressToken": "t"})).send().await.expect("a stream");
    let mut rest = String::new();
    let progress = event(&mut streaming, &mut rest).await.expect("an event");
    assert_eq!(progress["params"]["progressToken"], json!("t"), "{progress}");
    // Another cannot, by whatever name.
    for id in [json!(1), json!("1"), json!("s"), json!(2), json!("2")] {
        let cancel =
            json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
        let version = [("mcp-protocol-version", "2026-07-28")];
        assert_eq!(outcome(post(&url, &version, cancel.to_string())).await, (202, None));
    }
    let counted = call(&url, &json!(1), "waiting", &json!({})).send().await.expect("an answer");
    assert_eq!(text(counted).await, "0 of 1");
    drop(streaming);
    let counted = call(&url, &json!(1), "cancelled", &json!({})).send().await.expect("an answer");
    assert_eq!(text(counted).await, "1");
    // One that has not begun to be answered.
    let waiting = tokio::spawn(call(&url, &json!(1), "wait", &json!({})).send());
    while text(call(&url, &json!(2), "waiting", &json!({})).send().await.expect("an answer")).await
        != "1 of 2"
    {}
    waiting.abort();
    let counted = call(&url, &json!(1), "cancelled", &json!({})).send().await.expect("an answer");
    assert_eq!(text(counted).await, "2");
}

#[tokio::test]
async fn a_client_that_does_not_keep_up_misses_progress_and_not_its_answer() {
    let url = over_http(server::command()).await;
    let meta = json!({"progressToken": "t"});
    let mut flooded = call(&url, &json!("f"), "flood", &meta).send().await.expect("a stream");
    // This is answered when all that comes before the answer has come.
    let counted = call(&url, &json!(1), "waiting", &json!({})).send().await.expect("an answer");
    assert_eq!(text(counted).await, "0 of 1");
    let (mut rest, mut last) = (String::new(), Value::Null);
    while let Some(message) = event(&mut flooded, &mut rest).await {
        last = message;
    }
    assert_eq!(last["result"]["content"][0]["text"], json!("flooded"), "{last}");
}

#[tokio::test]
async fn a_server_that_dies_in_the_middle_is_reported_and_started_again() {
    let url = over_http(server::command()).await;
    let waiting = tokio::spawn(call(&url, &json!("w"), "wait", &json!({})).send());
    let counted = call(&url, &json!(1), "waiting", &json!({})).send().await.expect("an answer");
    assert_eq!(text(counted).await, "0 of 1");
    let died = call(&url, &json!("d"), "die", &json!({})).send().await.expect("an answer");
    for (response, id) in [(died, "d"), (waiting.await.expect("a task").expect("an answer"), "w")] {
        let body: Value = serde_json::from_str(&response.text().await.expect("a body")).expect("JSON");
        assert_eq!(body["id"], json!(id));
        assert!(
            body["error"]["message"].as_str().expect("a text").contains("may or may not have run"),
            "{body}"
        );
    }
    let echo = call(&url, &json!(1), "echo", &json!({})).send().await.expect("an answer");
    assert_eq!(text(echo).await, "{}");
}

async fn session(url: &str) -> String {
    let response = post(url, &[], INITIALIZE).send().await.expect("an answer");
    assert_eq!(response.status(), 200);
    let id = response.headers()["mcp-session-id"].to_str().expect("ASCII").to_owned();
    assert_eq!(id.len(), 43);
    let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    assert_eq!(outcome(post(url, &[("mcp-session-id", &id)], initialized)).await, (202, None));
    id
}

fn legacy_call(id: u32, tool: &str) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "arguments": {}}})
        .to_string()
}

#[tokio::test]
async fn an_answer_of_one_session_never_reaches_another() {
    let url = over_http(server::command()).await;
    let (a, b) = (session(&url).await, session(&url).await);
    let mut asked =
        post(&url, &[("mcp-session-id", &a)], legacy_call(2, "ask")).send().await.expect("a stream");
    let mut rest = String::new();
    let question = event(&mut asked, &mut rest).await.expect("a question");
    assert_eq!(question["method"], "sampling/createMessage");
    let answer = |text: &str| {
        let content = json!({"role": "assistant", "content": {"type": "text", "text": text}, "model": "m"});
        json!({"jsonrpc": "2.0", "id": question["id"], "result": content}).to_string()
    };
    assert_eq!(outcome(post(&url, &[("mcp-session-id", &b)], answer("from b"))).await, (202, None));
    assert_eq!(outcome(post(&url, &[("mcp-session-id", &a)], answer("from a"))).await, (202, None));
    let answered = event(&mut asked, &mut rest).await.expect("an answer").to_string();
    assert!(answered.contains("from a"), "{answered}");
    assert!(event(&mut asked, &mut rest).await.is_none());
}

#[tokio::test]
async fn a_session_ends_when_it_is_deleted_and_when_its_server_does() {
    let url = over_http(server::command()).await;
    let deleted = session(&url).await;
    let of = headers(&[("mcp-session-id", &deleted)]);
    let mut stream = CLIENT.get(&url).headers(of.clone()).send().await.expect("a stream");
    assert_eq!(stream.status(), 200);
    assert_eq!(outcome(CLIENT.get(&url).headers(of.clone())).await, (409, Some(-32600)));
    // What belongs to no request goes there, and the answer is JSON.
    let changed = post(&url, &[("mcp-session-id", &deleted)], legacy_call(2, "change"));
    assert_eq!(text(changed.send().await.expect("an answer")).await, "changed");
    let mut rest = String::new();
    let change = event(&mut stream, &mut rest).await.expect("a change");
    assert_eq!(change["method"], "notifications/tools/list_changed");
    // Some clients give every request one id: each gets its own answer.
    let waiting = tokio::spawn(post(&url, &[("mcp-session-id", &deleted)], legacy_call(3, "wait")).send());
    let counted = post(&url, &[("mcp-session-id", &deleted)], legacy_call(4, "waiting"));
    assert_eq!(text(counted.send().await.expect("an answer")).await, "0 of 1");
    let same = post(&url, &[("mcp-session-id", &deleted)], legacy_call(3, "waiting")).send().await;
    let same: Value = same.expect("an answer").json().await.expect("JSON");
    assert_eq!((&same["id"], &same["result"]["content"][0]["text"]), (&json!(3), &json!("0 of 1")));
    // A client that reads streams has its headers although nothing comes.
    let accept = ("accept", "application/json, text/event-stream");
    let streaming = post(&url, &[("mcp-session-id", &deleted), accept], legacy_call(3, "wait"));
    let streaming = streaming.send().await.expect("headers");
    assert_eq!(streaming.headers()["content-type"], "text/event-stream");
    drop(streaming);
    assert_eq!(CLIENT.delete(&url).headers(of).send().await.expect("an answer").status(), 204);
    assert!(event(&mut stream, &mut rest).await.is_none());
    assert_eq!(waiting.await.expect("a task").expect("an answer").status(), 200);

    let died = session(&url).await;
    let dying = post(&url, &[("mcp-session-id", &died)], legacy_call(2, "die"));
    assert_eq!(outcome(dying).await, (200, Some(-32603)));
    for id in [&deleted, &died] {
        let gone = outcome(post(&url, &[("mcp-session-id", id)], legacy_call(2, "echo"))).await;
        assert_eq!(gone, (404, Some(-32600)));
    }
}

/// `npx` and `docker run` may fetch a server first.
#[tokio::test]
async fn a_server_that_takes_long_to_start_has_a_session_before_it_answers() {
    for (answer, is_kept) in [(r#""result":{}"#, true), (r#""error":{"code":1,"message":"no"}"#, false)] {
        let directory = tempfile::tempdir().expect("a directory");
        let started = directory.path().join("started");
        let script = format!(
            r#"read -r hello; until [ -e "$0" ]; do sleep 0.02; done; echo '{{"jsonrpc":"2.0","id":1,{answer}}}'; cat >&2"#
        );
        let path = started.to_str().expect("a path").to_owned();
        let argv = ["sh".to_owned(), "-c".to_owned(), script, path];
        let url = over_http(Upstream::command_from_env(argv.to_vec(), None).expect("a command")).await;
        let accept = ("accept", "application/json, text/event-stream");
        let mut response = post(&url, &[accept], INITIALIZE).send().await.expect("headers");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let id = response.headers()["mcp-session-id"].to_str().expect("ASCII").to_owned();
        std::fs::write(&started, "").expect("a file");
        let told = event(&mut response, &mut String::new()).await.expect("an answer");
        assert_eq!(told["result"].is_object(), is_kept, "{told}");
        let deleted = CLIENT.delete(&url).headers(headers(&[("mcp-session-id", &id)])).send().await;
        assert_eq!(deleted.expect("an answer").status(), if is_kept { 204 } else { 404 });
    }
}

#[tokio::test]
async fn one_client_keeps_no_other_out_and_the_session_that_is_idle_longest_gives_way() {
    let url = over_http(server::url().await).await;
    let mut sessions = Vec::new();
    for _ in 0..40 {
        sessions.push(session(&url).await);
    }
    // Of one address there are as many as it may have, the newest.
    let alive = async |id: &str| {
        outcome(post(&url, &[("mcp-session-id", id)], r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#)).await.0
            == 200
    };
    for (at, id) in sessions.iter().enumerate() {
        assert_eq!(alive(id).await, at >= 8, "{at}");
    }
    // Those on which somebody only listens give way as well, when there are no others.
    let mut streams = Vec::new();
    for id in &sessions[8..] {
        let of = headers(&[("mcp-session-id", id), ("accept", "text/event-stream")]);
        streams.push(CLIENT.get(&url).headers(of).send().await.expect("a stream"));
    }
    session(&url).await;
    assert!(!alive(&sessions[8]).await && alive(&sessions[9]).await);
    // Another client is served all the same.
    let other = Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .local_address(std::net::IpAddr::from([127, 0, 0, 2]))
        .build();
    let other =
        other.expect("a client").post(&url).header("content-type", "application/json").body(INITIALIZE);
    assert_eq!(other.send().await.expect("an answer").status(), 200);
}

/// Some clients call all of their requests by one id, and their progress as well.
#[tokio::test]
async fn requests_of_one_name_get_each_its_own_progress() {
    let url = over_http(server::command()).await;
    let id = session(&url).await;
    let of = [("mcp-session-id", id.as_str())];
    let told = |tool: &str| {
        let params = json!({"name": tool, "arguments": {}, "_meta": {"progressToken": "t"}});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
        post(&url, &of, body.to_string())
    };
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let (mut stream, mut rest) = (told("wait").send().await.expect("a stream"), String::new());
        let progress = event(&mut stream, &mut rest).await.expect("progress");
        assert_eq!(progress["params"]["progressToken"], "t", "{progress}");
        waiting.push(stream);
    }
    let (mut stream, mut rest) = (told("progress").send().await.expect("a stream"), String::new());
    for step in [1.0, 2.0] {
        let progress = event(&mut stream, &mut rest).await.expect("progress");
        let params = (&progress["params"]["progressToken"], &progress["params"]["progress"]);
        assert_eq!(params, (&json!("t"), &json!(step)), "{progress}");
    }
    let answer = event(&mut stream, &mut rest).await.expect("an answer");
    assert_eq!((&answer["id"], &answer["result"]["content"][0]["text"]), (&json!(1), &json!("done")));
}

#[tokio::test]
async fn when_the_gate_ends_every_conversation_is_closed() {
    let upstream = server::command();
    let (url, serving) = serving(upstream.clone()).await;
    session(&url).await;
    let waiting = tokio::spawn(call(&url, &json!(1), "wait", &json!({})).send());
    let counted = call(&url, &json!(2), "waiting", &json!({})).send().await.expect("an answer");
    assert_eq!(text(counted).await, "0 of 1");
    serving.abort();
    upstream.closed().await;
    assert!(waiting.await.expect("a task").is_ok());
}
