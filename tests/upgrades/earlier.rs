//! Yesterday's rows under today's code: what was pending goes on, what was answered is read, nothing is asked twice.

use std::time::Duration;

use sayso_model::{AgentName, Overlap};
use sayso_tests::{Agent, Verdict, asking, string};
use serde_json::{Value, json};

use crate::fixture::{Fixture, Upgraded};

async fn status(agent: &Agent, id: &str) -> String {
    agent.check(id).await.field("status").to_owned()
}

/// What a gate posts with the token of an approval.
async fn redemption(upgraded: &Upgraded, agent: &Agent, approval: &str) -> Value {
    let token = agent.check(upgraded.id(approval)).await.field("approval_token").to_owned();
    let arguments = asking(approval)["arguments"].to_string();
    json!({
        "token": token,
        "digest": sayso_tests::action(&arguments).digest().to_string(),
        "audience": "production",
        "gate": "the gate",
        "nonce": "0123456789abcdef0123",
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_pending_is_decided_by_the_link_that_was_mailed_then() {
    for fixture in Fixture::all() {
        let upgraded = fixture.upgraded().await;
        let (world, agent) = (&upgraded.world, upgraded.agent("deploy-bot").await);
        for (approval, verdict, became) in
            [("to-approve", Verdict::Approve, "approved"), ("to-deny", Verdict::Deny, "denied")]
        {
            assert_eq!(status(&agent, upgraded.id(approval)).await, "pending", "{}", upgraded.name);
            let decided = world.browser().decide(&upgraded.link(approval), verdict, "As before").await;
            assert_eq!(decided.status, 200, "{}: {}", upgraded.name, decided.text());
            assert_eq!(status(&agent, upgraded.id(approval)).await, became, "{}", upgraded.name);
        }
        let redemption = redemption(&upgraded, &agent, "to-approve").await;
        assert_eq!(world.redeem(&redemption).await.0, 200, "{}", upgraded.name);
        let mut again = redemption;
        again["nonce"] = json!("another-attempt-0123");
        assert_eq!(world.redeem(&again).await.1, "already_redeemed", "{}", upgraded.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_pending_is_withdrawn_or_expires() {
    for fixture in Fixture::all() {
        let upgraded = fixture.upgraded().await;
        let agent = upgraded.agent("deploy-bot").await;
        let (withdrawn, expired) = (upgraded.id("to-withdraw"), upgraded.id("to-expire"));
        agent.call("withdraw_approval", json!({"approval_id": withdrawn})).await;
        assert_eq!(status(&agent, withdrawn).await, "withdrawn", "{}", upgraded.name);
        assert_eq!(status(&agent, expired).await, "pending", "{}", upgraded.name);
        upgraded.world.pass(3_600);
        assert_eq!(status(&agent, expired).await, "expired", "{}", upgraded.name);
        let late = upgraded.world.browser().open(&upgraded.link("to-expire").0).await;
        assert!(late.forms().is_empty(), "{}: {}", upgraded.name, late.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_read_as_it_was_answered() {
    for fixture in Fixture::all() {
        let upgraded = fixture.upgraded().await;
        let (world, agent) = (&upgraded.world, upgraded.agent("deploy-bot").await);
        for (approval, was) in [
            ("approved", "approved"),
            ("used", "approved"),
            ("denied", "denied"),
            ("expired", "expired"),
            ("withdrawn", "withdrawn"),
        ] {
            assert_eq!(status(&agent, upgraded.id(approval)).await, was, "{}", upgraded.name);
            let page = world.browser().open(&upgraded.link(approval).0).await;
            assert!(page.status == 200 && page.forms().is_empty(), "{}: {}", upgraded.name, page.text());
        }
        assert_eq!(agent.check(upgraded.id("denied")).await.field("note"), "Not on a Friday");
        let recorded = world.store().await.recorded(world.clock.now()).await.expect("the records");
        assert!(recorded.corrupt.is_empty(), "{}: {:?}", upgraded.name, recorded.corrupt);
        let redeemed = recorded.approvals.iter().filter(|approval| approval.redemption.is_some()).count();
        assert_eq!((recorded.approvals.len(), redeemed), (12, 1), "{}", upgraded.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_then_works_once_and_one_that_was_used_then_does_not() {
    for fixture in Fixture::all() {
        let upgraded = fixture.upgraded().await;
        let agent = upgraded.agent("deploy-bot").await;
        let mut unused = redemption(&upgraded, &agent, "approved").await;
        assert_eq!(upgraded.redeem(&unused).await.0, 200, "{}", upgraded.name);
        assert_eq!(upgraded.redeem(&unused).await.0, 200, "the same attempt is told so again");
        unused["nonce"] = json!("another-attempt-0123");
        let used = redemption(&upgraded, &agent, "used").await;
        for again in [unused, used] {
            let refused = upgraded.redeem(&again).await;
            assert_eq!(refused, (409, "already_redeemed".to_owned()), "{}", upgraded.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_the_same_again_gets_the_same_and_no_second_mail() {
    for fixture in Fixture::all() {
        let upgraded = fixture.upgraded().await;
        let (world, agent) = (&upgraded.world, upgraded.agent("deploy-bot").await);
        for approval in ["to-approve", "keyed"] {
            let again = agent.ask(approval).await;
            assert_eq!(again.field("approval_id"), upgraded.id(approval), "{}", upgraded.name);
        }
        let mut keyed = asking("keyed");
        keyed["idempotency_key"] = json!("once-and-only-once");
        let again = agent.call("request_approval", keyed.clone()).await;
        assert_eq!(again.field("approval_id"), upgraded.id("keyed"), "{}", upgraded.name);
        keyed["arguments"]["table"] = json!("another");
        assert!(agent.call("request_approval", keyed).await.is_error, "{}", upgraded.name);
        assert!(world.mails().is_empty(), "{}", upgraded.name);
        // What was answered is asked anew, and what was denied not at once.
        assert!(agent.call("request_approval", asking("denied")).await.is_error, "{}", upgraded.name);
        world.pass(600);
        for approval in ["denied", "expired", "used"] {
            let anew = agent.ask(approval).await;
            assert_ne!(anew.field("approval_id"), upgraded.id(approval), "{}", upgraded.name);
        }
        assert_eq!(world.mails().len(), 3, "{}", upgraded.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_did_not_go_out_then_goes_out_now() {
    for fixture in Fixture::all() {
        let upgraded = fixture.upgraded().await;
        let (world, agent) = (&upgraded.world, upgraded.agent("deploy-bot").await);
        world.pass(90);
        for approval in ["unsent", "sending"] {
            let again = agent.ask(approval).await;
            assert_eq!(again.field("approval_id"), upgraded.id(approval), "{}", upgraded.name);
            let link = world.link(upgraded.id(approval));
            assert_eq!(world.browser().decide(&link, Verdict::Approve, "").await.status, 200);
            assert_eq!(status(&agent, upgraded.id(approval)).await, "approved", "{}", upgraded.name);
        }
        assert_eq!(world.mails().len(), 2, "{}", upgraded.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_then_works_and_is_rotated_and_revoked() {
    for fixture in Fixture::all() {
        let upgraded = fixture.upgraded().await;
        let world = &upgraded.world;
        let name = AgentName::parse("deploy-bot").expect("a name");
        let (new, now) = (sayso_cloud::random::agent_key(), world.clock.now());
        let overlap = Overlap::parse("1h").expect("a time");
        let registry = world.host.registry();
        registry.rotate_agent(new.hash(), &name, overlap, now).await.expect("a rotation");
        let renewed = Agent::connect(&world.host.mcp_url, new.expose()).await;
        for agent in [&upgraded.agent("deploy-bot").await, &renewed] {
            assert_eq!(status(agent, upgraded.id("to-deny")).await, "pending", "{}", upgraded.name);
        }
        world.clock.advance(Duration::from_secs(3_600));
        let check = json!({"approval_id": upgraded.id("to-deny"), "wait_seconds": 0});
        let url = &world.host.mcp_url;
        let version = rmcp::model::ProtocolVersion::V_2026_07_28;
        assert!(
            Agent::try_connect(url, upgraded.key("deploy-bot"), version).await.is_err(),
            "{}",
            upgraded.name
        );
        registry.revoke_agent(&name).await.expect("a revocation");
        assert!(renewed.try_call("check_approval", check).await.is_err(), "{}", upgraded.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_operator_registered_then_is_listed_and_a_rotated_key_ends_when_it_was_to() {
    for fixture in Fixture::all().into_iter().filter(|fixture| fixture.name != "first") {
        let upgraded = fixture.upgraded().await;
        let (world, registry) = (&upgraded.world, upgraded.world.host.registry());
        assert!(upgraded.knows("ci-bot"));
        let (old, new) = (upgraded.agent("ci-bot, rotated").await, upgraded.agent("ci-bot").await);
        let asked = new.ask("orders").await;
        assert_eq!(status(&old, asked.field("approval_id")).await, "pending", "{}", upgraded.name);
        assert_eq!(world.mails().last().expect("a mail").to, ["sam@example.com"]);
        assert_eq!(registry.approvers().await.expect("a list").len(), 1);
        assert_eq!(registry.gates().await.expect("a list").len(), 1);
        assert_eq!(registry.keys().await.expect("a list").len(), 3);
        world.pass(86_400);
        let check = json!({"approval_id": asked.field("approval_id"), "wait_seconds": 0});
        assert!(old.try_call("check_approval", check.clone()).await.is_err(), "{}", upgraded.name);
        assert!(new.try_call("check_approval", check).await.is_ok(), "{}", upgraded.name);
    }
}

/// The first format had neither limits nor an operator's rows: whoever changes a fixture by mistake is told.
#[test]
fn the_fixtures_are_of_their_formats() {
    for fixture in Fixture::all() {
        let with = |prefix: &str| {
            let rows = fixture.rows.iter().filter(|row| string(row, "pk").starts_with(prefix));
            rows.collect::<Vec<_>>()
        };
        let first = fixture.name == "first";
        for prefix in ["LIMIT#", "NAME#", "APPROVER#", "GATE#"] {
            assert_eq!(with(prefix).is_empty(), first, "{prefix} in {}", fixture.name);
        }
        assert!(with("OPEN#").iter().all(|row| row.contains_key("closes_at") != first), "{}", fixture.name);
        let states: std::collections::BTreeSet<_> =
            with("NOTICE#").into_iter().map(|row| string(row, "state")).collect();
        assert_eq!(
            states.into_iter().collect::<Vec<_>>(),
            ["accepted", "failed", "sending"],
            "{}",
            fixture.name
        );
        let outcomes: std::collections::BTreeSet<_> =
            with("OUTCOME#").into_iter().map(|row| string(row, "outcome")).collect();
        let all = ["approved", "denied", "expired", "withdrawn"];
        assert_eq!(outcomes.into_iter().collect::<Vec<_>>(), all, "{}", fixture.name);
        assert_eq!((with("REDEMPTION#").len(), with("IDEMPOTENCY#").len()), (1, 1), "{}", fixture.name);
    }
}
