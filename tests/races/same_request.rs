//! The same request from many clients at once is one request.

use std::collections::BTreeSet;

use sayso_cloud::random;
use sayso_tests::{Agent, Answer, Fault, Protocol, Raw, Verdict, World, asking, string};
use serde_json::{Value, json};

use crate::together::{all_at_once, client, id_of};

fn keyed(table: &str, key: &str) -> Value {
    let mut arguments = asking(table);
    arguments["idempotency_key"] = json!(key);
    arguments
}

/// Every one of these requests at the same moment, each by a client of its own.
async fn ask_at_once(world: &World, requests: Vec<Value>) -> Vec<Answer> {
    all_at_once(requests.into_iter().map(|arguments| {
        let raw = client(world);
        async move { raw.tool(Protocol::New, "request_approval", &arguments.to_string()).await }
    }))
    .await
}

fn ids(answers: &[Answer]) -> BTreeSet<String> {
    let id = |answer: &Answer| {
        assert!(!answer.is_error, "{}", answer.text);
        assert_eq!(answer.field("status"), "pending");
        answer.field("approval_id").to_owned()
    };
    answers.iter().map(id).collect()
}

async fn assert_one(world: &World, answers: &[Answer]) -> String {
    let ids = ids(answers);
    assert_eq!(ids.len(), 1, "{ids:?}");
    let id = ids.into_iter().next().expect("one");
    assert_eq!(world.mails().len(), 1);
    assert_eq!(world.table().keys("REQUEST#").await, [format!("REQUEST#{id}")]);
    assert_eq!(world.table().keys("OPEN#").await.len(), 1);
    assert_eq!(world.browser().open(&world.link(&id).0).await.forms().len(), 1, "the one link opens");
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_identical_requests_at_once_are_one_approval_and_one_mail() {
    for crowd in [50, 20] {
        let world = World::new().await;
        let mut agents = Vec::new();
        for _ in 0..crowd {
            agents.push(world.agent().await);
        }
        let answers = all_at_once(
            agents
                .into_iter()
                .map(|agent| async move { agent.call("request_approval", asking("customers_2019")).await }),
        )
        .await;
        assert_one(&world, &answers).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_identical_requests_under_one_key_are_one_approval_and_one_mail() {
    for crowd in [50, 20] {
        let world = World::new().await;
        let answers = ask_at_once(&world, vec![keyed("customers_2019", "release-42"); crowd]).await;
        let id = assert_one(&world, &answers).await;
        assert_eq!(world.table().keys("IDEMPOTENCY#").await.len(), 1);
        // Also when it has been answered: the key stands for this approval.
        world.browser().decide(&world.link(&id), Verdict::Deny, "").await;
        for answer in ask_at_once(&world, vec![keyed("customers_2019", "release-42"); crowd]).await {
            assert_eq!((answer.field("approval_id"), answer.field("status")), (id.as_str(), "denied"));
        }
        assert_eq!(world.mails().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_fifty_actions_under_one_key_exactly_one_is_asked_for() {
    let world = World::new().await;
    let requests = (0..50).map(|at| keyed(&format!("t{at}"), "release-42")).collect();
    let (refused, asked): (Vec<Answer>, Vec<Answer>) =
        ask_at_once(&world, requests).await.into_iter().partition(|answer| answer.is_error);
    assert_eq!((asked.len(), refused.len()), (1, 49));
    assert!(
        refused.iter().all(|answer| answer.text.contains("`idempotency_key` was used for another action"))
    );
    assert_one(&world, &asked).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_keys_for_one_pending_action_share_its_approval() {
    let world = World::new().await;
    let requests: Vec<Value> = (0..50).map(|at| keyed("customers_2019", &format!("k{at}"))).collect();
    let answers = ask_at_once(&world, requests.clone()).await;
    let id = assert_one(&world, &answers).await;
    let rows = world.table().rows().await;
    let keys: Vec<_> = rows.iter().filter(|row| string(row, "pk").starts_with("IDEMPOTENCY#")).collect();
    assert_eq!(keys.len(), 50);
    assert!(keys.iter().all(|row| string(row, "approval_id") == id), "every key stands for it");
    world.browser().decide(&world.link(&id), Verdict::Deny, "").await;
    for answer in ask_at_once(&world, requests).await {
        assert_eq!(answer.field("approval_id"), id);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn with_and_without_a_key_it_is_one_approval() {
    let world = World::new().await;
    let requests = (0..60)
        .map(|at| if at % 3 == 0 { keyed("t", &format!("k{}", at % 2)) } else { asking("t") })
        .collect();
    let answers = ask_at_once(&world, requests).await;
    assert_one(&world, &answers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_agents_that_ask_for_the_same_have_an_approval_each() {
    let world = World::new().await;
    let mut agents = Vec::new();
    for at in 0..50 {
        let key = random::agent_key();
        world
            .register(&key, &format!("bot-{at}"), &format!("approver{at}@example.com"), &["production"])
            .await;
        agents.push(Raw::new(&world.host.mcp_url, key.expose()));
    }
    let answers = all_at_once(agents.into_iter().map(|raw| async move {
        raw.tool(Protocol::Old, "request_approval", &keyed("customers_2019", "the same key").to_string())
            .await
    }))
    .await;
    assert_eq!(ids(&answers).len(), 50);
    assert_eq!((world.mails().len(), world.table().keys("REQUEST#").await.len()), (50, 50));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn once_it_is_over_fifty_at_once_open_exactly_one_new_approval() {
    for (round, how) in ["denied", "withdrawn", "expired"].into_iter().enumerate() {
        let world = World::new().await;
        let agent: Agent = world.agent().await;
        let old = agent.ask("customers_2019").await.field("approval_id").to_owned();
        match round {
            0 => {
                world.browser().decide(&world.link(&old), Verdict::Deny, "").await;
                world.pass(600);
            }
            1 => drop(agent.call("withdraw_approval", json!({"approval_id": old})).await),
            // Nobody has noticed yet: the row of the outcome is still to be written, once.
            _ => world.pass(3_600),
        }
        let answers = ask_at_once(&world, vec![asking("customers_2019"); 50]).await;
        let new = ids(&answers);
        assert_eq!(new.len(), 1, "{how}");
        assert!(!new.contains(&old), "{how}");
        assert_eq!(world.mails().len(), 2, "{how}");
        assert_eq!(world.table().keys("REQUEST#").await.len(), 2, "{how}");
        let outcomes = world.table().keys("OUTCOME#").await;
        assert_eq!(outcomes.iter().map(|key| id_of(key)).collect::<Vec<_>>(), [old.as_str()], "{how}");
        assert_eq!(agent.check(&old).await.field("status"), how);
    }
}

/// What the local engine never says and DynamoDB does: that somebody else is writing this row at this moment.
#[tokio::test]
async fn a_row_that_is_busy_is_tried_again_until_it_is_free() {
    let conflict = "TransactionConflict";
    let rows = [
        (asking("t"), "TransactWriteItems", Fault::Cancel(conflict)),
        (keyed("k", "release-42"), "TransactWriteItems", Fault::Cancel(conflict)),
        (keyed("l", "release-43"), "TransactWriteItems", Fault::Cancel("ThrottlingError")),
    ];
    let world = World::new().await;
    for (mails, (request, call, fault)) in rows.into_iter().enumerate() {
        for _ in 0..5 {
            world.tap.break_next(call, fault.clone());
        }
        let raw = client(&world);
        let asking =
            tokio::spawn(
                async move { raw.tool(Protocol::New, "request_approval", &request.to_string()).await },
            );
        let asked = world.pass_until_done(asking).await;
        assert!(!asked.is_error, "{}", asked.text);
        assert_eq!(world.mails().len(), mails + 1);
    }
}

#[tokio::test]
async fn the_same_action_at_another_gate_is_another_approval() {
    let world = World::new().await;
    let agent: Agent = world.agent().await;
    let at = |gate: &str| {
        let mut request = keyed("t", "release-42");
        request["audience"] = json!(gate);
        request
    };
    let staging = agent.call("request_approval", at("staging")).await;
    let refused = agent.call("request_approval", at("production")).await;
    assert!(refused.is_error && refused.text.contains("idempotency_key"), "{}", refused.text);
    let production = agent.ask("t").await;
    assert_ne!(staging.field("approval_id"), production.field("approval_id"));
    for (asked, gate) in [(staging, "staging"), (production, "production")] {
        let page = world.browser().open(&world.link(asked.field("approval_id")).0).await;
        assert!(page.text().contains(&format!("At the gate {gate}")), "{}", page.text());
    }
}
