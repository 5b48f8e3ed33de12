use sayso_sdk::{Action, ApprovalToken, Refusal, TokenRefusal};
use sayso_tests::{Front, Trouble, Verdict, World, action};

const APPROVED: &str = r#"{"database": "customers", "table": "orders_2019", "cascade": true}"#;

/// The whole way: asked over MCP, decided on the page, fetched by the agent.
async fn approved(world: &World) -> ApprovalToken {
    let agent = world.agent().await;
    let id = agent.ask("orders_2019").await.field("approval_id").to_owned();
    world.browser().decide(&world.link(&id), Verdict::Approve, "").await;
    ApprovalToken::from_text(agent.check(&id).await.field("approval_token"))
}

// Promise: A token works once: a second redemption is told when the first was.
#[tokio::test]
async fn a_token_works_once() {
    let world = World::new().await;
    let token = approved(&world).await;
    let permit = world.gate("database").permit(&token, action(APPROVED), world.clock.now()).await;
    let receipt = permit.expect("a permit").receipt().clone();
    world.pass(60);
    let refused = world.gate("database").permit(&token, action(APPROVED), world.clock.now()).await;
    let refused = refused.expect_err("it was used");
    assert_eq!(refused, Refusal::AlreadyRedeemed { at: receipt.redeemed_at, gate: receipt.gate });
    let told = "This approval was used at 2026-11-22T12:00:00Z, by the gate “database”. \
                What is to run again has to be approved again.";
    assert_eq!(refused.to_string(), told);
}

// Promise: What runs is what was approved, to the letter: a gate refuses any other action.
#[tokio::test]
async fn a_gate_refuses_another_action() {
    let world = World::new().await;
    let (token, gate) = (approved(&world).await, world.gate("database"));
    let attempt = |runs: Action| gate.permit(&token, runs, world.clock.now());
    let other = attempt(action(&APPROVED.replace("2019", "2018"))).await;
    assert_eq!(other.err(), Some(Refusal::Token(TokenRefusal::Action)));
    let permit = attempt(action(APPROVED)).await.expect("a permit");
    let canonical = r#"{"cascade":true,"database":"customers","table":"orders_2019"}"#;
    assert_eq!(permit.into_action().arguments.as_str(), canonical);
}

// Promise: A gate that cannot reach the issuer lets nothing run.
#[tokio::test]
async fn a_gate_that_cannot_reach_the_issuer_lets_nothing_run() {
    let world = World::new().await;
    let front = Front::start(&world.host.issuer_url).await;
    let gate = World::gate_of(&front.url, "database");
    let first = world.approve_for(&front.url, action("{}")).await;
    let second = world.approve_for(&front.url, action("{}")).await;
    assert!(gate.permit(&first.token, action("{}"), world.clock.now()).await.is_ok());
    drop(front);
    // With the keys still at hand, and without them.
    let refused = gate.permit(&second.token, action("{}"), world.clock.now()).await.expect_err("no issuer");
    assert!(matches!(refused, Refusal::Unreachable | Refusal::Unanswered), "{refused}");
    world.pass(300);
    let refused = gate.permit(&second.token, action("{}"), world.clock.now()).await;
    assert_eq!(refused.err(), Some(Refusal::KeysUnavailable));
}

// Promise: If the answer to a gate is lost, asking again brings the same receipt, never a second one.
#[tokio::test]
async fn a_lost_answer_is_not_a_lost_approval() {
    let world = World::new().await;
    let front = Front::start(&world.host.issuer_url).await;
    let approved = world.approve_for(&front.url, action("{}")).await;
    front.trouble("/redeem", Trouble::LoseAnswer);
    let gate = World::gate_of(&front.url, "database");
    let permit = gate.permit(&approved.token, action("{}"), world.clock.now()).await.expect("a permit");
    assert_eq!(permit.receipt().id, approved.request.id);
    assert_eq!(front.take_requests(), ["/.well-known/jwks.json", "/redeem", "/redeem"]);
    assert_eq!(world.table().keys("REDEMPTION#").await.len(), 1);
}

// Promise: Redeeming a token costs one read and one write.
#[tokio::test]
async fn the_calls_of_a_redemption_are_counted() {
    let world = World::new().await;
    let (token, gate) = (approved(&world).await, world.gate("database"));
    world.tap.take_calls();
    assert!(gate.permit(&token, action(APPROVED), world.clock.now()).await.is_ok());
    assert_eq!(world.tap.take_calls(), ["BatchGetItem", "PutItem"]);
    assert!(gate.permit(&token, action(APPROVED), world.clock.now()).await.is_err());
    assert_eq!(world.tap.take_calls(), ["BatchGetItem", "PutItem"]);
    // What the gate refuses by itself costs nothing.
    assert!(gate.permit(&token, action("{}"), world.clock.now()).await.is_err());
    assert!(world.tap.take_calls().is_empty());
}
