use std::sync::Arc;

use sayso_tests::{Verdict, World};
use serde_json::json;

// Promise: A waiting agent is told the moment the human decides.
#[tokio::test]
async fn a_waiting_agent_is_told() {
    let world = World::new().await;
    let agent = Arc::new(world.agent().await);
    let id = agent.ask("orders_2019").await.field("approval_id").to_owned();
    let waiting = {
        let (agent, id) = (Arc::clone(&agent), id.clone());
        tokio::spawn(async move { agent.call("check_approval", json!({"approval_id": id})).await })
    };
    let page = world.browser().decide(&world.link(&id), Verdict::Approve, "Only after 18:00.").await;
    assert_eq!(page.status, 200, "{}", page.text());
    let told = world.pass_until_done(waiting).await;
    assert_eq!(told.field("status"), "approved");
    assert_eq!(told.field("note"), "Only after 18:00.");
    assert_eq!(told.field("proven_by"), "email-link");
    assert!(told.field("approval_token").starts_with("eyJ"));
    world.pass(3600);
    let later = agent.check(&id).await;
    assert_eq!(later.field("approval_token"), told.field("approval_token"));
    assert!(later.field("next").contains("do not execute it now"), "{}", later.text);
}

// Promise: A check waits up to 50 seconds (on AWS 20 where nothing is reserved for `mcp` or an HTTP API is its front door, 35 under a name of your own, and three checks of an agent at a time), reports progress to clients that ask for it (on AWS together with the answer), and always says how to go on.
#[tokio::test]
async fn a_wait_ends_with_what_to_do() {
    let world = World::new().await;
    let agent = Arc::new(world.agent().await);
    let id = agent.ask("orders_2019").await.field("approval_id").to_owned();
    let before = world.clock.elapsed();
    let waiting = {
        let (agent, id) = (Arc::clone(&agent), id.clone());
        tokio::spawn(async move {
            agent.call("check_approval", json!({"approval_id": id, "wait_seconds": 50})).await
        })
    };
    let told = world.pass_until_done(waiting).await;
    assert!(world.clock.elapsed() - before >= std::time::Duration::from_secs(50));
    assert_eq!(told.field("status"), "pending");
    assert_eq!(told.structured["retry_after_seconds"], 30);
    // No two answers are alike: hosts stop an agent that gets the same one several times. The last look takes some of the
    // script's time, as much as the engine does.
    let seconds =
        |text: &str| text.strip_suffix(" s").and_then(|text| text.parse::<u32>().ok()).expect("seconds");
    let open_for = seconds(told.field("open_for"));
    let left = told.field("closes_in").strip_prefix("59 min ").map(seconds).expect("59 minutes");
    assert!(open_for >= 50 && open_for + left == 60, "{}", told.text);
    assert!(told.field("next").contains("check_approval"), "{}", told.text);
    let progress = agent.progress();
    assert!(progress.len() >= 5, "{progress:?}");
}

// Promise: `expired` is not `denied`: when nobody answers in time the agent is told exactly that.
#[tokio::test]
async fn nobody_answering_is_not_a_denial() {
    let world = World::new().await;
    let agent = world.agent().await;
    let id = agent.ask("orders_2019").await.field("approval_id").to_owned();
    let link = world.link(&id);
    world.pass(3599);
    assert_eq!(agent.check(&id).await.field("status"), "pending");
    world.pass(1);
    let page = world.browser().open(&link.0).await;
    assert!(
        page.forms().is_empty() && page.text().contains("no answer is recorded so far"),
        "{}",
        page.text()
    );
    let told = agent.check(&id).await;
    assert_eq!(told.field("status"), "expired");
    assert!(told.field("next").contains("not a denial"), "{}", told.text);
    let page = world.browser().open(&link.0).await;
    assert!(page.text().contains("Expired") && page.text().contains("not a denial"), "{}", page.text());
    let again = agent.ask("orders_2019").await;
    assert_ne!(again.field("approval_id"), id);
    assert_eq!(world.mails().len(), 2);
}

// Promise: A human's no comes back with the note, and says that rewording is no way round it.
#[tokio::test]
async fn a_denial_comes_with_the_note() {
    let world = World::new().await;
    let agent = world.agent().await;
    let id = agent.ask("orders_2019").await.field("approval_id").to_owned();
    world.browser().decide(&world.link(&id), Verdict::Deny, "Finance needs it.\r\nAsk in January.").await;
    let told = agent.check(&id).await;
    assert_eq!(told.field("status"), "denied");
    assert_eq!(told.field("note"), "Finance needs it.\nAsk in January.");
    assert!(told.field("next").contains("other words"), "{}", told.text);
    assert!(told.structured.get("approval_token").is_none());
}

// Promise: An agent can take back what it asked, until somebody has decided.
#[tokio::test]
async fn an_agent_can_withdraw() {
    let world = World::new().await;
    let agent = world.agent().await;
    let id = agent.ask("orders_2019").await.field("approval_id").to_owned();
    let link = world.link(&id);
    let form = world.browser().open(&link.0).await;
    let withdrawn = agent.call("withdraw_approval", json!({"approval_id": id})).await;
    assert_eq!(withdrawn.field("status"), "withdrawn");
    let late =
        world.browser().submit(&form.form(), &[("code", &form.code())], Some(("verdict", "approve"))).await;
    assert_eq!(late.status, 409, "{}", late.text());
    assert_eq!(agent.check(&id).await.field("status"), "withdrawn");

    let decided = agent.ask("invoices").await.field("approval_id").to_owned();
    world.browser().decide(&world.link(&decided), Verdict::Deny, "").await;
    let too_late = agent.call("withdraw_approval", json!({"approval_id": decided})).await;
    assert_eq!(too_late.field("status"), "denied");
}

// Promise: An agent sees its own approvals only, from any session; another agent's id looks like one that never was.
#[tokio::test]
async fn another_agents_approval_looks_unknown() {
    let world = World::new().await;
    let other_key = sayso_cloud::random::agent_key();
    world.register(&other_key, "other-bot", "kim@example.com", &["production"]).await;
    let id = world.agent().await.ask("orders_2019").await.field("approval_id").to_owned();
    assert_eq!(world.agent().await.check(&id).await.field("status"), "pending");
    let other = sayso_tests::Agent::connect(&world.host.mcp_url, other_key.expose()).await;
    let unknown = "01JD3V8Q5Z7XW2N4M6K8P0R1ST";
    for tool in ["check_approval", "withdraw_approval"] {
        let theirs = other.call(tool, json!({"approval_id": id})).await;
        let nobodys = other.call(tool, json!({"approval_id": unknown})).await;
        assert!(theirs.is_error && nobodys.is_error);
        assert_eq!(theirs.text.replace(&id, unknown), nobodys.text);
    }
}
