//! A signature is not enough: what is redeemed is an approval that stands in the table.

use std::time::Duration;

use sayso_model::{Nonce, Outcome, ProvenBy, Retention, TokenLifetime};
use sayso_sdk::{GateName, Receipt, Refusal, TokenRefusal};
use sayso_tests::{Verdict, World, action, number};

#[tokio::test]
async fn what_was_denied_withdrawn_or_never_answered_has_nothing_to_redeem() {
    let world = World::new().await;
    let (agent, browser, gate) = (world.agent().await, world.browser(), world.gate("gate"));
    let mut ids = Vec::new();
    for table in ["a", "b", "c", "d"] {
        ids.push(agent.ask(table).await.field("approval_id").to_owned());
    }
    browser.decide(&world.link(&ids[0]), Verdict::Deny, "No.").await;
    agent.call("withdraw_approval", serde_json::json!({"approval_id": ids[1]})).await;
    // The third stays open, the fourth is approved.
    browser.decide(&world.link(&ids[3]), Verdict::Approve, "").await;
    for id in &ids[..3] {
        let told = agent.check(id).await;
        assert!(
            told.structured.get("approval_token").is_none_or(serde_json::Value::is_null),
            "{}",
            told.text
        );
        // Even a signature over its very claims finds no approval: as when the signer lost the race for the outcome.
        let stored = world.store().await;
        let id = sayso_model::ApprovalId::parse(id).expect("an id");
        let stored = stored.approval(id, world.clock.now()).await;
        let request = stored.expect("a read").expect("a request").request;
        let runs = request.action.clone();
        let closed = world.sign_yes(&world.host.issuer_url, &request).await;
        let Outcome::Approved { token, .. } = closed.outcome else { panic!("not approved") };
        let refused = gate.permit(&token, runs, world.clock.now()).await;
        assert_eq!(refused.err(), Some(Refusal::NoSuchApproval));
    }
    assert!(world.table().keys("REDEMPTION#").await.is_empty());
}

#[tokio::test]
async fn a_signature_that_was_never_recorded_is_no_approval() {
    let world = World::new().await;
    let request = world.request(action("{}"));
    let closed = world.sign_yes(&world.host.issuer_url, &request).await;
    let Outcome::Approved { token, .. } = closed.outcome else { panic!("not approved") };
    let refused = world.gate("gate").permit(&token, action("{}"), world.clock.now()).await;
    assert_eq!(refused.err(), Some(Refusal::NoSuchApproval));
}

#[tokio::test]
async fn an_approval_that_was_taken_out_of_the_table_is_none() {
    let world = World::new().await;
    for prefix in ["REQUEST#", "OUTCOME#"] {
        let approval = world.approve(action("{}")).await;
        world.table().delete(&format!("{prefix}{}", approval.request.id)).await;
        let refused = world.gate("gate").permit(&approval.token, action("{}"), world.clock.now()).await;
        assert_eq!(refused.err(), Some(Refusal::NoSuchApproval), "{prefix}");
    }
}

/// With the shortest retention, the longest lifetime and a decision in the last second, swept as early as can be.
#[tokio::test]
async fn no_sweep_makes_a_token_usable_again() {
    let world = World::new().await;
    let (store, retention) = (world.store().await, Retention::from_days(1).expect("a day"));
    let mut request = world.request(action("{}"));
    request.token_lifetime = TokenLifetime::from_seconds(86_400).expect("a day");
    let sign_at = world.clock.now().until(request.closes_at).as_secs() - 1;
    world.pass(sign_at);
    let approval = world.approve_request(&world.host.issuer_url, request, retention).await;
    let receipt = Receipt {
        id: approval.request.id,
        redeemed_at: world.clock.now(),
        gate: GateName::parse("the first").expect("a name"),
        tool: approval.request.action.tool.clone(),
        digest: approval.request.action.digest(),
        proven_by: ProvenBy::EmailLink,
    };
    let nonce = Nonce::parse("0123456789abcdef").expect("a nonce");
    store.redeem(&approval.request, receipt, &nonce, retention).await.expect("a write");

    let key = format!("REDEMPTION#{}", approval.request.id);
    let row = world.table().row(&key).await.expect("the record");
    let exp = approval.part(1)["exp"].as_i64().expect("exp");
    assert!(number(&row, "ttl") > exp + 86_400, "the record outlives the token by more than a day");
    let gate = world.gate("the second");
    let mut reasons = Vec::new();
    // Until well after every row is gone.
    for _ in 0..12 {
        world.sweep().await;
        let refused = gate.permit(&approval.token, action("{}"), world.clock.now()).await;
        reasons.push(refused.expect_err("it was used").reason());
        world.pass(Duration::from_secs(8 * 3600).as_secs());
    }
    assert_eq!(reasons[..3], ["already_redeemed"; 3]);
    assert!(reasons[4..].iter().all(|reason| *reason == TokenRefusal::Expired.reason()), "{reasons:?}");
    assert!(world.table().row(&key).await.is_none(), "it is forgotten in the end");
}
