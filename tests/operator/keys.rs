use sayso_model::Timestamp;
use sayso_tests::Fault;

use crate::setting::Operated;

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_shown_once_and_only_its_hash_is_kept() {
    let operated = Operated::ready().await;
    let added = operated.does(&["--json", "agent", "add", "ci-bot", "--approver", "alex"]).await;
    let key = added.field("key");
    assert!(operated.lets_in(&key).await);
    let secret = key.trim_start_matches("sayso_agent_");
    for again in [
        &["agent", "list"][..],
        &["--json", "agent", "list"],
        &["agent", "rotate", "ci-bot"],
        &["agent", "add", "ci-bot", "--approver", "alex"],
        &["approvals", "list"],
        &["agent", "revoke", "ci-bot"],
    ] {
        let rows = format!("{:?}", operated.world.table().rows().await);
        assert!(!rows.contains(secret), "{rows}");
        let ran = operated.run(again).await;
        assert!(!ran.all.contains(secret), "{again:?}: {}", ran.all);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_key_goes_on_for_the_overlap_and_the_new_one_after_it() {
    let operated = Operated::ready().await;
    let old = operated.does(&["--json", "agent", "add", "ci-bot", "--approver", "alex"]).await.field("key");
    let rotate = ["--json", "agent", "rotate", "ci-bot", "--overlap", "1h"];
    let rotated = operated.does(&rotate).await;
    let new = rotated.field("key");
    let end = Timestamp::parse(&rotated.field("old_keys_until")).expect("a time");
    assert!(operated.lets_in(&old).await && operated.lets_in(&new).await);
    // DynamoDB has not deleted the row: the clock alone judges.
    let left = operated.world.clock.now().until(end).as_secs();
    operated.world.pass(left - 1);
    assert!(operated.lets_in(&old).await, "until its last second");
    operated.world.pass(1);
    assert!(!operated.lets_in(&old).await, "and from then on not");
    assert!(operated.lets_in(&new).await);
    assert_eq!(operated.world.table().keys("AGENT#").await.len(), 3, "rows of deploy-bot, and both keys");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_rotation_does_not_prolong_an_old_key_and_none_stops_it_at_once() {
    let operated = Operated::ready().await;
    let first = operated.does(&["--json", "agent", "add", "ci-bot", "--approver", "alex"]).await.field("key");
    let rotate = async |overlap: &str| {
        operated.does(&["--json", "agent", "rotate", "ci-bot", "--overlap", overlap]).await.field("key")
    };
    let second = rotate("1h").await;
    let third = rotate("30d").await;
    operated.world.pass(3_700);
    assert!(!operated.lets_in(&first).await);
    assert!(operated.lets_in(&second).await && operated.lets_in(&third).await);
    let fourth = rotate("0").await;
    for stopped in [&first, &second, &third] {
        assert!(!operated.lets_in(stopped).await);
    }
    assert!(operated.lets_in(&fourth).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn revoking_stops_the_very_next_call_of_every_key() {
    let operated = Operated::ready().await;
    let old = operated.does(&["--json", "agent", "add", "ci-bot", "--approver", "alex"]).await.field("key");
    let new = operated.does(&["--json", "agent", "rotate", "ci-bot"]).await.field("key");
    let connect = async |key: &str| sayso_tests::Agent::connect(&operated.world.host.mcp_url, key).await;
    let (by_old, by_new) = (connect(&old).await, connect(&new).await);
    let id = by_new.ask("orders").await.field("approval_id").to_owned();
    assert_eq!(by_old.check(&id).await.field("status"), "pending");
    operated.world.tap.take_calls();
    operated.does(&["agent", "revoke", "ci-bot"]).await;
    for agent in [by_old, by_new] {
        let check = serde_json::json!({"approval_id": id, "wait_seconds": 0});
        assert!(agent.try_call("check_approval", check).await.is_err());
    }
    // The name is free, and an agent of that name sees what was asked under it.
    let again = operated.does(&["--json", "agent", "add", "ci-bot", "--approver", "alex"]).await.field("key");
    assert_eq!(connect(&again).await.check(&id).await.field("status"), "pending");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_operators_who_add_the_same_name_at_once_one_does() {
    let operated = Operated::ready().await;
    let add = ["--json", "agent", "add", "ci-bot", "--approver", "alex"];
    let (a, b, c, d) =
        tokio::join!(operated.run(&add), operated.run(&add), operated.run(&add), operated.run(&add));
    let (done, told): (Vec<_>, Vec<_>) = [a, b, c, d].into_iter().partition(|ran| ran.status == 0);
    assert_eq!(done.len(), 1);
    for ran in &told {
        assert!(ran.status == 1 && ran.all.contains("an agent ci-bot is registered already"), "{}", ran.all);
    }
    assert!(operated.lets_in(&done[0].field("key")).await);
    assert_eq!(operated.world.table().keys("AGENT#").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_answer_is_lost_is_done_once_and_reported_as_done() {
    let operated = Operated::ready().await;
    let add = ["--json", "agent", "add", "ci-bot", "--approver", "alex"];
    operated.world.tap.break_next("TransactWriteItems", Fault::LoseAnswer);
    let key = operated.does(&add).await.field("key");
    assert!(operated.lets_in(&key).await);
    operated.world.tap.break_next("TransactWriteItems", Fault::LoseAnswer);
    let key = operated.does(&["--json", "agent", "rotate", "ci-bot"]).await.field("key");
    assert!(operated.lets_in(&key).await);
    operated.world.tap.break_next("TransactWriteItems", Fault::LoseAnswer);
    operated.does(&["agent", "revoke", "ci-bot"]).await;
    assert!(!operated.lets_in(&key).await);
}
