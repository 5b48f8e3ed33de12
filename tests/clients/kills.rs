use std::path::{Path, PathBuf};
use std::time::Duration;

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use sayso_cloud::{Clock, random};
use sayso_local::host::{Backends, Host, Settings};
use sayso_model::SENDING_LIMIT;
use sayso_tests::{Agent, Browser, Link, Local, Verdict, asking, six_free_ports};
use serde_json::Value;

/// A local host that is killed and started again on the same ports and file.
struct Killed {
    port: u16,
    data: PathBuf,
    key: String,
}

impl Killed {
    async fn start(&self) -> Local {
        Local::start_again(self.port, &self.data, &self.key).await
    }

    /// `kill -9`, and again from the file.
    async fn restart(&self, local: Local) -> (Local, Agent) {
        local.kill().await;
        let local = self.start().await;
        // The client's old session is gone with the old process.
        let agent = Agent::connect(local.ready.get("mcp_url"), &self.key).await;
        (local, agent)
    }
}

fn killed(directory: &Path) -> Killed {
    let data = directory.join("sayso.db");
    Killed { port: six_free_ports(), data, key: random::agent_key().expose().to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_any_two_steps_it_goes_on_where_it_was() {
    let directory = tempfile::tempdir().expect("a directory");
    let killed = killed(directory.path());
    let local = killed.start().await;
    let agent = Agent::connect(local.ready.get("mcp_url"), &killed.key).await;
    let asked = agent.ask("orders").await;
    let id = asked.field("approval_id");

    // After the request: it is there, and asking again is the same approval without a second mail.
    let (local, agent) = killed.restart(local).await;
    assert_eq!(agent.check(id).await.field("status"), "pending");
    assert_eq!(agent.ask("orders").await.structured, asked.structured);
    assert_eq!(local.messages().await.len(), 1);

    // After the mail was read: the link in it opens the page, and a page opened before sends its form.
    let link = local.links(id).await.remove(0);
    let browser = local.browser();
    let page = browser.open(&link.0).await;
    let (local, agent) = killed.restart(local).await;
    assert_eq!(agent.check(id).await.field("status"), "pending");
    let form = page.form();
    let fields = [("code", page.code()), ("note", "After a crash".to_owned())];
    let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
    let decided = browser.submit(&form, &fields, Some(("verdict", "approve"))).await;
    assert_eq!(decided.status, 200, "{}", decided.text());

    // After the decision: it stands, and its token verifies with the keys of the new process.
    let (local, agent) = killed.restart(local).await;
    let approved = agent.check(id).await;
    assert_eq!((approved.field("status"), approved.field("note")), ("approved", "After a crash"));
    let (local, agent) = killed.restart(local).await;
    assert_eq!(agent.check(id).await.structured, approved.structured);
    let claims = verified(&local, approved.field("approval_token")).await;
    assert_eq!(
        (claims["jti"].as_str(), claims["iss"].as_str()),
        (Some(id), Some(local.ready.get("issuer_url")))
    );
    let shown = browser.open(&link.0).await;
    assert!(shown.status == 200 && shown.forms().is_empty(), "{}", shown.text());
    let late = browser.submit(&form, &fields, Some(("verdict", "deny"))).await;
    assert_eq!(late.status, 409, "{}", late.text());
}

/// As any gate would, with an ordinary JWT library.
async fn verified(local: &Local, token: &str) -> Value {
    let keys =
        local.browser().open(&format!("{}/.well-known/jwks.json", local.ready.get("issuer_url"))).await;
    let keys: JwkSet = serde_json::from_str(&keys.html).expect("a key set");
    let kid = decode_header(token).expect("a header").kid.expect("a kid");
    let key = DecodingKey::from_jwk(keys.find(&kid).expect("its key")).expect("a key");
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_audience(&[local.ready.get("audience")]);
    validation.set_issuer(&[local.ready.get("issuer_url")]);
    decode::<Value>(token, &key, &validation).expect("a token").claims
}

/// The host is killed at whatever point the request has reached; the agent, which got no answer, asks again.
#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_of_asking_the_agents_retry_completes_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let killed = killed(directory.path());
    let mut local = killed.start().await;
    let mut asked = Vec::new();
    for round in 0..12_u64 {
        let table = format!("orders_{round}");
        let agent = Agent::connect(local.ready.get("mcp_url"), &killed.key).await;
        let arguments = asking(&table);
        let call = tokio::spawn(async move { agent.try_call("request_approval", arguments).await });
        Clock::system().sleep(Duration::from_millis(round)).await;
        let (again, agent) = killed.restart(local).await;
        local = again;
        let retried = agent.ask(&table).await;
        let id = retried.field("approval_id").to_owned();
        // Whatever the first call got, an answer or a broken connection, the retry has to know nothing of it.
        if let Ok(first) = call.await.expect("the task") {
            assert_eq!(first.field("approval_id"), id, "round {round}");
        }
        if local.links(&id).await.is_empty() {
            // For as long as the sender may live, the agent is told to wait, and then to ask again.
            let next = retried.field("next").to_owned() + agent.check(&id).await.field("next");
            assert!(next.contains("is on its way") && next.contains("Call request_approval again"), "{next}");
        }
        asked.push((table, id));
    }
    let browser = local.browser();
    local.kill().await;
    each_can_be_decided_later(&killed, &asked, &browser).await;
}

/// Once a sender that was killed counts as dead, the retry sends the mail; every link ever mailed is good.
async fn each_can_be_decided_later(killed: &Killed, asked: &[(String, String)], browser: &Browser) {
    let clock = Clock::scripted(Clock::system().now().plus(SENDING_LIMIT));
    let backends = Backends::start(Some(&killed.data), &clock).await.expect("the same file");
    let settings = Settings::new(killed.port).expect("the same ports");
    let host = Host::start(&backends, backends.endpoints.clone(), settings, clock).await.expect("functions");
    let agent = Agent::connect(&host.mcp_url, &killed.key).await;
    for (table, id) in asked {
        assert_eq!(agent.ask(table).await.field("approval_id"), id);
        let texts = backends.outbox.mails().expect("the outbox").into_iter().filter_map(|mail| mail.text);
        let start = format!("{}/{id}/", host.page_url);
        let links =
            texts.filter_map(|text| text.lines().find(|line| line.starts_with(&start)).map(str::to_owned));
        let links: Vec<_> = links.map(Link).collect();
        assert!(!links.is_empty(), "no mail about {table}");
        let page = browser.decide(&links[0], Verdict::Deny, "").await;
        assert_eq!(page.status, 200, "{table}: {}", page.text());
        for link in &links {
            assert_eq!(browser.open(&link.0).await.status, 200, "a dead link about {table}");
        }
        assert_eq!(agent.check(id).await.field("status"), "denied");
    }
}
