use sayso_tests::{Verdict, World};

// Promise: A new request costs two reads, three writes and one mail (the first write is a transaction: it also counts the request against the limits); a check costs one read after the key's, and one write if it waits; a decision two reads, one signature, one write.
#[tokio::test]
async fn the_calls_are_counted() {
    let world = World::new().await;
    let agent = world.agent().await;
    world.tap.take_calls();
    let id = agent.ask("orders_2019").await.field("approval_id").to_owned();
    // The reads are the agent's key, and what the mail must not show.
    let asked = ["GetItem", "TransactWriteItems", "PutItem", "GetItem", "SendEmail", "PutItem"];
    assert_eq!(world.tap.take_calls(), asked);

    let mut keyed = sayso_tests::asking("invoices");
    keyed["idempotency_key"] = serde_json::json!("one");
    agent.call("request_approval", keyed).await;
    assert_eq!(world.tap.take_calls(), asked);

    agent.check(&id).await;
    assert_eq!(world.tap.take_calls(), ["GetItem", "BatchGetItem"]);

    let page = world.browser().open(&world.link(&id).0).await;
    // What was asked, and what approving takes.
    assert_eq!(world.tap.take_calls(), ["BatchGetItem", "BatchGetItem"]);
    world.browser().submit(&page.form(), &[("code", &page.code())], Some(("verdict", "approve"))).await;
    assert_eq!(world.tap.take_calls(), ["BatchGetItem", "BatchGetItem", "Sign", "PutItem"]);

    agent.check(&id).await;
    assert_eq!(world.tap.take_calls(), ["GetItem", "BatchGetItem"]);

    let waited = agent.ask("waited").await.field("approval_id").to_owned();
    world.tap.take_calls();
    let wait = serde_json::json!({"approval_id": waited, "wait_seconds": 1});
    let waiting = tokio::spawn(async move { agent.call("check_approval", wait).await });
    world.pass_until_done(waiting).await;
    let calls = world.tap.take_calls();
    assert_eq!(calls[..3], ["GetItem", "BatchGetItem", "UpdateItem"]);
    assert!(calls[3..].iter().all(|call| call.ends_with("GetItem")), "{calls:?}");

    let agent = world.agent().await;
    let second = agent.ask("payments").await.field("approval_id").to_owned();
    world.tap.take_calls();
    let link = world.link(&second);
    world.browser().decide(&link, Verdict::Deny, "").await;
    assert_eq!(
        world.tap.take_calls(),
        ["BatchGetItem", "BatchGetItem", "BatchGetItem", "BatchGetItem", "PutItem"]
    );
}
