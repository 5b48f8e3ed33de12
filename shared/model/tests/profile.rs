//! What the strict JSON profile refuses, and what it says to the one who wrote it.

use sayso_model::{CanonicalJson, MAX_BYTES, check_text};

fn refusal(text: &str) -> String {
    CanonicalJson::parse(text).err().map(|violation| violation.to_string()).unwrap_or_default()
}

#[test]
fn what_is_refused_says_where_and_what_to_change() {
    let rows = [
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        ("{} {}", "not valid JSON"),
        (r#"{"a":01}"#, "not valid JSON"),
        (r#"{"a":NaN}"#, "not valid JSON"),
        (r#"{"a":"\ud800"}"#, "not valid JSON"),
        ("[]", "must be a JSON object"),
        ("\"x\"", "must be a JSON object"),
        ("null", "must be a JSON object"),
        (r#"{"a":1,"a":1}"#, "the key at /a is there twice"),
        (r#"{"x":[{"a":1,"\u0061":2}]}"#, "the key at /x/0/a is there twice"),
        (r#"{"a/b":{"~":9007199254740992e0}}"#, "at /a~1b/~0 is beyond"),
        (r#"{"n":9007199254740993.0}"#, "send it as a string"),
        (r#"{"n":1e20}"#, "write it out as an integer of at most 40 digits"),
        (r#"{"n":-12345678901234567890123456789012345678901}"#, "is beyond"),
        (r#"{"n":00000000009007199254740993}"#, "not valid JSON"),
        (r#"{"n":9007199254740991.4}"#, "is beyond"),
        (r#"{"n":1e400}"#, "is beyond"),
        (r#"{"n":0.1000000000000000055}"#, "more digits than a double holds"),
        (r#"{"n":1e-400}"#, "more digits than a double holds"),
        (r#"{"n":1e-99999999999999999999}"#, "more digits than a double holds"),
        ("{\"n\":\"a\\ud800\"}", "the text at /n"),
    ];
    for (text, says) in rows {
        assert!(refusal(text).contains(says), "{text}: {}", refusal(text));
    }
}

#[test]
fn depth_and_size_are_bounded_and_the_bounds_are_allowed() {
    let nested = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    assert!(CanonicalJson::parse(&nested(32)).is_ok());
    assert!(refusal(&nested(33)).contains("more than 32 levels"));
    assert!(refusal(&nested(10_000)).contains("more than 32 levels"));
    assert!(refusal(&format!(r#"{{"a":{}}}"#, "[".repeat(100))).contains("not valid JSON"));
    let sized = |bytes: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - 8));
    assert!(CanonicalJson::parse(&sized(MAX_BYTES)).is_ok());
    assert!(refusal(&sized(MAX_BYTES + 1)).contains("65537 bytes"));
    // Short as written, long as canonicalised.
    let grows = format!(r#"{{"a":[{}0]}}"#, "1e15,".repeat(10_000));
    assert!(refusal(&grows).contains("bytes"));
}

#[test]
fn what_is_accepted_stays_exactly_as_it_was_meant() {
    let rows = [
        (r#"{"n":9007199254740991}"#, r#"{"n":9007199254740991}"#),
        (r#"{"n":-9007199254740991.0}"#, r#"{"n":-9007199254740991}"#),
        (r#"{"n":9007199254740992}"#, r#"{"n":9007199254740992}"#),
        (r#"{"z":[ -9007199254740993 ],"é":9}"#, r#"{"z":[-9007199254740993],"é":9}"#),
        (
            r#"{"n":1234567890123456789012345678901234567890}"#,
            r#"{"n":1234567890123456789012345678901234567890}"#,
        ),
        (r#"{"n":-0}"#, r#"{"n":0}"#),
        (r#"{"n":1E3}"#, r#"{"n":1000}"#),
        (r#"{"n":0.000001}"#, r#"{"n":0.000001}"#),
        (r#"{"n":1e-7}"#, r#"{"n":1e-7}"#),
        (r#"{"n":4.35}"#, r#"{"n":4.35}"#),
        ("{\"s\":\"a\\tb\\nc\"}", "{\"s\":\"a\\tb\\nc\"}"),
        ("{\"s\":\"\\u202e\"}", "{\"s\":\"\u{202e}\"}"),
        (r#"{"b":null,"a":[true,false,{}]}"#, r#"{"a":[true,false,{}],"b":null}"#),
    ];
    for (text, canonical) in rows {
        let parsed = CanonicalJson::parse(text).unwrap();
        assert_eq!(parsed.as_str(), canonical);
        // What holds a value in place of the text would round the large ones.
        assert_eq!(check_text(text).is_err(), parsed.has_large_integers(), "{text}");
    }
}
