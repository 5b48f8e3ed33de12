//! Another site, another request's approver, a guesser: whoever does not hold this request's link learns nothing.

use sayso_tests::{Browser, Page, Verdict, World, asking};

use crate::inspect::{assert_inert, assert_pending, indistinguishable};

const UNKNOWN: &str = "01JD3V8Q5Z7XW2N4M6K8P0R1ST";
/// The path of the page for invitations.
const ENROLMENT: &str = "passkey";
const GUESS: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What every answer to a browser carries.
const HEADERS: [(&str, &[&str]); 9] = [
    (
        "content-security-policy",
        &["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action "],
    ),
    ("x-frame-options", &["DENY"]),
    ("referrer-policy", &["no-referrer"]),
    ("cache-control", &["no-store"]),
    ("x-content-type-options", &["nosniff"]),
    ("strict-transport-security", &["max-age="]),
    ("x-robots-tag", &["noindex"]),
    ("cross-origin-opener-policy", &["same-origin"]),
    ("content-type", &["text/html; charset=utf-8"]),
];

struct Two {
    world: World,
    browser: Browser,
    ids: [String; 2],
    secrets: [String; 2],
    codes: [String; 2],
}

/// Two pending requests with their links.
async fn two_requests() -> Two {
    let world = World::new().await;
    let (agent, browser) = (world.agent().await, world.browser());
    let mut found = Vec::new();
    for table in ["customers_2019", "customers_2020"] {
        let id = agent.ask(table).await.field("approval_id").to_owned();
        let link = world.link(&id);
        let code = browser.open(&link.0).await.code();
        found.push((id, link.secret().to_owned(), code));
    }
    let [first, second]: [_; 2] = found.try_into().expect("two");
    let (ids, secrets, codes) = ([first.0, second.0], [first.1, second.1], [first.2, second.2]);
    Two { world, browser, ids, secrets, codes }
}

fn form(secret: &str, code: &str, verdict: &str) -> Option<String> {
    Some(format!("secret={secret}&code={}&note=&verdict={verdict}", code.replace(' ', "+")))
}

#[tokio::test]
async fn whoever_lacks_the_link_gets_the_answer_for_an_unknown_id() {
    let Two { world, browser, ids: [a, b], secrets: [own, other], codes: [own_code, other_code] } =
        two_requests().await;
    let (page, decide) = (world.host.page_url.clone(), world.host.decide_url.clone());
    let unknown = indistinguishable(&browser.open(&format!("{page}/{UNKNOWN}/{GUESS}")).await);
    assert_eq!(unknown.0, 404);
    for path in [
        format!("/{a}/{other}"),
        format!("/{b}/{own}"),
        format!("/{a}/{GUESS}"),
        format!("/{UNKNOWN}/{own}"),
        format!("/{UNKNOWN}"),
        format!("/{a}/{}", own.to_lowercase()),
        format!("/{a}/{}", &own[..42]),
        format!("/{a}/{own}a"),
        format!("/{a}/{own}/x"),
        format!("/{}/{own}", a.to_lowercase()),
        format!("/{a}/{other}/"),
        format!("/{a}/{GUESS}."),
        "/nonsense".to_owned(),
        "/".to_owned(),
        "/%ff%fe".to_owned(),
    ] {
        assert_eq!(indistinguishable(&browser.open(&format!("{page}{path}")).await), unknown, "{path}");
    }

    // What mail clients and people add to a link does not count: nothing of the secret is missing.
    for added in ["/", ".", ")", "%3E", "%20", "%C2%A0", "=", "%00", ",%22"] {
        assert_eq!(browser.open(&format!("{page}/{a}/{own}{added}")).await.status, 200, "{added}");
        assert_eq!(browser.open(&format!("{page}/{a}{added}")).await.status, 200, "{added}");
    }

    let post = async |id: &str, body: Option<String>| {
        indistinguishable(&browser.request("POST", &format!("{decide}/{id}"), body).await)
    };
    let unknown = post(UNKNOWN, form(GUESS, "123456", "approve")).await;
    assert_eq!(unknown.0, 404);
    for verdict in ["approve", "deny", "", "maybe"] {
        for (id, secret, code) in [
            (&a, &other, &other_code),
            (&a, &other, &own_code),
            (&b, &own, &own_code),
            (&a, &GUESS.to_owned(), &own_code),
            (&a, &String::new(), &own_code),
            (&UNKNOWN.to_owned(), &own, &own_code),
            (&a.to_lowercase(), &own, &own_code),
            (&"nonsense".to_owned(), &own, &own_code),
        ] {
            assert_eq!(post(id, form(secret, code, verdict)).await, unknown, "{id} {secret} {verdict}");
        }
        // A post from another site knows the id at most.
        assert_eq!(post(&a, Some(format!("code={own_code}&verdict={verdict}"))).await, unknown);
    }
    assert_pending(&world, &a).await;
    assert_pending(&world, &b).await;
}

#[tokio::test]
async fn a_wrong_secret_looks_the_same_whatever_became_of_the_request() {
    let Two { world, browser, ids: [a, b], secrets: [own, _], .. } = two_requests().await;
    let guess = format!("{}/{a}/{GUESS}", world.host.page_url);
    let decide = format!("{}/{a}", world.host.decide_url);
    let before = indistinguishable(&browser.open(&guess).await);
    let decide_before =
        indistinguishable(&browser.request("POST", &decide, form(GUESS, "123456", "approve")).await);
    browser.decide(&world.link(&a), Verdict::Approve, "fine").await;
    assert_eq!(indistinguishable(&browser.open(&guess).await), before);
    let decide_after = browser.request("POST", &decide, form(GUESS, "123456", "approve")).await;
    assert_eq!(indistinguishable(&decide_after), decide_before);
    // A used link is no key to another request either.
    assert_eq!(browser.open(&format!("{}/{b}/{own}", world.host.page_url)).await.status, 404);
    world.pass(3_601);
    let (other, guess) = (world.link(&b), format!("{}/{b}/{GUESS}", world.host.page_url));
    assert_eq!(indistinguishable(&browser.open(&guess).await), before, "also when it has expired");
    assert_eq!(browser.open(&other.0).await.status, 200);
}

#[tokio::test]
async fn the_status_page_shows_the_state_and_nothing_that_decides_or_tells_more() {
    let world = World::new().await;
    let agent = world.agent().await;
    let asked = agent.ask("customers_2019").await;
    let id = asked.field("approval_id").to_owned();
    let page = world.browser().open(asked.field("status_url")).await;
    assert_eq!(page.status, 200);
    assert!(page.forms().is_empty() && page.links().is_empty());
    assert_inert(&page.html);
    let link = world.link(&id);
    for private in [link.secret(), "drop_table", "customers", "deploy-bot", "alex", "Drop the table"] {
        assert!(!page.html.contains(private), "{private}");
    }
    world.browser().decide(&link, Verdict::Deny, "not on a Friday").await;
    let page = world.browser().open(asked.field("status_url")).await;
    assert!(page.text().contains("Denied") && !page.html.contains("Friday"));
}

/// One answer of every kind that page, decide and enrol have, by what was asked.
async fn every_kind_of_answer(two: &Two) -> Vec<(String, u16, Page)> {
    let Two { world, browser, ids: [a, b], secrets: [own, _], codes: [code, _] } = two;
    let (page, decide, enrol) = (&world.host.page_url, &world.host.decide_url, &world.host.enrol_url);
    let link = format!("{page}/{a}/{own}");
    let target = format!("{decide}/{a}");
    let long = form(own, code, &"x".repeat(30_000));
    let mut cases: Vec<(&str, String, Option<String>, u16)> = vec![
        ("GET", link.clone(), None, 200),
        ("HEAD", link.clone(), None, 200),
        ("GET", format!("{page}/{a}"), None, 200),
        ("GET", format!("{page}/{UNKNOWN}"), None, 404),
        ("GET", format!("{page}/"), None, 404),
        ("GET", format!("{page}/favicon.ico"), None, 404),
        ("GET", format!("{page}/{a}/{own}/more"), None, 404),
        ("GET", format!("{page}/%ff/%ff"), None, 404),
        ("POST", link.clone(), form(own, code, "approve"), 405),
        ("OPTIONS", link.clone(), None, 405),
        ("TRACE", link.clone(), None, 405),
        ("POST", target.clone(), form(own, "000", "approve"), 422),
        ("POST", target.clone(), form(own, code, "maybe"), 422),
        ("POST", target.clone(), form(GUESS, code, "approve"), 404),
        ("POST", format!("{decide}/"), None, 404),
        ("POST", target.clone(), long, 413),
        ("POST", target.clone(), Some("secret=%".to_owned()), 404),
        ("POST", target.clone(), Some("secret=a&secret=b".to_owned()), 400),
        ("POST", target.clone(), None, 415),
        ("GET", format!("{page}/{ENROLMENT}"), None, 200),
        ("GET", format!("{page}/{ENROLMENT}x"), None, 404),
        ("POST", format!("{enrol}/"), Some("invitation=a.b.c".to_owned()), 404),
        ("POST", format!("{enrol}/"), None, 400),
        ("POST", format!("{enrol}/{a}"), Some(String::new()), 404),
        ("GET", format!("{enrol}/"), None, 405),
    ];
    cases.extend(
        ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"]
            .map(|method| (method, target.clone(), None, 405)),
    );
    // From here on it is decided.
    cases.push(("POST", target.clone(), form(own, code, "approve"), 200));
    cases.push(("POST", target, form(own, code, "deny"), 409));
    cases.push(("GET", link, None, 200));
    cases.push(("GET", format!("{page}/{b}"), None, 200));
    let mut answers = Vec::new();
    for (method, url, body, status) in cases {
        answers.push((format!("{method} {url}"), status, browser.request(method, &url, body).await));
    }
    answers
}

#[tokio::test]
async fn every_answer_forbids_framing_scripts_caching_and_referrers() {
    let two = two_requests().await;
    for (what, status, page) in every_kind_of_answer(&two).await {
        assert_eq!(page.status, status, "{what}: {}", page.html);
        for (name, parts) in HEADERS {
            for part in parts {
                assert!(page.header(name).contains(part), "{what}: {name}: {}", page.header(name));
            }
        }
        let policy = page.header("content-security-policy");
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        // A passkey takes a script: the one that its hash names.
        let with_script = what.ends_with(ENROLMENT);
        assert_eq!(policy.matches("script-src 'sha256-").count(), usize::from(with_script), "{policy}");
        assert_eq!(policy.matches("script-src").count(), usize::from(with_script), "{policy}");
        assert!(
            page.headers.get("access-control-allow-origin").is_none()
                && page.headers.get("set-cookie").is_none()
        );
        if !with_script {
            assert_inert(&page.html);
        }
    }
    // The failing ones too: the table does not answer.
    let Two { world, browser, ids: [_, b], secrets: [_, other], codes: [_, code] } = &two;
    let (page, decide) = (&world.host.page_url, &world.host.decide_url);
    for (method, url, body) in [
        ("GET", format!("{page}/{b}/{other}"), None),
        ("GET", format!("{page}/{b}"), None),
        ("POST", format!("{decide}/{b}"), form(other, code, "approve")),
    ] {
        world.tap.break_next("BatchGetItem", sayso_tests::Fault::Refuse(400, "AccessDeniedException"));
        let answer = browser.request(method, &url, body).await;
        assert_eq!(answer.status, 500, "{method} {url}");
        for (name, parts) in HEADERS {
            assert!(parts.iter().all(|part| answer.header(name).contains(part)), "{method} {url}: {name}");
        }
    }
}

#[tokio::test]
async fn a_browser_that_another_site_drives_cannot_speak_for_the_agent() {
    let world = World::new().await;
    let body = sayso_tests::Protocol::New.call("request_approval", &asking("customers_2019").to_string());
    let mut headers = sayso_tests::Protocol::New.headers("tools/call", "request_approval");
    headers.push(("origin", "https://evil.example".to_owned()));
    let answer = world.raw().post(&headers, body).await;
    assert_eq!(answer.status, 403, "{}", answer.body);
    assert!(world.mails().is_empty() && world.table().keys("REQUEST#").await.is_empty());
}
