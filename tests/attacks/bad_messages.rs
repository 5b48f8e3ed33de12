//! What is no call of a tool at all: no key, no JSON, no JSON-RPC. A protocol error says what to change.

use sayso_tests::{Protocol, Raw, RawAnswer, World, asking};
use serde_json::json;

use crate::bad_arguments::WRITES;

async fn assert_nothing_happened(world: &World) {
    let calls = world.tap.take_calls();
    assert!(!calls.iter().any(|call| WRITES.contains(&call.as_str())), "{calls:?}");
    assert!(world.mails().is_empty());
    assert_eq!(world.table().rows().await.len(), 1, "only the agent's own row");
}

#[tokio::test]
async fn a_caller_without_a_registered_key_is_told_how_to_get_in_and_nothing_else() {
    let world = World::new().await;
    let key = world.agent_key.expose();
    let bare = key.to_owned();
    let rows: Vec<(&str, Option<String>, &str)> = vec![
        ("nothing", None, "invalid_request"),
        ("empty", Some(String::new()), "invalid_request"),
        ("no scheme", Some(bare.clone()), "invalid_request"),
        ("another scheme", Some(format!("Basic {key}")), "invalid_request"),
        ("no key", Some("Bearer ".to_owned()), "invalid_request"),
        ("a word behind", Some(format!("Bearer {key} x")), "invalid_request"),
        ("not ASCII", Some(format!("Bearer {key}é")), "invalid_request"),
        ("very long", Some(format!("Bearer {}", "a".repeat(4_000))), "invalid_request"),
        ("a row's name", Some("Bearer AGENT#1".to_owned()), "invalid_request"),
        ("unknown", Some("Bearer sayso_agent_unknown".to_owned()), "invalid_token"),
        ("cut", Some(format!("Bearer {}", &key[..key.len() - 1])), "invalid_token"),
        ("in capitals", Some(format!("Bearer {}", key.to_uppercase())), "invalid_token"),
    ];
    for protocol in Protocol::ALL {
        for (what, authorization, error) in &rows {
            let raw = world.raw().with_authorization(authorization.as_deref());
            let answer = raw.call(protocol, "request_approval", &asking("customers_2019").to_string()).await;
            assert_eq!(answer.status, 401, "{what}: {}", answer.body);
            let challenge = answer.headers["www-authenticate"].to_str().unwrap();
            assert!(challenge.starts_with("Bearer realm=\"sayso\""), "{what}: {challenge}");
            assert!(!challenge.contains("resource_metadata"), "{what}: {challenge}");
            assert_eq!(challenge.contains("invalid_token"), *error == "invalid_token", "{what}: {challenge}");
            assert_eq!(answer.json()["error"], *error, "{what}");
            assert!(answer.json()["error_description"].as_str().unwrap().contains("agent key"), "{what}");
            assert!(!answer.body.contains(key) && !challenge.contains(key), "{what}");
        }
    }
    assert_nothing_happened(&world).await;
}

/// A row: what is wrong, the body, the HTTP status, the JSON-RPC code, and a part of the message.
type Row = (&'static str, Vec<u8>, u16, i64, &'static str);

fn deep(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

fn ask() -> String {
    asking("customers_2019").to_string()
}

fn good() -> String {
    Protocol::Old.call("request_approval", &ask())
}

/// The good call with these members before its own.
fn with(members: &str) -> Vec<u8> {
    format!("{{{members},{}", &good()[1..]).into_bytes()
}

fn envelope(params: &str) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{params}}}"#).into_bytes()
}

fn call(members: &str) -> Vec<u8> {
    envelope(&format!(r#"{{"name":"request_approval",{members}}}"#))
}

fn no_json() -> Vec<Row> {
    let (good, message) = (good(), "not valid JSON");
    vec![
        ("nothing", vec![], 400, -32_700, message),
        ("words", b"drop it".to_vec(), 400, -32_700, message),
        ("half", good.as_bytes()[..good.len() - 2].to_vec(), 400, -32_700, message),
        ("two", format!("{good}{good}").into_bytes(), 400, -32_700, message),
        ("a comment", format!("{good} // now").into_bytes(), 400, -32_700, message),
        ("not UTF-8", [good.as_bytes(), b"\xff"].concat(), 400, -32_700, "not UTF-8"),
        ("a raw control character", good.replace("Drop", "Dr\u{1}p").into_bytes(), 400, -32_700, message),
    ]
}

fn no_message() -> Vec<Row> {
    let batch = "batches are not supported";
    let no_version = good().replace("\"jsonrpc\":\"2.0\",", "");
    let id = |id: &str| good().replace("\"id\":7", &format!("\"id\":{id}")).into_bytes();
    let whole = "`id` must be a text or an integer";
    vec![
        ("no jsonrpc", no_version.into_bytes(), 400, -32_600, "\"jsonrpc\": \"2.0\""),
        ("another jsonrpc", good().replace("2.0", "1.0").into_bytes(), 400, -32_600, "\"jsonrpc\": \"2.0\""),
        ("id null", id("null"), 400, -32_600, whole),
        ("half an id", id("1.5"), 400, -32_600, whole),
        ("a list as id", id("[1]"), 400, -32_600, whole),
        ("no method", br#"{"jsonrpc":"2.0","id":7}"#.to_vec(), 400, -32_600, "needs a `method`"),
        ("a number as method", br#"{"jsonrpc":"2.0","id":7,"method":7}"#.to_vec(), 400, -32_600, "`method`"),
        ("an empty object", b"{}".to_vec(), 400, -32_600, "jsonrpc"),
        ("a text", br#""tools/call""#.to_vec(), 400, -32_600, "must be a JSON object"),
        ("a batch", format!("[{}]", good()).into_bytes(), 400, -32_600, batch),
        ("an empty batch", b" [ ]".to_vec(), 400, -32_600, batch),
        ("deep", format!(r#"{{"method":"x","a":{}}}"#, deep(10_000)).into_bytes(), 400, -32_600, "the body"),
        ("deep in params", envelope(&deep(10_000)), 400, -32_600, "params"),
        (
            "deep beside the arguments",
            call(&format!(r#""_meta":{}"#, deep(10_000))),
            400,
            -32_600,
            "the body",
        ),
        ("two methods", with(r#""method":"tools/list""#), 400, -32_600, "/method is there twice"),
        ("two by escape", with(r#""metho\u0064":"tools/list""#), 400, -32_600, "/method is there twice"),
        ("two params", with(r#""params":{}"#), 400, -32_600, "/params is there twice"),
    ]
}

fn no_call() -> Vec<Row> {
    let (ask, twice) = (ask(), "/arguments is there twice");
    let tools = "the tools are request_approval, check_approval, withdraw_approval";
    let params = |members: &str| envelope(&format!("{{{members}}}"));
    vec![
        ("two names", call(r#""name":"check_approval""#), 400, -32_600, "/name is there twice"),
        ("two arguments", call(&format!(r#""arguments":{{}},"arguments":{ask}"#)), 400, -32_600, twice),
        ("two by escape", call(&format!(r#""arguments":{{}},"argument\u0073":{ask}"#)), 400, -32_600, twice),
        ("params in a list", envelope(&format!(r#"["request_approval",{ask}]"#)), 400, -32_600, "params"),
        ("no name", params(&format!(r#""arguments":{ask}"#)), 200, -32_602, "\"name\""),
        ("a number as name", params(&format!(r#""name":7,"arguments":{ask}"#)), 200, -32_602, "\"name\""),
        ("an unknown tool", Protocol::Old.call("approve", &ask).into_bytes(), 200, -32_602, tools),
    ]
}

#[tokio::test]
async fn what_is_no_call_gets_a_protocol_error_that_says_what_to_change() {
    let world = World::new().await;
    let raw = world.raw();
    for (what, body, status, code, message) in no_json().into_iter().chain(no_message()).chain(no_call()) {
        let answer = raw.post(&Protocol::Old.headers("tools/call", "request_approval"), body).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.body);
        let error = answer.error().unwrap_or_else(|| panic!("{what}: {}", answer.body));
        assert!(error.0 == code && error.1.contains(message), "{what}: {error:?}");
        assert!(answer.body.len() < 1_000, "{what}: an error is not an echo");
        assert_eq!(answer.json()["jsonrpc"], "2.0", "{what}");
        assert!(answer.json().get("id").is_none_or(|id| !id.is_null()), "{what}: {}", answer.body);
    }
    assert_nothing_happened(&world).await;
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_413_and_one_below_it_is_told_its_own_limit() {
    let world = World::new().await;
    let raw = world.raw();
    for protocol in Protocol::ALL {
        let much =
            json!({"tool": "t", "summary": "s", "arguments": {"a": "x".repeat(1024 * 1024)}}).to_string();
        let answer = raw.call(protocol, "request_approval", &much).await;
        assert_eq!(answer.status, 413);
        assert!(answer.error().unwrap().1.contains("1048576 bytes"));
        let less =
            json!({"tool": "t", "summary": "s", "arguments": {"a": "x".repeat(1_000_000)}}).to_string();
        let answer = raw.tool(protocol, "request_approval", &less).await;
        assert!(answer.is_error && answer.text.contains("65536"), "{}", answer.text);
    }
    assert_nothing_happened(&world).await;
}

fn assert_protocol_error(what: &str, answer: &RawAnswer, status: u16, code: i64) {
    let error = answer.error();
    assert_eq!((answer.status, error.as_ref().map(|e| e.0)), (status, Some(code)), "{what}: {}", answer.body);
}

#[tokio::test]
async fn headers_that_say_something_else_than_the_body_are_refused() {
    let world = World::new().await;
    let raw = world.raw();
    let body = Protocol::New.call("request_approval", &asking("customers_2019").to_string());
    let good = Protocol::New.headers("tools/call", "request_approval");
    let changed = |name: &str, value: Option<&str>| {
        let mut headers = good.clone();
        headers.retain(|(header, _)| *header != name || value.is_some());
        for (header, held) in &mut headers {
            if let Some(value) = value.filter(|_| *header == name) {
                value.clone_into(held);
            }
        }
        headers
    };
    for (what, headers) in [
        ("another tool", changed("mcp-name", Some("check_approval"))),
        ("no tool", changed("mcp-name", None)),
        ("another method", changed("mcp-method", Some("tools/list"))),
        ("no method", changed("mcp-method", None)),
        ("an older version", changed("mcp-protocol-version", Some("2025-06-18"))),
        ("no version", changed("mcp-protocol-version", None)),
    ] {
        assert_protocol_error(what, &raw.post(&headers, body.clone()).await, 400, -32_020);
    }
    let answer = raw
        .post(&Protocol::New.headers("tasks/list", ""), r#"{"jsonrpc":"2.0","id":1,"method":"tasks/list"}"#)
        .await;
    assert!(answer.error().is_some() && answer.status >= 400, "{} {}", answer.status, answer.body);
    let mut plain = good.clone();
    plain.push(("content-type", "text/plain".to_owned()));
    assert_eq!(
        raw.post(&plain, body.clone()).await.status,
        415,
        "the one type that another site's form cannot send"
    );
    assert_nothing_happened(&world).await;
    // The same body with the right headers is a request: nothing else was wrong with it.
    assert_eq!(raw.post(&good, body).await.tool().unwrap().field("status"), "pending");
}

#[tokio::test]
async fn no_method_but_post_does_anything() {
    let world = World::new().await;
    let http = world.browser();
    for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        // Without the key, and so without a look at the method.
        assert_eq!(http.request(method, &world.host.mcp_url, None).await.status, 401, "{method}");
    }
    let base = world.host.mcp_url.trim_end_matches("/mcp");
    for path in ["/", "/mcp/x", "/request_approval"] {
        let answer = http.request("POST", &format!("{base}{path}"), Some("a=1".to_owned())).await;
        assert_eq!(answer.status, 404, "{path}");
    }
    assert_nothing_happened(&world).await;
}

#[tokio::test]
async fn a_version_that_nobody_knows_and_a_cursor_that_nobody_gave_are_refused_as_json_rpc() {
    let world = World::new().await;
    let raw = world.raw();
    let list =
        |cursor: &str| format!(r#"{{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{{{cursor}}}}}"#);
    let answer = raw.post(&[("mcp-protocol-version", "2099-01-01".to_owned())], list("")).await;
    assert_protocol_error("an unknown version", &answer, 400, -32_022);
    assert_eq!(answer.json()["error"]["data"]["requested"], "2099-01-01");
    assert_eq!(answer.json()["error"]["data"]["supported"].as_array().map(Vec::len), Some(5));
    let old = Protocol::Old.headers("tools/list", "");
    assert_protocol_error("a cursor", &raw.post(&old, list(r#""cursor":"2""#)).await, 200, -32_602);
    let page = raw.post(&old, list("")).await;
    assert_eq!(page.json()["result"]["tools"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn the_endpoint_is_served_with_a_slash_at_its_end_and_to_pages_of_this_machine() {
    let world = World::new().await;
    let slash = Raw::new(&format!("{}/", world.host.mcp_url), world.agent_key.expose());
    assert_eq!(slash.tool(Protocol::Old, "request_approval", &ask()).await.field("status"), "pending");
    let list = r#"{"jsonrpc":"2.0","id":7,"method":"tools/list"}"#;
    for (origin, status) in [
        ("http://localhost", 200),
        ("http://localhost:6274", 200),
        ("http://127.0.0.1:6274", 200),
        ("http://[::1]:6274", 200),
        ("http://127.0.0.1.evil.example", 403),
        ("http://localhost.evil.example:80", 403),
        ("https://evil.example", 403),
        ("null", 403),
    ] {
        let mut headers = Protocol::Old.headers("tools/list", "");
        headers.push(("origin", origin.to_owned()));
        let answer = world.raw().post(&headers, list).await;
        assert_eq!(answer.status, status, "{origin}");
        assert!(!answer.headers.keys().any(|name| name.as_str().starts_with("access-control")), "{origin}");
    }
}

/// JSON may escape a slash, and some encoders do.
#[tokio::test]
async fn an_escaped_method_is_the_same_method() {
    let world = World::new().await;
    let body = good().replace("tools/call", r"tools\/call");
    let answer = world.raw().post(&Protocol::Old.headers("tools/call", "request_approval"), body).await;
    assert_eq!(answer.tool().unwrap().field("status"), "pending");
}
