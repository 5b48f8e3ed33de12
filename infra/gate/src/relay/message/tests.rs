use super::{Id, Kind, Message};

fn line(text: &str) -> String {
    Message::parse(text).expect("a message").to_line()
}

#[test]
fn a_message_keeps_every_byte_between_its_tokens() {
    let text = r#"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"b":1.0,"a":[ 1e2 ],"x":"\u00e9é"},"extra":null}"#;
    assert_eq!(line(text), text);
}

#[test]
fn a_message_is_one_line_to_every_reader_of_lines() {
    let smuggled =
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{\"a\":[\n{\"id\":2}\r\n]}}";
    assert_eq!(
        line(smuggled),
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"a":[ {"id":2}  ]}}"#
    );
    let separators =
        "{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":{\"a\":\"x\u{2028}y\u{2029}z\u{85}\"}}";
    assert_eq!(line(separators), r#"{"jsonrpc":"2.0","method":"m","params":{"a":"x\u2028y\u2029z\u0085"}}"#);
}

#[test]
fn what_is_no_message_is_refused_with_what_to_change() {
    for (text, code, problem) in [
        ("", -32700, "not valid JSON"),
        ("nonsense", -32700, "not valid JSON"),
        ("\"text\"", -32600, "must be a JSON object"),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, -32600, "one message at a time"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}"#, -32600, "there twice"),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","m\u0065thod":"tools/call"}"#,
            -32600,
            "there twice",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","Method":"tools/call"}"#,
            -32600,
            "as another name",
        ),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","param\u017f":{}}"#, -32600, "as another name"),
        (r#"{"jsonrpc":"2.0","\u0130d":1,"method":"ping"}"#, -32600, "as another name"),
        (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, -32600, "`id` must be"),
        (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, -32600, "`method` must be"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#, -32600, "at once"),
        (r#"{"jsonrpc":"2.0","id":1}"#, -32600, "neither"),
        (r#"{"jsonrpc":"2.0","result":{}}"#, -32600, "neither"),
    ] {
        let refusal = Message::parse(text).expect_err(text);
        assert_eq!(refusal.code, code, "{text}: {refusal}");
        assert!(refusal.problem.contains(problem), "{text}: {refusal}");
    }
}

#[test]
fn equal_ids_are_equal_however_they_are_spelled() {
    let id = |text: &str| match Message::parse(&format!(r#"{{"id":{text},"method":"ping"}}"#))
        .expect("a message")
        .kind()
    {
        Kind::Request { id, .. } => id.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(id("1"), id("1.0"));
    assert_eq!(id(r#""\u0061""#), Id::text("a"));
    assert_ne!(id("1"), id(r#""1""#));
}
