//! Everything an agent can read while its request is pending, tried as everything an approver could send.

use std::collections::BTreeSet;
use std::sync::Arc;

use rmcp::model::ProtocolVersion;
use sayso_cloud::random;
use sayso_tests::{Agent, Browser, Page, Protocol, Raw, RawAnswer, World, asking};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::inspect::assert_pending;

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// How many requests are on their way at once.
const AT_ONCE: usize = 64;

/// Texts that an agent has seen: whole, and every part of them that could be an id, a secret, a code or an address.
#[derive(Default)]
struct Seen(BTreeSet<String>);

impl Seen {
    fn text(&mut self, text: &str) {
        let text = text.trim();
        // Whole texts as long as an answer's body are no id and no secret: their parts are tried.
        if text.len() <= 2_000 {
            self.0.insert(text.to_owned());
        }
        for word in text.split(|c: char| c.is_whitespace() || "\"'<>(),;`=".contains(c)) {
            let word = word.trim_end_matches(['.', ':']);
            self.0.insert(word.to_owned());
            self.0.extend(
                word.split(|c: char| !c.is_ascii_alphanumeric() && !"-_".contains(c)).map(str::to_owned),
            );
        }
    }

    fn json(&mut self, value: &Value) {
        match value {
            Value::String(text) => match serde_json::from_str::<Value>(text) {
                Ok(inner @ (Value::Object(_) | Value::Array(_))) => self.json(&inner),
                _ => self.text(text),
            },
            Value::Array(items) => items.iter().for_each(|item| self.json(item)),
            Value::Object(members) => members.iter().for_each(|(key, member)| {
                self.text(key);
                self.json(member);
            }),
            Value::Number(number) => self.text(&number.to_string()),
            Value::Bool(_) | Value::Null => {}
        }
    }

    fn answer(&mut self, headers: &reqwest::header::HeaderMap, body: &str) {
        for value in headers.values() {
            self.text(&String::from_utf8_lossy(value.as_bytes()));
        }
        match serde_json::from_str::<Value>(body) {
            Ok(value) => self.json(&value),
            Err(_) => self.text(body),
        }
    }

    fn raw(&mut self, answer: &RawAnswer) {
        self.answer(&answer.headers, &answer.body);
    }

    fn page(&mut self, page: &Page) {
        // The style sheet is every page's, and in the repository.
        let (before, rest) = page.html.split_once("<style>").unwrap_or((&page.html, ""));
        let after = rest.split_once("</style>").map_or(rest, |(_, after)| after);
        self.answer(&page.headers, &format!("{before}{after}"));
    }
}

/// Calls everything an agent can call, rightly and wrongly.
async fn everything_an_agent_can_read(raw: &Raw, approval_id: &str) -> Seen {
    let mut seen = Seen::default();
    let keyed = |key: &str| {
        let mut arguments = asking("customers_2019");
        arguments["idempotency_key"] = json!(key);
        arguments.to_string()
    };
    let own = json!({"approval_id": approval_id}).to_string();
    let check = json!({"approval_id": approval_id, "wait_seconds": 0}).to_string();
    let unknown = json!({"approval_id": "01JD3V8Q5Z7XW2N4M6K8P0R1ST"}).to_string();
    let calls = [
        ("request_approval", asking("customers_2019").to_string()),
        ("request_approval", keyed("first")),
        ("request_approval", keyed("first")),
        ("request_approval", keyed("second")),
        ("request_approval", asking("customers_2019").to_string().replace("drop_table", "")),
        ("request_approval", "{}".to_owned()),
        ("request_approval", r#"{"a":1,"a":2}"#.to_owned()),
        ("check_approval", check),
        ("check_approval", unknown.clone()),
        ("check_approval", own.replace(approval_id, "nonsense")),
        ("check_approval", "[]".to_owned()),
        ("withdraw_approval", unknown),
        ("decide", own),
    ];
    for protocol in Protocol::ALL {
        for (tool, arguments) in &calls {
            seen.raw(&raw.call(protocol, tool, arguments).await);
        }
        let list = |method| {
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"x":1{}}}}}"#, protocol.meta())
        };
        for method in
            ["tools/list", "server/discover", "initialize", "resources/list", "prompts/list", "ping", "x"]
        {
            seen.raw(&raw.post(&protocol.headers(method, method), list(method)).await);
        }
    }
    for body in ["", "{", "[]", "7", "{}"] {
        seen.raw(&raw.post(&[], body).await);
    }
    for authorization in [None, Some("Bearer sayso_agent_wrong"), Some("Basic YTpi")] {
        seen.raw(&raw.with_authorization(authorization).post(&[], "{}").await);
    }
    seen
}

/// And what lies open to anybody who knows the addresses it was told.
async fn everything_in_the_open(world: &World, seen: &mut Seen, approval_id: &str) {
    let host = &world.host;
    let mcp = host.mcp_url.trim_end_matches("/mcp");
    let browser = world.browser();
    for url in [
        format!("{}/{approval_id}", host.page_url),
        host.page_url.clone(),
        format!("{}/{approval_id}", host.decide_url),
        host.decide_url.clone(),
        format!("{}/.well-known/jwks.json", host.issuer_url),
        host.issuer_url.clone(),
        format!("{mcp}/.well-known/oauth-protected-resource"),
        format!("{mcp}/.well-known/oauth-protected-resource/mcp"),
        mcp.to_owned(),
        host.mcp_url.clone(),
    ] {
        for method in METHODS {
            seen.page(&browser.request(method, &url, None).await);
        }
    }
}

/// A request to try: method, address, and a form to send.
type Attempt = (&'static str, String, Option<String>);

fn encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// One text as path, id, secret, code and address, everywhere and with every method.
fn attempts(world: &World, approval_id: &str, text: &str) -> Vec<Attempt> {
    let host = &world.host;
    let (page, decide, issuer) = (&host.page_url, &host.decide_url, &host.issuer_url);
    let mcp = host.mcp_url.trim_end_matches("/mcp");
    let part = encode(text);
    let mut urls = vec![
        format!("{page}/{part}"),
        format!("{page}/{approval_id}/{part}"),
        format!("{decide}/{part}"),
        format!("{decide}/{approval_id}/{part}"),
        format!("{issuer}/{part}"),
        format!("{mcp}/{part}"),
    ];
    let own = [page, decide, issuer].into_iter().any(|base| text.starts_with(base.as_str()));
    if own || text.starts_with(mcp) {
        urls.push(text.to_owned());
    }
    let mut attempts: Vec<Attempt> = Vec::new();
    for url in urls {
        attempts.extend(METHODS.map(|method| (method, url.clone(), None)));
    }
    for verdict in ["approve", "deny"] {
        for (secret, code) in [(part.as_str(), part.as_str()), (part.as_str(), "000000")] {
            let form = format!("secret={secret}&code={code}&verdict={verdict}&note=");
            attempts.push(("POST", format!("{decide}/{approval_id}"), Some(form.clone())));
            attempts.push(("POST", format!("{decide}/{part}"), Some(form)));
        }
    }
    attempts
}

async fn try_everything(world: &World, approval_id: &str, seen: &Seen) -> usize {
    let gate = Arc::new(Semaphore::new(AT_ONCE));
    let browser: Browser = world.browser();
    let mut tasks = JoinSet::new();
    let mut count = 0;
    for text in &seen.0 {
        for (method, url, form) in attempts(world, approval_id, text) {
            count += 1;
            let permit = Arc::clone(&gate).acquire_owned().await.expect("a permit");
            let browser = browser.clone();
            tasks.spawn(async move {
                let page = browser.request(method, &url, form.clone()).await;
                drop(permit);
                let shows = ["<h1>Approved", "<h1>Denied", "You approved", "You denied"];
                assert!(!shows.iter().any(|word| page.html.contains(word)), "{method} {url} {form:?}");
                assert_ne!(page.status, 500, "{method} {url}");
            });
        }
        while let Some(done) = tasks.try_join_next() {
            done.expect("an attempt");
        }
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("an attempt");
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_an_agent_can_read_decides() {
    let world = World::new().await;
    let agent = world.agent().await;
    let asked = agent.ask("customers_2019").await;
    let id = asked.field("approval_id").to_owned();
    let raw = world.raw();
    let mut seen = everything_an_agent_can_read(&raw, &id).await;
    seen.json(&serde_json::to_value(agent.tools().await).unwrap());
    everything_in_the_open(&world, &mut seen, &id).await;
    seen.text(world.agent_key.expose());

    // Another agent, with an approver of its own, that asks for the same and for the first one's id.
    let other_key = random::agent_key();
    world.register(&other_key, "other-bot", "sam@example.com", &["production"]).await;
    let other = Raw::new(&world.host.mcp_url, other_key.expose());
    let theirs = everything_an_agent_can_read(&other, &id).await;
    seen.0.extend(theirs.0);
    seen.text(other_key.expose());
    let old =
        Agent::try_connect(&world.host.mcp_url, world.agent_key.expose(), ProtocolVersion::V_2025_03_26)
            .await
            .unwrap();
    seen.json(&old.check(&id).await.structured);

    // What only the approver has is in none of it.
    let link = world.link(&id);
    let page = world.browser().open(&link.0).await;
    let code = page.code();
    let shown = format!("{} {}", &code[..3], &code[3..]);
    for text in &seen.0 {
        assert!(!text.contains(link.secret()), "an agent saw the secret: {text}");
        assert!(!text.contains(&code) && !text.contains(&shown), "an agent saw the code: {text}");
        assert!(!text.contains("alex@"), "an agent saw its approver's address: {text}");
    }
    let mails = world.mails().len();

    let count = try_everything(&world, &id, &seen).await;
    assert!(
        seen.0.len() > 300 && count > 10_000,
        "{} texts, {count} attempts: too few to mean anything",
        seen.0.len()
    );
    assert_pending(&world, &id).await;
    assert_eq!(world.mails().len(), mails);
    assert_eq!(world.browser().open(&link.0).await.code(), code, "the link still decides");
}
