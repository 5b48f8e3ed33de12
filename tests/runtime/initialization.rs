use std::collections::BTreeSet;

use sayso_cloud::Clock;
use sayso_local::host::Backends;
use sayso_tests::{Function, Template};
use serde_json::Value;

use crate::deployment::{FUNCTIONS, environment, names, values};

/// What limits an agent.
const LIMITS: [&str; 6] = [
    "REQUESTS_PER_AGENT_PER_HOUR",
    "MAILS_PER_APPROVER_PER_HOUR",
    "PENDING_PER_AGENT",
    "DENIED_COOL_DOWN_SECONDS",
    "WAITS_PER_AGENT",
    "LONGEST_WAIT_SECONDS",
];

/// What each function is told, and nothing more: `redeem` learns its own host from the call, unless it has a name.
#[test]
fn the_template_gives_each_function_exactly_what_it_reads() {
    let template = Template::read();
    let readers = ["TABLE_NAME", "SIGNING_KEY_ID", "OTHER_SIGNING_KEY_ID"];
    // Every function gets this one.
    let set = |names: &[&str]| {
        names.iter().chain(&["EXTRA_ROOTS"]).map(|name| (*name).to_owned()).collect::<BTreeSet<_>>()
    };
    let told = |own: &[&str]| set(&[&readers[..], own].concat());
    let mcp = [
        "PAGE_URL",
        "MAIL_FROM",
        "REPLY_TO",
        "CONFIGURATION_SET",
        "TOKEN_LIFETIME_SECONDS",
        "RETENTION_DAYS",
    ];
    assert_eq!(names(&template, "Mcp"), told(&[&mcp[..], &LIMITS].concat()));
    assert_eq!(names(&template, "Page"), told(&["DECIDE_URL", "ENROL_URL"]));
    assert_eq!(
        names(&template, "Decide"),
        told(&["ENROLMENT_KEY_ID", "PAGE_URL", "ISSUER", "RETENTION_DAYS"])
    );
    assert_eq!(names(&template, "Redeem"), told(&["ISSUER", "RETENTION_DAYS"]));
    // These two read no approval, so they are told of no key that signs one.
    assert_eq!(names(&template, "Enrol"), set(&["TABLE_NAME", "ENROLMENT_KEY_ID"]));
    assert_eq!(names(&template, "Feedback"), set(&["TABLE_NAME", "RETENTION_DAYS"]));

    let all: BTreeSet<_> = FUNCTIONS.iter().flat_map(|(function, ..)| names(&template, function)).collect();
    assert_eq!(all, values("table", "key", "enrolment-key").into_keys().map(str::to_owned).collect());
    // A check holds a call open for 50 s, with three calls of 8 s around it; a sender outlives no such call.
    let timeout: u64 = template.property("Mcp", "Timeout").parse().expect("seconds");
    assert!((50 + 3 * 8..sayso_model::SENDING_LIMIT.as_secs()).contains(&timeout), "{timeout}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_variable_ends_the_binary_with_its_name_and_no_value() {
    let (template, backends) = started().await;
    for (function, binary, domain) in FUNCTIONS {
        let complete = environment(&template, function, &backends);
        let optional = [
            "EXTRA_ROOTS",
            "REPLY_TO",
            "CONFIGURATION_SET",
            "OTHER_SIGNING_KEY_ID",
            "TOKEN_LIFETIME_SECONDS",
            "RETENTION_DAYS",
        ];
        let optional = [&optional[..], &LIMITS].concat();
        let needed = |name: &String| {
            (function, name.as_str()) != ("Decide", "PAGE_URL")
                && !optional.contains(&name.as_str())
                && (function, name.as_str()) != ("Redeem", "ISSUER")
        };
        for name in names(&template, function).into_iter().filter(needed) {
            let without: Vec<_> = complete.iter().filter(|(other, _)| *other != name).cloned().collect();
            let mut started = Function::start(binary, domain, "128", &without).await;
            let told = started.init_error().await;
            assert!(told.contains(&name), "{binary} without {name}: {told}");
            // A line that the alarm counts.
            let line = told.lines().find(|line| line.contains("the function cannot start")).expect("a line");
            let line: Value = serde_json::from_str(line).expect("JSON");
            assert_eq!(line["level"], "ERROR", "{line}");
            names_no_value(&told, &without);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_variable_ends_the_binary_with_its_name_and_no_value() {
    let (template, backends) = started().await;
    let wrong = [
        ("Mcp", "MAIL_FROM", "nobody-at-all"),
        ("Mcp", "TOKEN_LIFETIME_SECONDS", "86401"),
        ("Mcp", "RETENTION_DAYS", "for-ever"),
        ("Mcp", "REQUESTS_PER_AGENT_PER_HOUR", "0"),
        ("Mcp", "WAITS_PER_AGENT", "101"),
        ("Mcp", "LONGEST_WAIT_SECONDS", "51"),
        ("Mcp", "MAILS_PER_APPROVER_PER_HOUR", "10001"),
        ("Mcp", "PENDING_PER_AGENT", "101"),
        ("Mcp", "DENIED_COOL_DOWN_SECONDS", "86401"),
        ("Feedback", "EXTRA_ROOTS", "-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----"),
        ("Page", "DECIDE_URL", "http://decide.example.com"),
        ("Page", "ENROL_URL", "http://enrol.example.com"),
        ("Enrol", "ENROLMENT_KEY_ID", "arn:aws:kms:eu-west-1:111122223333:key/none"),
        ("Decide", "ENROLMENT_KEY_ID", "arn:aws:kms:eu-west-1:111122223333:key/none"),
        ("Decide", "ISSUER", "http://issuer.example.com"),
        ("Decide", "RETENTION_DAYS", "-1"),
        ("Redeem", "ISSUER", "http://issuer.example.com"),
        ("Redeem", "RETENTION_DAYS", "0"),
        ("Redeem", "SIGNING_KEY_ID", "arn:aws:kms:eu-west-1:111122223333:key/none"),
        ("Feedback", "RETENTION_DAYS", "3651"),
        ("Page", "OTHER_SIGNING_KEY_ID", "arn:aws:kms:eu-west-1:111122223333:key/none"),
    ];
    for (function, name, value) in wrong {
        let (_, binary, domain) =
            FUNCTIONS.into_iter().find(|(known, ..)| *known == function).expect("a function");
        let mut given = environment(&template, function, &backends);
        given.iter_mut().filter(|(known, _)| known == name).for_each(|(_, known)| value.clone_into(known));
        let told = Function::start(binary, domain, "128", &given).await.init_error().await;
        // The key is named by what was asked of it.
        let named = if name.ends_with("_KEY_ID") { "GetPublicKey" } else { name };
        assert!(told.contains(named), "{binary} with {name}={value}: {told}");
        names_no_value(&told, &given);
    }
}

/// No value of a variable stands in the log, nor anything of the role's credentials.
fn names_no_value(told: &str, environment: &[(String, String)]) {
    let long = environment.iter().map(|(_, value)| value.as_str()).filter(|value| value.len() > 5);
    for value in long.chain(["the-secret-of-the-role", "the-session-of-the-role", "ASIAEXAMPLE"]) {
        assert!(!told.contains(value), "{value} stands in: {told}");
    }
}

async fn started() -> (Template, Backends) {
    (Template::read(), sayso_tests::backends(&Clock::system()).await)
}
