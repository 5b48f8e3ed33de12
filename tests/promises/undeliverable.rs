use aws_sdk_dynamodb::types::AttributeValue;
use sayso_local::outbox::Fate;
use sayso_tests::{Agent, Verdict, World, asking};
use serde_json::json;

/// Gives the agent's approver another address, as `sayso approver add --replace` does.
async fn correct_the_address(world: &World, address: &str) {
    world.register(&world.agent_key, "deploy-bot", address, &["production", "staging"]).await;
}

// Promise: If the mail comes back, the agent is told `undeliverable`; once the operator has corrected the address, asking again mails the new one.
#[tokio::test]
async fn a_bounce_is_told_and_asking_again_mails_the_corrected_address_once() {
    let world = World::new().await;
    let agent = world.agent().await;
    let id = agent.ask("orders_2019").await.field("approval_id").to_owned();
    assert_eq!(agent.check(&id).await.field("status"), "pending");
    let first_link = world.link(&id);

    world.comes_back(&id, Fate::Bounce).await;
    let told = agent.check(&id).await;
    assert_eq!((told.field("status"), told.field("cause")), ("undeliverable", "bounce"));
    assert_eq!(told.structured["mail_sent"], false);
    assert!(told.field("next").contains("operator"), "{}", told.text);
    // It does not wait for what cannot come.
    let waited = agent.call("check_approval", json!({"approval_id": id})).await;
    assert_eq!(waited.structured, told.structured);

    // To the same address nothing is sent again, however often the agent asks.
    for _ in 0..5 {
        let again = agent.ask("orders_2019").await;
        assert_eq!((again.field("approval_id"), again.field("status")), (&*id, "undeliverable"));
        assert_eq!(again.structured["mail_sent"], false);
    }
    assert_eq!(world.mails().len(), 1);

    correct_the_address(&world, "alex@new.example").await;
    for _ in 0..3 {
        let again = agent.ask("orders_2019").await;
        assert_eq!((again.field("approval_id"), again.field("status")), (&*id, "pending"));
    }
    let mails = world.mails();
    assert_eq!((mails.len(), &mails[1].to[..]), (2, &["alex@new.example".to_owned()][..]));
    assert_eq!(agent.check(&id).await.field("status"), "pending");
    // Both links are good: a mail that came back may still have been read.
    assert_ne!(world.link(&id), first_link);
    assert_eq!(world.browser().open(&first_link.0).await.forms().len(), 1);
    world.browser().decide(&world.link(&id), Verdict::Approve, "").await;
    assert_eq!(agent.check(&id).await.field("status"), "approved");
}

#[tokio::test]
async fn what_the_mail_service_reports_is_told_apart() {
    let rows = [
        (Fate::Bounce, "undeliverable", "bounce"),
        (Fate::Suppressed, "undeliverable", "bounce"),
        (Fate::Complaint, "undeliverable", "complaint"),
        (Fate::Reject, "undeliverable", "reject"),
        (Fate::GivenUp, "undeliverable", "bounce"),
        (Fate::OutOfOffice, "pending", ""),
    ];
    for (fate, status, cause) in rows {
        let world = World::new().await;
        let agent = world.agent().await;
        let id = agent.ask("orders_2019").await.field("approval_id").to_owned();
        world.comes_back(&id, fate).await;
        let told = agent.check(&id).await;
        let reported = told.structured["cause"].as_str().unwrap_or_default();
        assert_eq!((told.field("status"), reported), (status, cause), "{fate:?}");
    }
}

/// Somebody has that mail, and its link decides about this request: no other may be asked about it.
#[tokio::test]
async fn after_a_complaint_only_a_new_request_goes_to_another_address() {
    let world = World::new().await;
    let agent = world.agent().await;
    let id = agent.ask("orders_2019").await.field("approval_id").to_owned();
    world.comes_back(&id, Fate::Complaint).await;
    correct_the_address(&world, "alex@new.example").await;
    let again = agent.ask("orders_2019").await;
    assert_eq!((again.field("approval_id"), again.field("status")), (&*id, "undeliverable"));
    assert!(again.field("next").contains("withdraw_approval"), "{}", again.text);
    agent.call("withdraw_approval", json!({"approval_id": id})).await;
    let anew = agent.ask("orders_2019").await;
    assert_ne!(anew.field("approval_id"), id);
    assert_eq!(world.mails().pop().expect("a mail").to, ["alex@new.example"]);
}

/// An operator who corrects an address without end, or a mail service that spells it otherwise each time.
#[tokio::test]
async fn what_comes_back_is_not_sent_without_end() {
    let world = World::new().await;
    let agent = world.agent().await;
    let id = agent.ask("orders_2019").await.field("approval_id").to_owned();
    for number in 0..30 {
        world.comes_back(&id, Fate::Bounce).await;
        correct_the_address(&world, &format!("alex{number}@example.com")).await;
        agent.ask("orders_2019").await;
    }
    assert_eq!(world.mails().len(), 10);
    correct_the_address(&world, "ALEX8@EXAMPLE.COM").await;
    assert_eq!(agent.ask("orders_2019").await.field("status"), "undeliverable");
}

#[tokio::test]
async fn a_report_that_cannot_be_read_keeps_nobody_from_deciding() {
    let world = World::new().await;
    let agent = world.agent().await;
    let id = agent.ask("orders_2019").await.field("approval_id").to_owned();
    world.comes_back(&id, Fate::Bounce).await;
    let mut row = world.table().row(&format!("UNDELIVERED#{id}")).await.expect("the row");
    row.insert("message#x".to_owned(), AttributeValue::S("x".to_owned()));
    world.table().put(row).await;
    assert_eq!(agent.check(&id).await.field("status"), "pending");
    world.browser().decide(&world.link(&id), Verdict::Approve, "").await;
    assert_eq!(agent.check(&id).await.field("status"), "approved");
}

#[tokio::test]
async fn a_wait_during_which_the_mail_comes_back_ends_with_that() {
    let world = World::new().await;
    let agent = world.agent().await;
    let id = agent.ask("orders_2019").await.field("approval_id").to_owned();
    let waiting = {
        let (url, key, id) = (world.host.mcp_url.clone(), world.agent_key.clone(), id.clone());
        tokio::spawn(async move {
            let agent = Agent::connect(&url, key.expose()).await;
            agent.call("check_approval", json!({"approval_id": id, "wait_seconds": 5})).await
        })
    };
    world.comes_back(&id, Fate::Bounce).await;
    assert_eq!(world.pass_until_done(waiting).await.field("status"), "undeliverable");
}

#[tokio::test]
async fn an_undeliverable_request_is_still_answered_withdrawn_or_expired() {
    let world = World::new().await;
    let agent = world.agent().await;
    let mut ids = Vec::new();
    for table in ["decided", "withdrawn", "expired"] {
        let id = agent.ask(table).await.field("approval_id").to_owned();
        world.comes_back(&id, Fate::Complaint).await;
        ids.push(id);
    }
    world.browser().decide(&world.link(&ids[0]), Verdict::Deny, "It did arrive").await;
    assert_eq!(agent.check(&ids[0]).await.field("note"), "It did arrive");
    let withdrawn = agent.call("withdraw_approval", json!({"approval_id": ids[1]})).await;
    assert_eq!(withdrawn.field("status"), "withdrawn");
    // What was withdrawn may be asked anew: a new request, a new mail.
    assert_ne!(agent.ask("withdrawn").await.field("approval_id"), ids[1]);
    world.pass(3_600);
    assert_eq!(agent.check(&ids[2]).await.field("status"), "expired");
}

#[tokio::test]
async fn people_see_that_the_mail_came_back() {
    let world = World::new().await;
    let agent = world.agent().await;
    let asked = agent.ask("orders_2019").await;
    let (id, url) = (asked.field("approval_id"), asked.field("status_url"));
    world.comes_back(id, Fate::Bounce).await;
    let status = world.browser().open(url).await;
    assert!(status.html.contains("The mail came back"), "{}", status.html);
    assert!(!status.html.contains("example.com"), "{}", status.html);
    world.browser().decide(&world.link(id), Verdict::Approve, "").await;
    assert!(world.browser().open(url).await.html.contains("Approved"));
}

/// A report that arrives before the mail's acceptance is recorded, twice, out of order, or about an earlier mail.
#[tokio::test]
async fn a_report_counts_for_its_own_mail_whenever_and_however_often_it_comes() {
    let world = World::new().await;
    let agent = world.agent().await;
    // The first mail goes out, and nobody sees that it was accepted.
    world.tap.break_next("SendEmail", sayso_tests::Fault::LoseAnswer);
    let asked = agent.call("request_approval", asking("orders_2019")).await;
    let id = asked.field("approval_id").to_owned();
    let first = world.mails()[0].clone();
    world.host.report(first.event(Fate::Bounce, 1)).await.expect("a record");
    assert_eq!(agent.check(&id).await.field("status"), "pending", "whether it was sent is not known");

    // In two minutes it is sent again. The second is accepted, and the first's report comes again: late, and with another verdict.
    world.pass(120);
    assert_eq!(agent.ask("orders_2019").await.structured["mail_sent"], true);
    world.host.report(first.event(Fate::Complaint, 9)).await.expect("a record");
    assert_eq!(agent.check(&id).await.field("status"), "pending");

    world.comes_back(&id, Fate::Bounce).await;
    for _ in 0..2 {
        world.comes_back(&id, Fate::Complaint).await;
        let told = agent.check(&id).await;
        assert_eq!((told.field("status"), told.field("cause")), ("undeliverable", "bounce"));
    }
    let row = world.table().row(&format!("UNDELIVERED#{id}")).await.expect("the row");
    assert_eq!(row.keys().filter(|name| name.starts_with("message#")).count(), 2);
}
