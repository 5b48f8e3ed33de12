//! A gate that is killed between any two steps: the next one goes on, and nothing runs twice.

use std::sync::Arc;

use reqwest::{Client, RequestBuilder};
use sayso_cloud::Clock;
use sayso_tests::{Fault, Program, Verdict, World};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::raw::{Raw, Site};

const ARGUMENTS: &str = r#"{"table":"customers"}"#;

// Promise: A gate that was killed finds the approval again, and runs the call once.
#[tokio::test]
async fn killed_before_it_is_answered_a_gate_finds_the_approval_again() {
    let site = Site::new().await;
    site.policy("wait_seconds = 45\n");
    let mut gate = site.gate().await;
    gate.ask("tools/call", &format!(r#"{{"name":"drop_table","arguments":{ARGUMENTS}}}"#)).await;
    let id = site.mailed_approval().await;
    gate.kill().await;

    site.policy("wait_seconds = 0\n");
    let mut gate = site.gate().await;
    assert_eq!(gate.asks("drop_table", ARGUMENTS).await, id, "while it waits");
    gate.kill().await;
    site.decide(&id, Verdict::Approve, "").await;

    let mut gate = site.gate().await;
    assert_eq!(gate.call("drop_table", ARGUMENTS).await, "ran drop_table", "decided while no gate ran");
    assert_eq!((site.calls().len(), site.mails().await), (1, 1));
    assert_ne!(gate.asks("drop_table", ARGUMENTS).await, id, "once");
}

/// What a gate says of an approval that was used, when nobody knows what came of it; and that it asks anew after that.
async fn reports_and_asks_anew(site: &Site, gate: &mut Raw, id: &str, ran: usize) {
    reports_and_asks_anew_of("drop_table", site, gate, id, ran).await;
}

async fn reports_and_asks_anew_of(tool: &str, site: &Site, gate: &mut Raw, id: &str, ran: usize) {
    let text = gate.call(tool, ARGUMENTS).await;
    assert!(text.contains(id) && text.contains("was used at") && text.contains("Nothing ran now"), "{text}");
    assert_eq!(site.calls().len(), ran);
    assert_ne!(gate.asks(tool, ARGUMENTS).await, id);
    assert_eq!(site.calls().len(), ran);
}

/// The gate dies while its redemption is on the way: before the issuer has recorded it, and after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_it_redeems_a_gate_runs_the_call_later_or_reports_it() {
    for recorded in [false, true] {
        let world = World::at(Clock::system().now()).await;
        let site = Site::beside(&world);
        let mut gate = site.gate().await;
        let id = gate.asks("drop_table", ARGUMENTS).await;
        world.browser().decide(&world.link(&id), Verdict::Approve, "").await;
        let never = Arc::new(Semaphore::new(0));
        let fault = if recorded { Fault::HoldAnswer(never) } else { Fault::Hold(never) };
        world.tap.take_calls();
        world.tap.break_next("PutItem", fault);
        gate.ask("tools/call", &format!(r#"{{"name":"drop_table","arguments":{ARGUMENTS}}}"#)).await;
        while !world.tap.take_calls().contains(&"PutItem".to_owned()) {
            tokio::task::yield_now().await;
        }
        while recorded && world.table().keys("REDEMPTION#").await.is_empty() {
            tokio::task::yield_now().await;
        }
        gate.kill().await;
        world.tap.mend();
        let mut gate = site.gate().await;
        if recorded {
            reports_and_asks_anew(&site, &mut gate, &id, 0).await;
        } else {
            assert_eq!(gate.call("drop_table", ARGUMENTS).await, "ran drop_table");
            assert_eq!(site.calls().len(), 1);
        }
    }
}

/// The server has the call, and the gate dies before it has the answer.
// Promise: A call that may have run before a crash is reported as such, and never run again on the same approval.
#[tokio::test]
async fn killed_while_it_runs_a_gate_does_not_run_it_again() {
    let site = Site::new().await;
    let mut gate = site.gate().await;
    let id = gate.asks("hang", ARGUMENTS).await;
    site.decide(&id, Verdict::Approve, "").await;
    gate.ask("tools/call", &format!(r#"{{"name":"hang","arguments":{ARGUMENTS}}}"#)).await;
    while site.calls().is_empty() {
        tokio::task::yield_now().await;
    }
    gate.kill().await;
    let mut gate = site.gate().await;
    let text = gate.call("hang", ARGUMENTS).await;
    assert!(text.contains(&id) && text.contains("may have run"), "{text}");
    assert_ne!(gate.asks("hang", ARGUMENTS).await, id);
    assert_eq!(site.calls().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_approval_lets_one_of_many_identical_calls_through() {
    let site = Site::new().await;
    site.policy("wait_seconds = 45\n");
    let mut gates = Vec::new();
    for _ in 0..3 {
        let mut gate = site.gate().await;
        for token in ["a", "b"] {
            let meta = format!(r#"{{"progressToken":"{token}"}}"#);
            gate.ask(
                "tools/call",
                &format!(r#"{{"name":"drop_table","arguments":{ARGUMENTS},"_meta":{meta}}}"#),
            )
            .await;
        }
        // Progress is told once it is known what is waited for.
        while ["a", "b"].iter().any(|token| !gate.heard_progress(token)) {
            gate.hear().await;
        }
        gates.push(gate);
    }
    let id = site.mailed_approval().await;
    site.decide(&id, Verdict::Approve, "").await;
    let mut ran = 0;
    for gate in &mut gates {
        for _ in 0..2 {
            let answer = gate.answer().await;
            let text = answer["result"]["content"][0]["text"].as_str().expect("text");
            ran += usize::from(text == "ran drop_table");
            assert!(text == "ran drop_table" || text.contains("was used at"), "{text}");
        }
    }
    assert_eq!((ran, site.calls().len(), site.mails().await), (1, 1, 1));
}

/// Clients cancel a call because it takes long. What was approved is not left half done, and nobody is asked about it twice.
#[tokio::test]
async fn given_up_while_it_runs_a_call_goes_on_and_its_answer_is_kept_for_the_same_call() {
    let site = Site::new().await;
    let mut gate = site.gate().await;
    let approval = gate.asks("late", ARGUMENTS).await;
    site.decide(&approval, Verdict::Approve, "").await;
    let call = format!(r#"{{"name":"late","arguments":{ARGUMENTS}}}"#);
    let id = gate.ask("tools/call", &call).await;
    while site.calls().is_empty() {
        tokio::task::yield_now().await;
    }
    // Half of a character that was cut in two, as clients write it.
    let params = format!(r#"{{"requestId":{id},"reason":"\ud83d"}}"#);
    gate.send(&format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{params}}}"#)).await;
    let text = gate.call_with(&call).await;
    assert!(text.contains("is running") && text.contains("does not run it twice"), "{text}");
    // This has the server answer late calls, and then this.
    gate.request("ping", "{}").await;
    let answer = gate.request("tools/call", &call).await;
    assert_eq!(answer["result"]["content"], json!([]), "{answer}");
    assert_eq!((site.calls().len(), site.mails().await), (1, 1));
    let received = std::fs::read_to_string(site.path("received")).expect("what was received");
    assert!(!received.contains("cancelled"), "{received}");
    // Delivered once, it is the answer to nothing more.
    assert_ne!(gate.asks("late", ARGUMENTS).await, approval);
}

/// A client over HTTP, in a session.
struct Session {
    _gate: Program,
    url: String,
    id: String,
}

impl Session {
    async fn of(site: &Site) -> Self {
        let mut gate = Program::start(site.command_with(&["--listen", "127.0.0.1:0"]).await);
        let line = gate.error_with("http://127.0.0.1:").await;
        let url = line.split_whitespace().find(|word| word.starts_with("http://")).expect("an address");
        let mut session = Self { _gate: gate, url: url.to_owned(), id: String::new() };
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
        let answer = session.request(1, "initialize", &params).send().await.expect("an answer");
        session.id = answer.headers()["mcp-session-id"].to_str().expect("ASCII").to_owned();
        session
    }

    fn request(&self, id: u64, method: &str, params: &Value) -> RequestBuilder {
        let body = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let client = Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .pool_max_idle_per_host(0)
            .build()
            .expect("a client");
        let request = client.post(&self.url).json(&body);
        if self.id.is_empty() { request } else { request.header("mcp-session-id", &self.id) }
    }

    async fn call(&self, id: u64) -> String {
        let request = self.request(id, "tools/call", &drop_table());
        let answer: Value = request.send().await.expect("an answer").json().await.expect("JSON");
        answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }
}

fn drop_table() -> Value {
    json!({"name": "drop_table", "arguments": {"table": "customers"}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_client_went_away_while_it_waited_does_not_run_until_it_comes_again() {
    let site = Site::new().await;
    site.policy("wait_seconds = 45\n");
    let session = Session::of(&site).await;
    let waiting = tokio::spawn(session.request(2, "tools/call", &drop_table()).send());
    let approval = site.mailed_approval().await;
    waiting.abort();
    // As long as the gate takes the call for awaited, its id is taken.
    while session.request(2, "ping", &json!({})).send().await.expect("an answer").status() == 400 {}
    site.decide(&approval, Verdict::Approve, "").await;
    assert_eq!(session.call(3).await, "ran drop_table");
    assert_eq!((site.calls().len(), site.mails().await), (1, 1));
}
