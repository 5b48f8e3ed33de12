use std::time::Duration;

use sayso_model::token::ApprovalToken;
use sayso_model::{
    Action, AgentName, ApprovalId, ApproverId, Audience, CanonicalJson, ClosedApproval, DecidingLink,
    Decision, LinkSecret, Note, Outcome, ProvenBy, Reason, Request, Status, Summary, Timestamp,
    TokenLifetime, ToolName,
};

use super::{Approving, Form, FormErrors, Telling, deciding, status};

fn now() -> Timestamp {
    Timestamp::from_unix_seconds(1_795_380_180).unwrap()
}

fn link(request: &Request) -> DecidingLink {
    DecidingLink::admit(secret(), request, None).unwrap()
}

fn secret() -> LinkSecret {
    LinkSecret::from_random([7; 32])
}

fn request(arguments: &str) -> Request {
    Request {
        id: ApprovalId::new(now(), 7),
        agent: AgentName::parse("release-bot").unwrap(),
        approver: ApproverId::parse("ops-lead").unwrap(),
        audience: Audience::parse("billing-db").unwrap(),
        action: Action {
            tool: ToolName::parse("db.drop_table").unwrap(),
            arguments: CanonicalJson::parse(arguments).unwrap(),
        },
        summary: Summary::parse("<b>Just</b> a cleanup").unwrap(),
        reason: Some(Reason::parse("Approved by \u{202e}security").unwrap()),
        created_at: now(),
        closes_at: now().plus(Duration::from_secs(3600)),
        token_lifetime: TokenLifetime::from_seconds(5400).unwrap(),
        link_secret_hash: secret().hash(),
    }
}

fn asked(request: &Request, code: &str, note: &str, errors: &FormErrors) -> String {
    let (target, approving) = ("https://decide.example/ID", Approving::ByCode);
    let form = Form { target, link: &link(request), approving, code, note, errors };
    deciding(request, None, &form, now()).into_string()
}

fn ended(request: &Request, outcome: Outcome, telling: Telling, at: Timestamp) -> String {
    super::outcome(&ClosedApproval { request: request.clone().into(), outcome }, telling, at).into_string()
}

#[test]
fn the_code_is_the_one_of_the_request_that_is_shown() {
    let (one, other) = (request(r#"{"table":"a"}"#), request(r#"{"table":"b"}"#));
    let code = |request: &Request| link(request).code().to_string();
    let page = asked(&one, "", "", &FormErrors::default());
    assert!(page.contains(&code(&one)) && !page.contains(&code(&other)));
    assert!(page.contains(&one.action.digest().to_string()));
}

#[test]
fn the_agents_words_come_after_the_action_and_escaped() {
    let page = asked(&request("{}"), "", "", &FormErrors::default());
    let action = page.find("<pre").unwrap();
    let label = page.find("Its own words.").unwrap();
    let words = page.find("&lt;b&gt;Just&lt;/b&gt; a cleanup").unwrap();
    let buttons = page.find("name=\"verdict\" value=\"approve\"").unwrap();
    assert!(action < label && label < words && words < buttons);
    assert!(page.contains("1 mark below, in the agent’s words, names characters that cannot be seen"));
}

#[test]
fn enter_presses_a_button_that_does_nothing() {
    let page = asked(&request("{}"), "", "", &FormErrors::default());
    let first = page.split("<button").nth(1).unwrap();
    assert!(first.starts_with(" type=\"submit\" disabled hidden>"));
    assert!(page.contains("<form method=\"post\" action=\"https://decide.example/ID\""));
    assert_eq!(page.matches(&secret().expose()).count(), 1);
}

#[test]
fn what_was_typed_comes_back_as_it_was() {
    let errors = FormErrors { note: Some("The note is long.".into()), ..FormErrors::default() };
    let page = asked(&request("{}"), "123 456", "\n</textarea><script>", &errors);
    assert!(page.contains("value=\"123 456\""));
    assert!(
        page.contains(">\n\n&lt;/textarea&gt;&lt;script&gt;</textarea>"),
        "a browser drops the first line feed"
    );
    assert!(page.contains("role=\"alert\">The note is long."));
    assert!(page.contains("aria-describedby=\"note-error\" autofocus>"));
}

#[test]
fn the_page_says_until_when_and_for_how_long_before_anyone_decides() {
    let page = asked(&request("{}"), "", "", &FormErrors::default());
    assert!(page.contains("Approving lets exactly this run once, within 90 minutes of your approval"));
    assert!(page.contains("Sunday 22 November 2026, 21:43 UTC"));
    assert!(page.contains("email-link") && !page.to_lowercase().contains("human verified"));
}

#[test]
fn an_outcome_tells_everything_but_the_token() {
    let note = Note::parse("Take the \u{200b}backup <first>").unwrap();
    let decision = Decision { at: now(), proven_by: ProvenBy::EmailLink, passkey: None, note };
    let token = ApprovalToken::from_text("header.claims.signature");
    let approved = Outcome::Approved { decision, token };
    let request = request("{}");
    let page = ended(&request, approved.clone(), Telling::Visit, now());
    for shown in [
        "was approved",
        "20:43 UTC",
        "email-link",
        "&lt;first&gt;",
        "U+200B",
        "until Sunday 22 November 2026, 22:13",
    ] {
        assert!(page.contains(shown), "{shown}");
    }
    assert!(!page.contains("claims.signature") && !page.contains("<form"));
    let after = now().plus(Duration::from_secs(5400));
    assert!(ended(&request, approved, Telling::Visit, after).contains("That time is over."));
}

#[test]
fn nobody_answering_is_not_a_denial() {
    let request = request("{}");
    let page = ended(&request, Outcome::Expired { at: request.closes_at }, Telling::TooLate, now());
    assert!(page.contains("This is not a denial") && page.contains("changed nothing"));
    assert!(!page.contains("Denied"));
}

#[test]
fn the_status_page_knows_no_names() {
    let request = request(r#"{"table":"invoices"}"#);
    let page = status(request.id, Status::Pending).into_string();
    for name in ["release-bot", "ops-lead", "billing-db", "db.drop_table", "invoices", "cleanup"] {
        assert!(!page.contains(name), "{name}");
    }
    assert!(page.contains("Waiting for a decision") && !page.contains("<form"));
}
