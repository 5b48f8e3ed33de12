//! Whatever an agent gets wrong in a tool's arguments: it reads which field to change and how, and nothing happened.

use sayso_cloud::random;
use sayso_tests::{Protocol, Raw, World, asking};
use serde_json::json;

/// Calls that change or send something.
pub(crate) const WRITES: [&str; 8] = [
    "PutItem",
    "UpdateItem",
    "DeleteItem",
    "BatchWriteItem",
    "TransactWriteItems",
    "SendEmail",
    "Sign",
    "ExecuteStatement",
];

/// A request whose own `arguments` are this text.
fn of_action(arguments: &str) -> String {
    format!(r#"{{"tool":"drop_table","arguments":{arguments},"summary":"Drop it"}}"#)
}

/// A good request with these members before the others, as JSON.
fn with(members: &str) -> String {
    format!(r#"{{{members},"tool":"drop_table","arguments":{{"a":1}},"summary":"Drop it"}}"#)
}

/// A request with this tool or this summary instead.
fn instead(field: &str, value: &serde_json::Value) -> String {
    let mut arguments = asking("customers_2019");
    arguments[field] = value.clone();
    arguments.to_string()
}

fn nested(depth: usize) -> String {
    format!(r#"{}1{}"#, r#"{"a":"#.repeat(depth), "}".repeat(depth))
}

/// A row: what is wrong, the tool's arguments as text, and what the agent reads.
type Row = (&'static str, String, &'static [&'static str]);

/// What no reader of JSON may take for something else.
fn actions_outside_the_profile() -> Vec<Row> {
    let beyond: &[&str] = &["`arguments`", "/n is beyond ±9007199254740991", "as a string"];
    let precise: &[&str] = &["`arguments`", "/n has more digits than a double holds"];
    let object: &[&str] = &["`arguments`", "must be a JSON object"];
    let number = |text: &str| of_action(&format!(r#"{{"n":{text}}}"#));
    vec![
        ("an array", of_action("[1]"), object),
        ("a text", of_action(r#""{}""#), object),
        ("a number", of_action("7"), object),
        ("null", of_action("null"), object),
        (
            "a duplicate key",
            of_action(r#"{"a":1,"a":2}"#),
            &["`arguments`", "/a is there twice", "remove one"],
        ),
        ("a duplicate key inside", of_action(r#"{"a":[{"b":1,"b":1}]}"#), &["/a/0/b is there twice"]),
        ("a duplicate key by escape", of_action(r#"{"ab":1,"\u0061b":2}"#), &["/ab is there twice"]),
        ("41 digits", number(&"9".repeat(41)), beyond),
        ("2^53+1 as a decimal", number("9007199254740993.0"), beyond),
        ("2^53+1 with an exponent", number("9007199254740993e0"), beyond),
        ("beyond any double", number("1e400"), beyond),
        ("below any double", number("-1e400"), beyond),
        ("more digits than a double has", number("0.1000000000000000055"), precise),
        ("smaller than any double", number("1e-400"), precise),
        ("half a surrogate pair", of_action(r#"{"a":"\ud800"}"#), &["`arguments`"]),
        ("33 levels", of_action(&nested(33)), &["`arguments`", "more than 32 levels deep", "flatten"]),
        ("10,000 levels", of_action(&nested(10_000)), &["more than 32 levels deep"]),
        (
            "over 64 KiB",
            of_action(&json!({"a": "x".repeat(64 * 1024)}).to_string()),
            &["`arguments`", "the most is 65536", "reference"],
        ),
    ]
}

/// What does not fit the tool's own fields.
fn fields_that_do_not_fit() -> Vec<Row> {
    let expiry: &[&str] = &["`expires_in_seconds` must be 60 to 604800"];
    vec![
        ("nothing", "{}".to_owned(), &["request_approval", "missing field `tool`"]),
        ("no summary", r#"{"tool":"t","arguments":{}}"#.to_owned(), &["missing field `summary`"]),
        ("no arguments", r#"{"tool":"t","summary":"s"}"#.to_owned(), &["missing field `arguments`"]),
        (
            "an unknown field",
            with(r#""approver":"me@example.com""#),
            &["unknown field `approver`", "`summary`"],
        ),
        ("a field twice", with(r#""tool":"harmless""#), &["duplicate field `tool`"]),
        ("the action twice", with(r#""arguments":{}"#), &["duplicate field `arguments`"]),
        (
            "a list instead of fields",
            r#"["drop_table",{"a":1},"Drop it"]"#.to_owned(),
            &["request_approval", "object"],
        ),
        ("a text instead of fields", r#""drop_table""#.to_owned(), &["request_approval"]),
        ("a number as tool", instead("tool", &json!(7)), &["`tool`", "string"]),
        ("no tool's name", instead("tool", &json!("")), &["`tool` must be 1 to 128"]),
        ("a long tool's name", instead("tool", &json!("x".repeat(129))), &["`tool` must be 1 to 128"]),
        ("a space in a tool's name", instead("tool", &json!("drop table")), &["`tool`", "ASCII"]),
        ("a look-alike in a tool's name", instead("tool", &json!("dr\u{43e}p_table")), &["`tool`", "ASCII"]),
        ("an empty summary", instead("summary", &json!("")), &["`summary` is empty", "1 to 500"]),
        ("a blank summary", instead("summary", &json!(" \u{3000} ")), &["`summary` is empty"]),
        (
            "a long summary",
            instead("summary", &json!("é".repeat(501))),
            &["`summary` has 501 characters", "at most 500"],
        ),
        ("a summary of two lines", instead("summary", &json!("a\nb")), &["`summary`", "U+000A", "one line"]),
        ("a list as summary", instead("summary", &json!(["a"])), &["`summary`", "string"]),
        ("an empty reason", instead("reason", &json!("")), &["`reason` is empty"]),
        (
            "a long reason",
            instead("reason", &json!("x".repeat(2_001))),
            &["`reason` has 2001 characters", "2000"],
        ),
        ("10,000 newlines as reason", instead("reason", &json!("\n".repeat(10_000))), &["`reason` is empty"]),
        ("a carriage return in a reason", instead("reason", &json!("a\r\nb")), &["`reason`", "U+000D"]),
        (
            "an audience not allowed",
            instead("audience", &json!("prod")),
            &["`audience`", "`production`, `staging`"],
        ),
        ("a header as audience", instead("audience", &json!("a\r\nBcc: b@example.com")), &["`audience`"]),
        ("too short", with(r#""expires_in_seconds":59"#), expiry),
        ("too long", with(r#""expires_in_seconds":604801"#), expiry),
        ("in the past", with(r#""expires_in_seconds":-60"#), expiry),
        ("half a second", with(r#""expires_in_seconds":60.5"#), &["`expires_in_seconds`"]),
        ("a text as expiry", with(r#""expires_in_seconds":"3600""#), &["`expires_in_seconds`"]),
        ("an endless expiry", with(r#""expires_in_seconds":1e400"#), &["expires_in_seconds"]),
        ("an empty key", with(r#""idempotency_key":"""#), &["`idempotency_key` is empty"]),
        ("a long key", instead("idempotency_key", &json!("k".repeat(201))), &["`idempotency_key` has 201"]),
        (
            "a key of two lines",
            instead("idempotency_key", &json!("a\r\nb")),
            &["`idempotency_key`", "U+000D"],
        ),
    ]
}

async fn assert_refused(world: &World, tool: &str, rows: &[Row]) {
    let raw = world.raw();
    for protocol in Protocol::ALL {
        for (what, arguments, expected) in rows {
            let answer = raw.call(protocol, tool, arguments).await;
            let calls = world.tap.take_calls();
            let Some(refused) = answer.tool() else { panic!("{what}: {} {}", answer.status, answer.body) };
            assert!(refused.is_error && answer.status == 200, "{what}: {}", answer.body);
            for part in *expected {
                assert!(refused.text.contains(part), "{what}: {part:?} in {:?}", refused.text);
            }
            assert!(refused.text.len() < 1_000, "{what}: an error is not an echo: {}", refused.text.len());
            assert!(!refused.text.contains(" at line "), "{what}: {}", refused.text);
            assert!(!calls.iter().any(|call| WRITES.contains(&call.as_str())), "{what}: {calls:?}");
        }
    }
    assert!(world.mails().is_empty());
    assert_eq!(world.table().rows().await.len(), 1, "only the agent's own row");
}

#[tokio::test]
async fn an_action_that_readers_could_read_differently_is_refused_with_its_place() {
    let world = World::new().await;
    assert_refused(&world, "request_approval", &actions_outside_the_profile()).await;
}

#[tokio::test]
async fn a_field_that_does_not_fit_is_named_with_what_to_change() {
    let world = World::new().await;
    assert_refused(&world, "request_approval", &fields_that_do_not_fit()).await;
}

#[tokio::test]
async fn an_id_or_a_wait_that_does_not_fit_is_named_with_what_to_change() {
    let world = World::new().await;
    let id = "01JD3V8Q5Z7XW2N4M6K8P0R1ST";
    let of_id = |id: &str| json!({"approval_id": id}).to_string();
    let the_form: &[&str] = &["`approval_id` must be the 26-character id that request_approval returned"];
    let ids = |tool: &'static str| {
        vec![
            ("nothing", "{}".to_owned(), &["missing field `approval_id`"] as &[&str]),
            ("an empty id", of_id(""), the_form),
            ("a word", of_id("latest"), the_form),
            ("lower case", of_id(&id.to_lowercase()), the_form),
            ("too long", of_id(&format!("{id}0")), the_form),
            ("a blank behind", of_id(&format!("{id} ")), the_form),
            ("another row of the table", of_id(&format!("REQUEST#{id}")), the_form),
            ("beyond a ULID", of_id("8ZZZZZZZZZZZZZZZZZZZZZZZZZ"), the_form),
            (
                "unknown",
                of_id(id),
                &["You have no approval with the id 01JD3V8Q5Z7XW2N4M6K8P0R1ST", "request_approval"],
            ),
            ("a number", r#"{"approval_id":7}"#.to_owned(), &["`approval_id`", "string"]),
            (
                "a list",
                format!(r#"["{id}"]"#),
                if tool == "check_approval" {
                    &["check_approval", "object"]
                } else {
                    &["withdraw_approval", "object"]
                },
            ),
            (
                "an unknown field",
                format!(r#"{{"approval_id":"{id}","force":true}}"#),
                &["unknown field `force`"],
            ),
            (
                "twice",
                format!(r#"{{"approval_id":"{id}","approval_id":"{id}"}}"#),
                &["duplicate field `approval_id`"],
            ),
        ]
    };
    assert_refused(&world, "withdraw_approval", &ids("withdraw_approval")).await;
    assert_refused(&world, "check_approval", &ids("check_approval")).await;
    let wait = |wait: &str| format!(r#"{{"approval_id":"{id}","wait_seconds":{wait}}}"#);
    let rows: Vec<Row> = vec![
        ("51 seconds", wait("51"), &["`wait_seconds` must be 0 to 50"]),
        ("for ever", wait("18446744073709551615"), &["`wait_seconds`"]),
        ("before now", wait("-1"), &["`wait_seconds`"]),
        ("a fraction", wait("0.5"), &["`wait_seconds`"]),
        ("a text", wait(r#""10""#), &["`wait_seconds`"]),
    ];
    assert_refused(&world, "check_approval", &rows).await;
}

#[tokio::test]
async fn an_idempotency_key_used_for_another_action_is_refused_and_loses_nothing() {
    let world = World::new().await;
    let agent = world.agent().await;
    let keyed = |table: &str| {
        let mut arguments = asking(table);
        arguments["idempotency_key"] = json!("release-42");
        arguments
    };
    let first = agent.call("request_approval", keyed("customers_2019")).await;
    let id = first.field("approval_id").to_owned();
    let before = world.table().keys("").await;
    let refused = agent.call("request_approval", keyed("customers_2020")).await;
    assert!(refused.is_error);
    for part in ["`idempotency_key`", "another action", "new key"] {
        assert!(refused.text.contains(part), "{}", refused.text);
    }
    assert_eq!(world.table().keys("").await, before);
    assert_eq!(world.mails().len(), 1);
    assert_eq!(agent.call("request_approval", keyed("customers_2019")).await.field("approval_id"), id);
}

#[tokio::test]
async fn another_agents_approval_is_no_different_from_one_that_never_was() {
    let world = World::new().await;
    let own = world.agent().await.ask("customers_2019").await.field("approval_id").to_owned();
    let key = random::agent_key();
    world.register(&key, "other-bot", "alex@example.com", &["production"]).await;
    let other = Raw::new(&world.host.mcp_url, key.expose());
    // The unknown id differs from the known in one character, so the answers must be the same after its exchange.
    let last = if own.ends_with('0') { "1" } else { "0" };
    let unknown = format!("{}{last}", &own[..25]);
    world.tap.take_calls();
    for protocol in Protocol::ALL {
        for tool in ["check_approval", "withdraw_approval"] {
            let mut seen = Vec::new();
            for id in [&own, &unknown] {
                let answer = other.call(protocol, tool, &json!({"approval_id": id}).to_string()).await;
                let mut headers = answer.headers.clone();
                headers.remove("date");
                seen.push((answer.status, headers, answer.body.replace(id, "ID"), world.tap.take_calls()));
            }
            assert_eq!(seen[0], seen[1], "{tool}");
        }
    }
    assert_eq!(world.agent().await.check(&own).await.field("status"), "pending");
}
