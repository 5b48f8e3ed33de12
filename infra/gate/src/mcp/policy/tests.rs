use std::time::Duration;

use proptest::prelude::*;
use sayso_model::{CanonicalJson, ExpiresIn};
use serde_json::{Value, json};

use super::{Hints, Policy, Terms, Verdict};

mod refused;

const QUIET: Hints = Hints { read_only: false, destructive: true };

fn policy(text: &str) -> Policy {
    Policy::parse(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// One rule that asks, with this summary.
fn summarizing(template: &str) -> Policy {
    policy(&format!("[[tools]]\nmatch = \"*\"\ndecision = \"ask\"\nsummary = {}\n", json!(template)))
}

fn ask<'a>(policy: &'a Policy, tool: &str) -> Terms<'a> {
    match policy.judge(tool, QUIET) {
        Verdict::Ask(terms) => terms,
        other => panic!("{tool}: {other:?}"),
    }
}

fn verdict(policy: &Policy, tool: &str, hints: Hints) -> &'static str {
    match policy.judge(tool, hints) {
        Verdict::Allow => "allow",
        Verdict::Deny => "deny",
        Verdict::Ask(_) => "ask",
    }
}

fn arguments(value: &Value) -> CanonicalJson {
    CanonicalJson::parse(&value.to_string()).expect("arguments")
}

fn summary(template: &str, value: &Value) -> String {
    let policy = summarizing(template);
    ask(&policy, "delete_volume").summary("delete_volume", &arguments(value)).as_str().to_owned()
}

/// The examples in the documentation.
fn examples() -> Vec<&'static str> {
    let page = include_str!("../../../../../docs/gate.md");
    page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn the_examples_in_the_documentation_are_policies() {
    let examples = examples();
    assert!(!examples.is_empty());
    for example in examples {
        policy(example);
    }
}

#[test]
fn the_documented_example_decides_as_documented() {
    let policy = policy(examples()[0]);
    assert_eq!(policy.wait, Duration::from_secs(45));
    for (tool, hints, expected) in [
        ("list_volumes", QUIET, "allow"),
        ("get_volume", QUIET, "allow"),
        ("delete_volume", QUIET, "ask"),
        ("delete_volume", Hints { read_only: true, ..QUIET }, "ask"),
        ("describe_volume", QUIET, "ask"),
        ("describe_volume", Hints { read_only: true, ..QUIET }, "allow"),
        ("describe_volume", Hints { destructive: false, ..QUIET }, "ask"),
    ] {
        assert_eq!(verdict(&policy, tool, hints), expected, "{tool} {hints:?}");
    }
    let terms = ask(&policy, "delete_volume");
    assert_eq!(terms.expires_in, ExpiresIn::from_seconds(900).expect("seconds"));
    let arguments = arguments(&json!({"volume_id": "vol-1", "region": {"name": "eu"}}));
    assert_eq!(terms.summary("delete_volume", &arguments).as_str(), "Delete the volume vol-1 in eu");
    assert!(terms.reason(&arguments).is_some());
    assert_eq!(policy.tool_name("delete_volume").expect("a name").as_str(), "volumes/delete_volume");
}

#[test]
fn an_empty_file_asks_about_everything() {
    for text in ["", "\n# nothing\n"] {
        let policy = policy(text);
        assert_eq!(verdict(&policy, "anything", Hints { read_only: true, destructive: false }), "ask");
        assert!(!policy.needs_hints("anything"));
        assert_eq!((policy.wait, policy.server.as_ref()), (Duration::from_secs(45), None));
        let terms = ask(&policy, "drop");
        assert_eq!(terms.expires_in, ExpiresIn::default());
        assert_eq!(terms.summary("drop", &arguments(&json!({}))).as_str(), "Call drop");
        assert_eq!(terms.reason(&arguments(&json!({}))), None);
    }
}

#[test]
fn the_first_rule_that_fits_decides() {
    let policy = policy(
        r#"
        default = "deny"
        [[tools]]
        match = ["list_secrets", "get_?_secret"]
        decision = "ask"
        [[tools]]
        match = ["list_*", "get_*", "files/[ab]*"]
        decision = "allow"
        "#,
    );
    for (tool, expected) in [
        ("list_secrets", "ask"),
        ("list_secrets_of", "allow"),
        ("get_a_secret", "ask"),
        ("get_my_secret", "allow"),
        ("list_", "allow"),
        ("list_a/b:c.d", "allow"),
        ("files/ab/c", "allow"),
        ("files/c", "deny"),
        // Another case, another tool.
        ("List_volumes", "deny"),
        ("my_list_", "deny"),
        ("", "deny"),
        ("list_\n", "allow"),
    ] {
        assert_eq!(verdict(&policy, tool, QUIET), expected, "{tool:?}");
    }
}

#[test]
fn hints_are_asked_for_only_where_the_verdict_depends_on_them() {
    let policy = policy(
        r#"
        [[tools]]
        match = "list_*"
        decision = "allow"
        [[tools]]
        match = "read_*"
        read_only_hint = true
        decision = "allow"
        [[tools]]
        match = "write_*"
        destructive_hint = false
        decision = "allow"
        [[tools]]
        match = "write_*"
        decision = "deny"
        "#,
    );
    let hints = |read_only, destructive| Hints { read_only, destructive };
    for (tool, needs, verdicts) in [
        ("list_a", false, ["allow"; 4]),
        ("read_a", true, ["ask", "ask", "allow", "allow"]),
        ("write_a", true, ["allow", "deny", "allow", "deny"]),
        ("other", false, ["ask"; 4]),
    ] {
        assert_eq!(policy.needs_hints(tool), needs, "{tool}");
        let all = [hints(false, false), hints(false, true), hints(true, false), hints(true, true)];
        assert_eq!(all.map(|hints| verdict(&policy, tool, hints)), verdicts, "{tool}");
    }
    assert_eq!(Hints::default(), QUIET);
}

#[test]
fn what_a_rule_does_not_say_is_the_policys() {
    let policy = policy(
        r#"
        expires_in_seconds = 600
        summary = "Something with {name}"
        [[tools]]
        match = "a"
        decision = "ask"
        [[tools]]
        match = "b"
        decision = "ask"
        summary = "b"
        expires_in_seconds = 60
        "#,
    );
    let seconds = |seconds| ExpiresIn::from_seconds(seconds).expect("seconds");
    for (tool, expires_in, text) in [
        ("a", seconds(600), "Something with me"),
        ("b", seconds(60), "b"),
        ("c", seconds(600), "Something with me"),
    ] {
        let terms = ask(&policy, tool);
        assert_eq!(terms.expires_in, expires_in, "{tool}");
        assert_eq!(terms.summary(tool, &arguments(&json!({"name": "me"}))).as_str(), text);
    }
}

#[test]
fn a_tools_name_has_the_server_in_front() {
    let with = policy("server = \"volumes\"");
    assert_eq!(with.tool_name("a/b").expect("a name").as_str(), "volumes/a/b");
    assert_eq!(ask(&with, "a").summary("a", &arguments(&json!({}))).as_str(), "Call volumes/a");
    assert_eq!(policy("").tool_name("a").expect("a name").as_str(), "a");
    let long = "x".repeat(128);
    for (policy, tool) in [(&with, ""), (&with, "a b"), (&with, long.as_str()), (&policy(""), "é")] {
        assert!(policy.tool_name(tool).is_err(), "{tool:?}");
    }
}

#[test]
fn a_template_shows_the_arguments_values() {
    let value = json!({
        "name": "orders", "n": 3, "small": 0.000_001, "none": null, "yes": true, "empty": "",
        "list": ["a", {"b": "c"}], "region": {"name": "eu", "zones": [1, 2]}, "a b": "spaced",
        "lines": "one\n\ttwo", "long": "é".repeat(200), "numbers": (0..100).collect::<Vec<_>>(),
    });
    let cut = format!("{}…", "é".repeat(119));
    for (template, expected) in [
        ("Drop {name}", "Drop orders"),
        ("{name}{n}{none}{yes}.", "orders3nulltrue."),
        ("{small}", "0.000001"),
        ("{region.name}, zone {region.zones.1}", "eu, zone 2"),
        ("{region}", r#"{"name":"eu","zones":[1,2]}"#),
        ("{list.1.b} {list.0}", "c a"),
        ("{list}", r#"["a",{"b":"c"}]"#),
        ("{a b}", "spaced"),
        ("{{name}} {{{name}}}", "{name} {orders}"),
        ("}}{{", "}{"),
        ("[{empty}]", "[]"),
        ("{volume_id}", "(no volume_id)"),
        (
            "{region.id}, {name.x}, {list.2}, {list.x}",
            "(no region.id), (no name.x), (no list.2), (no list.x)",
        ),
        ("{lines}", "one  two"),
        ("{long}!", &format!("{cut}!")),
        // Nothing to read is no summary.
        ("{empty}", "Call delete_volume"),
    ] {
        assert_eq!(summary(template, &value), expected, "{template}");
    }
    let numbers = summary("{numbers}", &value);
    assert!(numbers.chars().count() == 120 && numbers.ends_with('…'), "{numbers}");
    let everything = summary(&"{long} ".repeat(10), &value);
    assert!(everything.chars().count() == 500 && everything.ends_with('…'), "{everything}");
}

#[test]
fn a_reason_may_have_lines_but_a_value_in_it_has_none() {
    let reason = |template: &str, who: &str| {
        let policy = policy(&format!("[[tools]]\nmatch = \"*\"\ndecision = \"ask\"\nreason = {template}\n"));
        let reason = ask(&policy, "x").reason(&arguments(&json!({"who": who})));
        reason.map(|reason| reason.as_str().to_owned())
    };
    let lines = reason("\"\"\"\nFor {who}:\r\n\tnow\"\"\"", "you\nApproved: yes");
    assert_eq!(lines.as_deref(), Some("For you Approved: yes:\n\tnow"));
    assert_eq!(reason("\"{who}\"", " "), None);
}

/// JSON that is within the profile of arguments.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z\\n\\t\u{202e}é🎈{} ]{0,200}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[ab.\\n]{0,2}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn a_rule_is_refused_only_if_an_earlier_one_leaves_nothing_for_it(
        earlier in "[ab*?/]{1,4}|\\[[ab]\\][ab*]{0,2}",
        later in "[ab*?/]{1,4}|\\[!?[ab]\\][ab*]{0,2}",
        names in prop::collection::vec("[abc/]{0,5}", 64),
    ) {
        let globs = (glob::Pattern::new(&earlier), glob::Pattern::new(&later));
        let (Ok(earlier), Ok(later)) = globs else { return Ok(()) };
        if super::includes(&earlier, &later) {
            for name in names {
                prop_assert!(!later.matches(&name) || earlier.matches(&name), "{earlier} {later} {name}");
            }
        }
    }

    #[test]
    fn whatever_the_arguments_are_there_is_a_summary(
        a in any_value(),
        b in any_value(),
        tool in any::<String>(),
        template in "([xé]{0,3}\\{(a|b|a\\.b|a\\.0|b\\.a\\.1|c)\\}| |\\{\\{|\\}\\}){1,12}",
    ) {
        // Parsing a summary checks it: rendering cannot give one that is not valid, but it could fail to give one.
        let arguments = arguments(&json!({"a": a, "b": b}));
        prop_assume!(!template.trim().is_empty());
        let text = format!(
            "[[tools]]\nmatch = \"*\"\ndecision = \"ask\"\nsummary = {0}\nreason = {0}\n", json!(template)
        );
        let policy = policy(&text);
        let terms = ask(&policy, &tool);
        let rendered = terms.summary(&tool, &arguments);
        prop_assert!(sayso_model::Summary::parse(rendered.as_str()).is_ok());
        if let Some(reason) = terms.reason(&arguments) {
            prop_assert!(reason.as_str().chars().count() <= 2_000);
        }
        let plain = super::summary::plain(&tool);
        prop_assert!(!plain.as_str().is_empty());
    }

    #[test]
    fn no_text_is_too_odd_to_be_judged(text in any::<String>()) {
        if let Ok(policy) = Policy::parse(&text) {
            policy.judge("a", QUIET);
        }
        // As a template: refused with what to change, or rendered.
        let quoted = json!(text);
        let file = format!("summary = {quoted}\n");
        if let Ok(policy) = Policy::parse(&file) {
            ask(&policy, "a").summary("a", &arguments(&json!({})));
        }
    }
}
