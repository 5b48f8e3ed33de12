//! Every step of a request and of a decision, broken in every way: the retry completes it, no mail holds a dead link,
//! and what happened is never reported as something else.

use std::sync::Arc;

use sayso_tests::{Answer, Fault, Protocol, RawAnswer, Verdict, World, asking};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::together::{mailed_links, told_by};

/// A refusal that no client tries again after.
const DENIED: (u16, &str) = (400, "AccessDeniedException");

/// A step of `request_approval`: its call, and how many calls of that name come before it.
type Step = (&'static str, &'static str, usize);

/// The first write is a transaction, with an idempotency key or without.
const STEPS: [Step; 4] = [
    ("the pointer and the counters", "TransactWriteItems", 0),
    ("the request", "PutItem", 0),
    ("the mail", "SendEmail", 0),
    ("the notice", "PutItem", 1),
];

fn faults() -> [(&'static str, Fault); 3] {
    [
        ("refused", Fault::Refuse(DENIED.0, DENIED.1)),
        ("done, and the caller is gone", Fault::DoAndRefuse(DENIED.0, DENIED.1)),
        ("done, and the answer is lost", Fault::LoseAnswer),
    ]
}

fn break_step(world: &World, (_, call, before): Step, fault: Fault) {
    for _ in 0..before {
        world.tap.break_next(call, Fault::Pass);
    }
    world.tap.break_next(call, fault);
}

async fn ask(world: &World, arguments: &Value) -> RawAnswer {
    world.raw().call(Protocol::New, "request_approval", &arguments.to_string()).await
}

/// Asks again as the answers say, until the mail is out: at once, or after the time that a sender may take.
async fn retry_until_mailed(world: &World, arguments: &Value) -> Answer {
    for _ in 0..4 {
        let answer = ask(world, arguments).await.tool().expect("an answer");
        assert!(!answer.is_error && answer.field("status") == "pending", "{}", answer.text);
        if answer.field("next").starts_with("The approver has been e-mailed") {
            return answer;
        }
        world.pass(45);
    }
    panic!("the mail never goes out");
}

async fn break_and_retry(step: Step, fault: Fault, what: &str, arguments: &Value) {
    let world = World::new().await;
    break_step(&world, step, fault);
    let first = ask(&world, arguments).await;
    assert!(
        first.error().is_some() || first.tool().is_some_and(|answer| !answer.is_error),
        "{what}: {}",
        first.body
    );
    world.tap.mend();
    let answer = retry_until_mailed(&world, arguments).await;
    let id = answer.field("approval_id").to_owned();
    if let Some(told) = first.tool() {
        assert_eq!(told.field("approval_id"), id, "{what}: what was told before holds");
    }
    assert_eq!(world.table().keys("REQUEST#").await, [format!("REQUEST#{id}")], "{what}");
    assert_eq!(world.table().keys("OPEN#").await.len(), 1, "{what}");
    let links = mailed_links(&world, &id);
    assert!(!links.is_empty() && links.len() <= 2 && links.len() == world.mails().len(), "{what}: {links:?}");
    for link in &links {
        assert_eq!(world.browser().open(link).await.forms().len(), 1, "{what}: a dead link");
    }
    // The first link ever mailed decides as well as the last.
    let decided = world.browser().decide(&sayso_tests::Link(links[0].clone()), Verdict::Approve, "").await;
    assert_eq!(told_by(&decided), "approved", "{what}");
    assert_eq!(world.agent().await.check(&id).await.field("status"), "approved", "{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_broke_anywhere_is_completed_by_its_retry() {
    for arguments in [asking("t"), keyed()] {
        for step in STEPS {
            for (how, fault) in faults() {
                break_and_retry(step, fault, &format!("{} {how}", step.0), &arguments).await;
            }
        }
    }
}

fn keyed() -> Value {
    let mut arguments = asking("t");
    arguments["idempotency_key"] = json!("release-42");
    arguments
}

/// The SDK tries again by itself, and meets its own first try: that is not somebody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_lost_on_the_way_back_is_not_noticed_by_the_agent() {
    for arguments in [asking("t"), keyed()] {
        for step in STEPS.into_iter().filter(|step| step.1 != "SendEmail") {
            let world = World::new().await;
            break_step(&world, step, Fault::LoseAnswer);
            let answer = ask(&world, &arguments).await.tool().expect("an answer");
            assert!(!answer.is_error, "{}: {}", step.0, answer.text);
            assert_eq!(world.mails().len(), 1, "{}: the mail is out: {}", step.0, answer.text);
            assert!(
                answer.field("next").starts_with("The approver has been e-mailed"),
                "{}: {}",
                step.0,
                answer.text
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_on_the_outcome_is_not_reported_as_someone_elses_decision() {
    let world = World::new().await;
    let agent = world.agent().await;
    for (table, verdict, status) in [("a", Verdict::Approve, "approved"), ("b", Verdict::Deny, "denied")] {
        let id = agent.ask(table).await.field("approval_id").to_owned();
        world.tap.break_next("PutItem", Fault::LoseAnswer);
        let page = world.browser().decide(&world.link(&id), verdict, "my note").await;
        assert_eq!((page.status, told_by(&page)), (200, status.to_owned()));
        assert!(!page.text().contains("before your answer"), "{}", page.text());
        assert!(page.text().contains(&format!("You {status}")), "{}", page.text());
        assert_eq!(agent.check(&id).await.field("note"), "my note");
    }
    let id = agent.ask("c").await.field("approval_id").to_owned();
    world.tap.break_next("PutItem", Fault::LoseAnswer);
    let withdrawn = agent.call("withdraw_approval", json!({"approval_id": id})).await;
    assert_eq!(withdrawn.field("status"), "withdrawn");
    let id = agent.ask("d").await.field("approval_id").to_owned();
    world.pass(3_600);
    world.tap.break_next("PutItem", Fault::LoseAnswer);
    assert_eq!(agent.check(&id).await.field("status"), "expired");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_that_may_be_recorded_or_not_says_so_and_can_be_sent_again() {
    for verdict in [Verdict::Approve, Verdict::Deny] {
        for (fault, recorded) in
            [(Fault::DoAndRefuse(DENIED.0, DENIED.1), true), (Fault::Refuse(DENIED.0, DENIED.1), false)]
        {
            let world = World::new().await;
            let agent = world.agent().await;
            let id = agent.ask("t").await.field("approval_id").to_owned();
            let link = world.link(&id);
            world.tap.break_next("PutItem", fault);
            let page = world.browser().open(&link.0).await;
            let button = Some(("verdict", if verdict == Verdict::Approve { "approve" } else { "deny" }));
            let broken = world.browser().submit(&page.form(), &[("code", &page.code())], button).await;
            assert_eq!(broken.status, 500);
            assert!(!broken.text().contains("Nothing was decided"), "nobody knows: {}", broken.text());
            assert_eq!(world.table().keys("OUTCOME#").await.len(), usize::from(recorded));
            let status = if verdict == Verdict::Approve { "approved" } else { "denied" };
            let told = agent.check(&id).await;
            assert_eq!(told.field("status"), if recorded { status } else { "pending" });
            let again = world.browser().submit(&page.form(), &[("code", &page.code())], button).await;
            assert_eq!((again.status, told_by(&again)), (200, status.to_owned()));
            assert_eq!(world.table().keys("OUTCOME#").await.len(), 1);
        }
    }
}

#[tokio::test]
async fn an_approval_that_cannot_be_signed_is_not_made() {
    let world = World::new().await;
    let agent = world.agent().await;
    let id = agent.ask("t").await.field("approval_id").to_owned();
    let link = world.link(&id);
    for fault in
        [Fault::Refuse(400, "KMSInvalidStateException"), Fault::DoAndRefuse(400, "KMSInvalidStateException")]
    {
        world.tap.break_next("Sign", fault);
        let page = world.browser().decide(&link, Verdict::Approve, "").await;
        assert_eq!(page.status, 500);
        assert!(world.table().keys("OUTCOME#").await.is_empty());
        assert_eq!(agent.check(&id).await.field("status"), "pending");
    }
    // A no needs no signature.
    world.tap.break_next("Sign", Fault::Refuse(400, "KMSInvalidStateException"));
    assert_eq!(world.browser().decide(&link, Verdict::Deny, "").await.status, 200);
    assert_eq!(agent.check(&id).await.field("status"), "denied");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_told_expired_while_a_decision_in_time_is_being_written() {
    let world = World::new().await;
    let agent = world.agent().await;
    let asked = agent.ask("t").await;
    let id = asked.field("approval_id").to_owned();
    let link = world.link(&id);
    let until = Arc::new(Semaphore::new(0));
    world.tap.break_next("PutItem", Fault::Hold(Arc::clone(&until)));
    world.tap.take_calls();
    let deciding = tokio::spawn({
        let (browser, link) = (world.browser(), link.clone());
        async move { browser.decide(&link, Verdict::Approve, "").await }
    });
    while !world.tap.take_calls().contains(&"PutItem".to_owned()) {
        tokio::task::yield_now().await;
    }
    // The approver was in time; the write is under way; the deadline passes.
    world.pass(3_600);
    let mut told = Vec::new();
    for url in [&link.0, asked.field("status_url")] {
        told.push(world.browser().open(url).await.text());
    }
    until.add_permits(1);
    assert_eq!(told_by(&deciding.await.unwrap()), "approved");
    assert_eq!(agent.check(&id).await.field("status"), "approved");
    for text in told {
        assert!(
            !text.contains("Expired") && !text.contains("Nobody answered"),
            "it was approved, and a page said: {text}"
        );
    }
}

/// The pointer is older than the request it was made for; its own time must not run out before the request's.
#[tokio::test]
async fn a_request_that_was_completed_late_stays_the_only_one_while_it_is_open() {
    let world = World::new().await;
    let agent = world.agent().await;
    break_step(&world, STEPS[1], Fault::Refuse(DENIED.0, DENIED.1));
    assert!(
        ask(&world, &asking("t")).await.error().is_some(),
        "the pointer is there, and the request is not"
    );
    world.pass(1_800);
    let late = agent.ask("t").await.field("approval_id").to_owned();
    assert_eq!(world.mails().len(), 1);
    for _ in 0..4 {
        world.pass(901);
        world.sweep().await;
        let open = agent.check(&late).await.field("status") == "pending";
        let again = agent.ask("t").await.field("approval_id").to_owned();
        assert_eq!(again == late, open, "two open approvals for one action, or none");
        if !open {
            assert_eq!(world.mails().len(), 2);
            return;
        }
    }
    panic!("it stays open for ever");
}

/// DynamoDB deletes rows that are past their time one by one, in any order, days apart.
#[tokio::test]
async fn whatever_is_deleted_first_nobody_is_told_another_outcome() {
    for verdict in [Verdict::Approve, Verdict::Deny] {
        let world = World::new().await;
        let agent = world.agent().await;
        let id = agent.call("request_approval", keyed()).await.field("approval_id").to_owned();
        let link = world.link(&id);
        let status = told_by(&world.browser().decide(&link, verdict, "").await);
        world.pass(3_600 + 90 * 86_400 + 1);
        let now = world.clock.now().as_unix_seconds();
        for row in world.table().rows().await {
            // Of what may go, the outcome goes first.
            let (key, ttl) = (sayso_tests::string(&row, "pk"), sayso_tests::number(&row, "ttl"));
            if key.starts_with("OUTCOME#") && ttl < now {
                world.table().delete(&key).await;
            }
        }
        let told = agent.check(&id).await;
        assert!(told.is_error || told.field("status") == status, "it was {status}: {}", told.text);
        let page = world.browser().open(&link.0).await;
        assert!(page.status == 404 || told_by(&page) == status, "it was {status}: {}", page.text());
    }
}

/// The same, with the request gone first and its key still there.
#[tokio::test]
async fn a_key_whose_request_is_gone_does_not_bring_back_its_outcome() {
    let world = World::new().await;
    let agent = world.agent().await;
    let old = agent.call("request_approval", keyed()).await.field("approval_id").to_owned();
    world.browser().decide(&world.link(&old), Verdict::Approve, "").await;
    world.pass(3_600 + 90 * 86_400 + 1);
    world.table().delete(&format!("REQUEST#{old}")).await;
    let answer = agent.call("request_approval", keyed()).await;
    let id = answer.field("approval_id").to_owned();
    assert_eq!(answer.field("status"), "pending");
    assert_eq!(
        agent.check(&id).await.field("status"),
        "pending",
        "approved by nobody: the outcome is another request's"
    );
}
