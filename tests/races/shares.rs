//! One agent locks nobody out: not the other agents of its approver, and neither the approver nor the gate.

use sayso_model::wire::LIMIT_META;
use sayso_model::{HourlyLimit, Limits};
use sayso_tests::{Answer, Protocol, Raw, Verdict, World, asking};
use serde_json::json;

use crate::limits::agents;

async fn ask(agent: &Raw, action: &str) -> Answer {
    agent.tool(Protocol::New, "request_approval", &asking(action).to_string()).await
}

#[tokio::test]
async fn an_agent_that_asks_and_withdraws_without_end_leaves_room_for_those_who_have_not_asked() {
    // The limits as they are, and an agent that may ask as often as its approver may be asked.
    for requests in [Limits::default().requests.get(), 60] {
        let requests_limit = HourlyLimit::parse(&requests.to_string()).expect("a limit");
        let limits = Limits { requests: requests_limit, ..Limits::default() };
        assert_eq!(limits.lets_one_agent_fill_an_hour(), requests == 60);
        let world = World::limited(limits).await;
        let [noisy, quiet] = &agents(&world, &["noisy", "quiet"]).await[..] else { panic!("two") };
        let mut asked = 0;
        loop {
            let answer = ask(noisy, &format!("a{asked}")).await;
            if answer.is_error {
                break;
            }
            asked += 1;
            let id = json!({"approval_id": answer.field("approval_id")}).to_string();
            noisy.tool(Protocol::New, "withdraw_approval", &id).await;
        }
        assert_eq!(asked, requests.min(45), "a quarter of the approver's hour is kept");
        let answer = ask(quiet, "b").await;
        assert!(!answer.is_error, "{}", answer.text);
        // Whoever has asked is one of those who share the rest.
        assert_eq!(ask(quiet, "c").await.is_error, requests == 60);
        if requests == 60 {
            let refused = ask(quiet, "c").await;
            assert_eq!(refused.meta[LIMIT_META], "mails_per_approver_per_hour");
            assert!(refused.text.contains("15 are kept for"), "{}", refused.text);
        }
    }
}

/// A new account runs ten executions at a time, for all functions together. A check that waits holds one.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_key_that_floods_with_waiting_checks_holds_three_executions_and_no_more() {
    let world = World::new().await;
    let agent = world.agent().await;
    let id = agent.ask("orders").await.field("approval_id").to_owned();
    let wait = json!({"approval_id": id, "wait_seconds": 50});
    let waiting: Vec<_> = (0..30)
        .map(|_| {
            let (raw, wait) = (world.raw(), wait.to_string());
            tokio::spawn(async move { raw.tool(Protocol::New, "check_approval", &wait).await })
        })
        .collect();
    // All but those that wait come back, although no time passes.
    let (mut back, mut held) = (0, waiting);
    while held.len() > 3 {
        let (done, rest): (Vec<_>, Vec<_>) = held.into_iter().partition(tokio::task::JoinHandle::is_finished);
        for answer in done {
            let answer = answer.await.expect("an answer");
            assert_eq!(answer.field("status"), "pending");
            assert_eq!(answer.structured["retry_after_seconds"], 30);
            assert!(answer.field("next").contains("3 of your checks are waiting already"), "{}", answer.text);
            back += 1;
        }
        held = rest;
        tokio::task::yield_now().await;
    }
    assert_eq!(back, 27);
    // The approver reads and decides meanwhile, and those that wait hear of it.
    let page = world.browser().decide(&world.link(&id), Verdict::Approve, "").await;
    assert_eq!(page.status, 200);
    for waiting in held {
        assert_eq!(world.pass_until_done(waiting).await.field("status"), "approved");
    }
    // What has ended is not counted any more.
    let counted = world.table().row("LIMIT#WAITS#deploy-bot").await.expect("a row");
    assert!(!counted.contains_key("waits"), "{counted:?}");
}
