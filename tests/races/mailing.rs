//! The mail: sent by one sender, sent again when it failed or when the sender died, and never twice by two at once.

use sayso_tests::{Answer, Fault, Protocol, Verdict, World, asking};

use crate::together::{all_at_once, client, mailed_links};

const REJECTED: Fault = Fault::Refuse(400, "MessageRejected");
const NO_WRITE: Fault = Fault::Refuse(400, "AccessDeniedException");

/// Longer than a sender may run, in seconds.
const LIMIT: u64 = 90;

async fn ask_at_once(world: &World, crowd: usize) -> Vec<Answer> {
    let arguments = asking("customers_2019").to_string();
    all_at_once((0..crowd).map(|_| {
        let (raw, arguments) = (client(world), arguments.clone());
        async move { raw.tool(Protocol::New, "request_approval", &arguments).await }
    }))
    .await
}

async fn assert_every_link_opens(world: &World, id: &str) {
    for link in mailed_links(world, id) {
        assert_eq!(world.browser().open(&link).await.forms().len(), 1, "a dead link");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_mail_that_fails_is_said_so_and_fifty_retries_at_once_send_it_once() {
    for crowd in [1, 20, 50] {
        let world = World::new().await;
        let agent = world.agent().await;
        world.tap.break_next("SendEmail", REJECTED);
        let failed = agent.ask("customers_2019").await;
        assert_eq!(failed.field("status"), "pending");
        assert!(
            failed.field("next").contains("could not be sent")
                && failed.field("next").contains("request_approval again")
        );
        let id = failed.field("approval_id").to_owned();
        let checked = agent.check(&id).await;
        assert_eq!(checked.field("status"), "pending");
        assert!(
            checked.field("next").contains("not certain that the approver got the mail"),
            "{}",
            checked.text
        );
        assert!(world.mails().is_empty());

        let answers = ask_at_once(&world, crowd).await;
        assert!(
            answers
                .iter()
                .all(|answer| answer.field("approval_id") == id && answer.field("status") == "pending")
        );
        assert_eq!(world.mails().len(), 1, "{crowd}");
        assert!(
            answers.iter().any(|answer| answer.field("next").starts_with("The approver has been e-mailed"))
        );
        assert!(answers.iter().all(|answer| !answer.field("next").contains("could not be sent")));
        assert_every_link_opens(&world, &id).await;
        // From now on nobody sends another, however late.
        world.pass(LIMIT * 2);
        ask_at_once(&world, crowd).await;
        assert_eq!(world.mails().len(), 1);
        assert!(
            agent
                .check(&id)
                .await
                .field("next")
                .starts_with("Nobody has answered yet. Do not act. Call check_approval")
        );
    }
}

/// A sender that died leaves no word of the mail: neither that it went out, nor that it did not.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_sender_that_died_is_taken_over_after_the_limit_and_not_before() {
    for mailed in [false, true] {
        let world = World::new().await;
        let agent = world.agent().await;
        if !mailed {
            world.tap.break_next("SendEmail", REJECTED);
        }
        for fault in [Fault::Pass, NO_WRITE] {
            world.tap.break_next("PutItem", fault);
        }
        let id = agent.ask("customers_2019").await.field("approval_id").to_owned();
        assert!(world.table().row(&format!("NOTICE#{id}")).await.is_none());
        let before = usize::from(mailed);
        assert_eq!(world.mails().len(), before);

        world.pass(LIMIT - 1);
        for answer in ask_at_once(&world, 50).await {
            assert!(
                answer.field("next").starts_with("The mail to the approver is on its way"),
                "{}",
                answer.text
            );
        }
        assert_eq!(world.mails().len(), before, "not before");
        world.pass(1);
        ask_at_once(&world, 50).await;
        assert_eq!(world.mails().len(), before + 1, "once, after");
        assert_every_link_opens(&world, &id).await;
        world.browser().decide(&world.link(&id), Verdict::Approve, "").await;
        assert_eq!(agent.check(&id).await.field("status"), "approved");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_second_sender_that_dies_is_taken_over_in_its_turn() {
    let world = World::new().await;
    let agent = world.agent().await;
    world.tap.break_next("SendEmail", REJECTED);
    let id = agent.ask("customers_2019").await.field("approval_id").to_owned();
    for round in 0..3 {
        // It claims the attempt, and dies before it says how the attempt went.
        world.tap.break_next("SendEmail", REJECTED);
        for fault in [Fault::Pass, NO_WRITE] {
            world.tap.break_next("PutItem", fault);
        }
        agent.ask("customers_2019").await;
        world.tap.mend();
        world.pass(LIMIT - 1);
        ask_at_once(&world, 20).await;
        assert!(world.mails().is_empty(), "round {round}: not before the limit");
        world.pass(1);
    }
    ask_at_once(&world, 50).await;
    assert_eq!(world.mails().len(), 1);
    assert_every_link_opens(&world, &id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_whose_acceptance_was_not_seen_all_keep_their_link() {
    let world = World::new().await;
    let agent = world.agent().await;
    let mut id = String::new();
    for _ in 0..12 {
        world.tap.break_next("SendEmail", Fault::LoseAnswer);
        let answer = agent.ask("customers_2019").await;
        assert!(answer.field("next").contains("not known whether the mail"), "{}", answer.text);
        answer.field("approval_id").clone_into(&mut id);
        // Whether it is out is not known, so it counts as being sent until then.
        assert!(agent.ask("customers_2019").await.field("next").contains("is on its way"));
        world.pass(LIMIT);
    }
    agent.ask("customers_2019").await;
    let links = mailed_links(&world, &id);
    assert_eq!(links.len(), 13);
    assert_every_link_opens(&world, &id).await;
    for link in links {
        let page = world.browser().open(&link).await;
        let wrong =
            world.browser().submit(&page.form(), &[("code", "no")], Some(("verdict", "approve"))).await;
        assert_eq!(wrong.status, 422);
    }
    world.browser().decide(&world.link(&id), Verdict::Deny, "").await;
    assert_eq!(agent.check(&id).await.field("status"), "denied");
}

#[tokio::test]
async fn a_request_whose_approver_was_replaced_goes_to_nobody_else() {
    let world = World::new().await;
    let agent = world.agent().await;
    world.tap.break_next("SendEmail", REJECTED);
    let id = agent.ask("customers_2019").await.field("approval_id").to_owned();
    // The same name, another approver: `register` makes the approver's id of the agent's name, so change the row.
    let mut row = world
        .table()
        .rows()
        .await
        .into_iter()
        .find(|row| sayso_tests::string(row, "pk").starts_with("AGENT#"))
        .unwrap();
    row.insert(
        "approver_id".to_owned(),
        aws_sdk_dynamodb::types::AttributeValue::S("someone-else".to_owned()),
    );
    row.insert(
        "approver_email".to_owned(),
        aws_sdk_dynamodb::types::AttributeValue::S("sam@example.com".to_owned()),
    );
    world.table().put(row).await;
    let answer = agent.ask("customers_2019").await;
    assert_eq!(answer.field("approval_id"), id);
    assert!(
        answer.field("next").contains("another approver")
            && answer.field("next").contains("withdraw_approval")
    );
    assert!(world.mails().is_empty());
    agent.call("withdraw_approval", serde_json::json!({"approval_id": id})).await;
    let fresh = agent.ask("customers_2019").await;
    assert_eq!(world.mails()[0].to, ["sam@example.com"]);
    assert_ne!(fresh.field("approval_id"), id);
}
