//! An agent that asks again in other arguments: both requests are open, and everybody can tell.

use sayso_tests::Verdict;
use serde_json::{Value, json};

use crate::raw::{Raw, Site, tool};

const POLICY: &str = "wait_seconds = 0\nwithdraw_tool = \"take_back\"\n";

async fn page(site: &Site, id: &str) -> String {
    let link = site.local().links(id).await.pop().expect("a mail with the link");
    site.local().browser().open(&link.0).await.text()
}

async fn take_back(gate: &mut Raw, id: &str) -> String {
    gate.call("take_back", &json!({"approval_id": id}).to_string()).await
}

async fn listed(gate: &mut Raw) -> Vec<String> {
    let answer = gate.request("tools/list", "{}").await;
    let tools = answer["result"]["tools"].as_array().expect("tools").iter();
    tools.map(|tool| tool["name"].as_str().expect("a name").to_owned()).collect()
}

#[tokio::test]
async fn a_request_in_other_arguments_names_the_first_which_can_be_taken_back() {
    let site = Site::new().await;
    site.policy(POLICY);
    let mut gate = site.gate().await;
    assert_eq!(listed(&mut gate).await.last().map(String::as_str), Some("take_back"));

    let first = gate.asks("drop_table", r#"{"table":"a"}"#).await;
    assert!(!page(&site, &first).await.contains("newer"));
    let elsewhere = gate.call("hang", r#"{"table":"b"}"#).await;
    assert!(elsewhere.starts_with("Waiting") && !elsewhere.contains(&first), "{elsewhere}");
    let told = gate.call("drop_table", r#"{"table":"b"}"#).await;
    let says = format!("other arguments (approval {first}, asked ");
    assert!(told.contains(&says) && told.contains("calling take_back"), "{told}");
    let second = gate.asks("drop_table", r#"{"table":"b"}"#).await;
    let shown = page(&site, &first).await;
    assert!(shown.contains("There is a newer request") && shown.contains(&second), "{shown}");
    assert!(!page(&site, &second).await.contains("There is a newer request"));

    let told = take_back(&mut gate, &first).await;
    assert!(told.contains("withdrawn: nobody can approve it any more"), "{told}");
    let shown = page(&site, &first).await;
    assert!(shown.contains("The agent took it back"), "{shown}");
    let told = gate.call("drop_table", r#"{"table":"b"}"#).await;
    assert!(told.contains(&second) && !told.contains(&first), "{told}");
    let told = take_back(&mut gate, &first).await;
    assert!(told.contains("not waiting for approval"), "{told}");

    // A yes that came first is not lost.
    site.decide(&second, Verdict::Approve, "").await;
    let told = take_back(&mut gate, &second).await;
    assert!(told.contains("already said yes"), "{told}");
    assert_eq!(gate.call("drop_table", r#"{"table":"b"}"#).await, "ran drop_table");
    assert_eq!(site.calls().len(), 1);
}

/// A yes may be in use when somebody wants it taken back.
#[tokio::test]
async fn nobody_is_told_that_nothing_runs_while_it_does() {
    let site = Site::new().await;
    site.policy(POLICY);
    let mut gate = site.gate().await;
    let id = gate.asks("hang", "{}").await;
    site.decide(&id, Verdict::Approve, "").await;
    gate.ask("tools/call", r#"{"name":"hang","arguments":{}}"#).await;
    while site.calls().is_empty() {
        tokio::task::yield_now().await;
    }
    let told = take_back(&mut gate, &id).await;
    assert!(told.contains("already said yes") && told.contains("it runs or has run"), "{told}");
}

#[tokio::test]
async fn without_a_tool_to_take_it_back_the_answer_says_what_a_yes_to_the_first_does() {
    let site = Site::new().await;
    let mut gate = site.gate().await;
    assert!(!listed(&mut gate).await.contains(&"take_back".to_owned()));
    let first = gate.asks("drop_table", r#"{"table":"a"}"#).await;
    let told = gate.call("drop_table", r#"{"table":"b"}"#).await;
    assert!(
        told.contains(&first) && told.contains("do not call drop_table with those arguments again"),
        "{told}"
    );
}

#[tokio::test]
async fn only_what_this_gate_waits_for_is_taken_back() {
    let site = Site::new().await;
    site.policy(POLICY);
    let mut gate = site.gate().await;
    let waiting = gate.asks("drop_table", "{}").await;
    // Of the same agent, and not through the gate.
    let agent =
        sayso_tests::Agent::connect(site.local().ready.get("mcp_url"), site.local().ready.get("agent_key"));
    let other = agent.await.ask("orders_2019").await.field("approval_id").to_owned();
    for (arguments, problem) in [
        (json!({"approval_id": other}), "not waiting for approval"),
        (json!({"approval_id": waiting.to_lowercase()}), "26-character id"),
        (json!({"approval_id": waiting, "force": true}), "nothing else"),
        (json!({"approval_id": 1}), "nothing else"),
        (json!({}), "nothing else"),
    ] {
        let told = gate.call("take_back", &arguments.to_string()).await;
        assert!(told.contains("Nothing was withdrawn") && told.contains(problem), "{arguments}: {told}");
    }
    for id in [waiting, other] {
        let status =
            site.local().browser().open(&format!("{}/{id}", site.local().ready.get("page_url"))).await;
        assert!(status.text().contains("Waiting"), "{}", status.text());
    }
}

#[tokio::test]
async fn the_gates_tool_takes_the_place_of_one_of_the_servers_and_its_calls_stay_here() {
    let site = Site::new().await;
    site.policy(&format!("{POLICY}default = \"allow\"\n"));
    site.tools(&json!([tool("take_back"), tool("drop_table")]));
    let mut gate = site.gate().await;
    assert_eq!(listed(&mut gate).await, ["drop_table", "take_back"]);
    let answer: Value = gate.request("tools/call", r#"{"name":"take_back","arguments":{}}"#).await;
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    assert_eq!(site.calls(), [""; 0]);
}
