use std::sync::Arc;

use sayso_sdk::{Permit, Refusal};
use sayso_tests::{Fault, World, action};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How many of a hundred ask at the same time. The function's own clients give up on a call to DynamoDB after seconds of real
/// time, and a hundred at once on a busy machine would all be told to come back.
const AT_ONCE: usize = 10;

const ARGUMENTS: &str = r#"{"table":"orders_2019"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_gates_redeem_one_token_and_one_may_run() {
    let world = Arc::new(World::new().await);
    let approved = world.approve(action(ARGUMENTS)).await;
    // A client takes tens of milliseconds of a processor to make, which the calls of the others would wait for.
    let all: Vec<_> = (0..100).map(|number| world.gate(&format!("gate {number}"))).collect();
    let (mut gates, places) = (JoinSet::new(), Arc::new(Semaphore::new(AT_ONCE)));
    for gate in all {
        let (world, token, places) = (Arc::clone(&world), approved.token.clone(), Arc::clone(&places));
        gates.spawn(async move {
            let _place = places.acquire().await;
            gate.permit(&token, action(ARGUMENTS), world.clock.now()).await
        });
    }
    let (permits, refusals): (Vec<_>, Vec<_>) = gates.join_all().await.into_iter().partition(Result::is_ok);
    let permits: Vec<Permit> = permits.into_iter().flatten().collect();
    assert_eq!((permits.len(), refusals.len()), (1, 99));
    let winner = permits.into_iter().next().expect("the one");
    let receipt = winner.receipt().clone();
    assert_eq!((receipt.id, receipt.redeemed_at), (approved.request.id, world.clock.now()));
    let told = Refusal::AlreadyRedeemed { at: receipt.redeemed_at, gate: receipt.gate };
    for refused in refusals {
        assert_eq!(refused.err(), Some(told.clone()));
    }
    assert_eq!(winner.into_action().arguments.as_str(), ARGUMENTS);
    let rows = world.table().keys("REDEMPTION#").await;
    assert_eq!(rows, [format!("REDEMPTION#{}", approved.request.id)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_retries_of_one_attempt_get_one_receipt() {
    let world = Arc::new(World::new().await);
    let approved = world.approve(action(ARGUMENTS)).await;
    let (mut retries, places) = (JoinSet::new(), Arc::new(Semaphore::new(AT_ONCE)));
    for _ in 0..100 {
        let (world, places) = (Arc::clone(&world), Arc::clone(&places));
        let body = approved.redemption("0123456789abcdef");
        retries.spawn(async move {
            let _place = places.acquire().await;
            let mut answer = world.redeem(&body).await;
            // An issuer that is out of breath says to ask again with the same nonce; a gate does, as often as this.
            for _ in 1..sayso_sdk::ATTEMPTS {
                if answer.0 == 503 {
                    answer = world.redeem(&body).await;
                }
            }
            answer
        });
    }
    let answers = retries.join_all().await;
    for (status, _, receipt) in &answers {
        assert_eq!((*status, receipt), (200, &answers[0].2));
    }
    assert_eq!(world.table().keys("REDEMPTION#").await.len(), 1);
}

#[tokio::test]
async fn a_receipt_says_what_happened_and_a_later_retry_gets_the_same() {
    let world = World::new().await;
    let approved = world.approve(action(ARGUMENTS)).await;
    let (status, _, receipt) = world.redeem(&approved.redemption("0123456789abcdef")).await;
    let expected = serde_json::json!({
        "approval_id": approved.request.id.to_string(),
        "redeemed_at": "2026-11-22T12:00:00Z",
        "gate": "by hand",
        "tool": "drop_table",
        "digest": approved.request.action.digest().to_string(),
        "proven_by": "email-link",
    });
    assert_eq!((status, &receipt), (200, &expected));
    world.pass(60);
    assert_eq!(world.redeem(&approved.redemption("0123456789abcdef")).await.2, receipt);
    let (status, reason, problem) = world.redeem(&approved.redemption("0123456789abcdeX")).await;
    assert_eq!((status, reason.as_str()), (409, "already_redeemed"));
    assert_eq!(problem["redeemed_at"], "2026-11-22T12:00:00Z");
    assert_eq!(problem["gate"], "by hand");
    let row = &world.table().rows().await;
    assert!(!format!("{row:?}").contains("0123456789abcdef"), "the nonce is stored");
}

/// The write happens and the function does not learn of it: by the client's own retry, or by the gate's.
#[tokio::test]
async fn a_write_whose_answer_was_lost_is_found_again_by_its_nonce() {
    let world = World::new().await;
    let gate = world.gate("gate");
    for fault in [Fault::LoseAnswer, Fault::DoAndRefuse(400, "AccessDeniedException")] {
        let approved = world.approve(action(ARGUMENTS)).await;
        world.tap.take_calls();
        world.tap.break_next("PutItem", fault.clone());
        let permit = gate.permit(&approved.token, action(ARGUMENTS), world.clock.now()).await;
        assert_eq!(permit.expect("a permit").receipt().id, approved.request.id, "{fault:?}");
        let writes = world.tap.take_calls().into_iter().filter(|call| call == "PutItem").count();
        assert_eq!(writes, 2, "{fault:?}");
        let again = gate.permit(&approved.token, action(ARGUMENTS), world.clock.now()).await;
        assert_eq!(again.err().map(|refusal| refusal.reason()), Some("already_redeemed"));
    }
}

#[tokio::test]
async fn what_the_plumbing_broke_is_unavailable_and_uses_nothing_up() {
    let world = World::new().await;
    let approved = world.approve(action(ARGUMENTS)).await;
    for call in ["BatchGetItem", "PutItem"] {
        world.tap.break_next(call, Fault::Refuse(400, "AccessDeniedException"));
        let (status, reason, problem) = world.redeem(&approved.redemption("0123456789abcdef")).await;
        assert_eq!((status, reason.as_str()), (503, "unavailable"));
        assert!(problem["error_id"].as_str().is_some_and(|id| !id.is_empty()), "{problem}");
        assert!(!problem.to_string().contains("AccessDenied"), "{problem}");
    }
    // Three times, and the gate gives up.
    for _ in 0..sayso_sdk::ATTEMPTS {
        world.tap.break_next("PutItem", Fault::Refuse(400, "AccessDeniedException"));
    }
    let gate = world.gate("gate");
    let refused = gate.permit(&approved.token, action(ARGUMENTS), world.clock.now()).await;
    assert_eq!(refused.err(), Some(Refusal::Unanswered));
    assert!(gate.permit(&approved.token, action(ARGUMENTS), world.clock.now()).await.is_ok());
}
