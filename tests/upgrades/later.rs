//! Rows of later code under today's: what it does not know it either does without or refuses.

use aws_sdk_dynamodb::types::AttributeValue;
use sayso_tests::{Row, asking, string};
use serde_json::json;

use crate::fixture::{Fixture, Upgraded};

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_of_row_that_it_does_not_know_is_nothing_to_it() {
    let mut fixture = Fixture::newest();
    let known = fixture.rows.len();
    let kinds = ["LATER#01JD3V8Q5Z7XW2N4M6K8P0R1ST", "AGENTS#1", "REQUESTS#1", "OUTCOMES#1", "UNKNOWN"];
    for pk in kinds {
        fixture.rows.push(Row::from([("pk".to_owned(), text(pk)), ("outcome".to_owned(), text("approved"))]));
    }
    let upgraded = fixture.upgraded().await;
    let world = &upgraded.world;
    let recorded = world.store().await.recorded(world.clock.now()).await.expect("the records");
    assert_eq!((recorded.approvals.len(), recorded.corrupt.len()), (12, 0));
    let registry = world.host.registry();
    let listed = (
        registry.keys().await.expect("a list").len(),
        registry.approvers().await.expect("a list").len(),
        registry.gates().await.expect("a list").len(),
    );
    assert_eq!(listed, (3, 1, 1));
    assert!(world.table().rows().await.len() >= known + kinds.len(), "and it is left where it is");
}

async fn altered(change: impl Fn(&mut Row), prefix: &str, approval: &str) -> Upgraded {
    let fixture = Fixture::newest();
    let upgraded = fixture.upgraded().await;
    let pk = format!("{prefix}{}", upgraded.id(approval));
    let mut row = upgraded.world.table().row(&pk).await.expect("the row");
    change(&mut row);
    upgraded.world.table().put(row).await;
    upgraded
}

/// Nobody is told that it was approved, nobody may decide it, and no token of it is taken.
async fn is_refused(upgraded: &Upgraded, approval: &str, token: &str, why: &str) {
    let (world, agent) = (&upgraded.world, upgraded.agent("deploy-bot").await);
    let check = json!({"approval_id": upgraded.id(approval), "wait_seconds": 0});
    let checked = agent.try_call("check_approval", check).await;
    assert!(checked.is_err(), "{why}: {checked:?}");
    let page = world.browser().open(&upgraded.link(approval).0).await;
    assert!(page.status == 500 && page.forms().is_empty(), "{why}: {} {}", page.status, page.text());
    let redemption = json!({
        "token": token,
        "digest": sayso_tests::action(&asking(approval)["arguments"].to_string()).digest().to_string(),
        "audience": "production",
        "gate": "the gate",
        "nonce": "0123456789abcdef0123",
    });
    let (status, _) = upgraded.redeem(&redemption).await;
    assert!(status >= 400, "{why}: {status}");
    let id = sayso_model::ApprovalId::parse(upgraded.id(approval)).expect("an id");
    let (store, now) = (world.store().await, world.clock.now());
    let recorded = store.recorded_approval(id, now).await;
    let judged = recorded.map(|found| found.expect("a request").stored.judge(now));
    assert!(!matches!(judged, Ok(Ok(_))), "{why}: not corrupt");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_that_it_does_not_know_is_corrupt_and_never_an_approval() {
    type Change = (&'static str, fn(&mut Row));
    let changes: [Change; 10] = [
        ("another outcome", |row| drop(row.insert("outcome".to_owned(), text("superseded")))),
        ("another case", |row| drop(row.insert("outcome".to_owned(), text("Approved")))),
        ("another spelling", |row| drop(row.insert("outcome".to_owned(), text("approved ")))),
        ("no outcome", |row| drop(row.remove("outcome"))),
        ("an outcome of another type", |row| {
            row.insert("outcome".to_owned(), AttributeValue::L(vec![text("approved")]));
        }),
        ("another proof", |row| drop(row.insert("proven_by".to_owned(), text("retina")))),
        ("no proof", |row| drop(row.remove("proven_by"))),
        ("no token", |row| drop(row.remove("token"))),
        ("another moment", |row| drop(row.insert("at".to_owned(), AttributeValue::N("1".to_owned())))),
        ("a moment of another type", |row| drop(row.insert("at".to_owned(), text("2026-11-22T12:00:00Z")))),
    ];
    for (why, change) in changes {
        let rows = Fixture::newest().rows;
        let token = |id: &str| {
            let outcome = rows.iter().find(|row| string(row, "pk") == format!("OUTCOME#{id}"));
            outcome.map(|row| string(row, "token")).expect("the outcome")
        };
        let upgraded = altered(change, "OUTCOME#", "approved").await;
        is_refused(&upgraded, "approved", &token(upgraded.id("approved")), why).await;
    }
}

/// So a state of the mail that readers do not know must not be written before they do.
#[tokio::test(flavor = "multi_thread")]
async fn a_state_of_a_mail_that_it_does_not_know_is_corrupt() {
    let changes: [fn(&mut Row); 3] = [
        |row| drop(row.insert("state".to_owned(), text("bounced"))),
        |row| drop(row.remove("state")),
        |row| drop(row.insert("links".to_owned(), text("all"))),
    ];
    for change in changes {
        let upgraded = altered(change, "NOTICE#", "to-approve").await;
        is_refused(&upgraded, "to-approve", "no token", "a mail's state").await;
    }
}
