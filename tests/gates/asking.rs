//! A gate's program as Sayso's agent: every way an approval can stand, and every way the line can fail.

use std::sync::Arc;
use std::time::Duration;

use sayso_local::outbox::Fate;
use sayso_sdk::{
    AgentKey, ApprovalError, ApprovalId, ApprovalRequest, ApprovalStatus, Approvals, Audience, BaseUrl,
    ExpiresIn, MAX_WAIT, PendingApproval, Reason, Summary, UndeliveredCause, Withdrawal,
};
use sayso_tests::{Fault, Front, Link, Trouble, Verdict, World, action};
use serde_json::json;

pub(crate) const ARGUMENTS: &str = r#"{"table":"orders_2019"}"#;
pub(crate) const MCP: &str = "/mcp";
pub(crate) const AT_ONCE: Duration = Duration::ZERO;

pub(crate) fn approvals_at(url: &str, key: &AgentKey) -> Approvals {
    Approvals::new(BaseUrl::parse(url).expect("a URL"), key.clone()).expect("TLS")
}

fn approvals(world: &World) -> Approvals {
    approvals_at(&world.host.mcp_url, &world.agent_key)
}

pub(crate) async fn ask_for(
    approvals: &Approvals,
    audience: &str,
    arguments: &str,
) -> Result<PendingApproval, ApprovalError> {
    let asking = ApprovalRequest {
        action: &action(arguments),
        audience: &Audience::parse(audience).expect("an audience"),
        summary: &Summary::parse("Drop the table orders_2019").expect("a summary"),
        reason: Some(&Reason::parse("Nothing reads it.").expect("a reason")),
        expires_in: ExpiresIn::from_seconds(600).expect("ten minutes"),
        earlier: None,
    };
    approvals.request(&asking).await
}

pub(crate) async fn ask(approvals: &Approvals) -> PendingApproval {
    ask_for(approvals, "production", ARGUMENTS).await.expect("an approval")
}

pub(crate) async fn decide(world: &World, id: ApprovalId, verdict: Verdict, note: &str) {
    world.browser().decide(&world.link(&id.to_string()), verdict, note).await;
}

/// In front of the agent's function.
pub(crate) async fn line(world: &World) -> (Front, Approvals) {
    let front = Front::start(world.host.mcp_url.strip_suffix(MCP).expect("the endpoint")).await;
    let approvals = approvals_at(&format!("{}{MCP}", front.url), &world.agent_key);
    (front, approvals)
}

#[tokio::test]
async fn what_is_approved_is_what_was_asked_and_runs_once() {
    let world = World::new().await;
    let approvals = approvals(&world);
    let requested = ask(&approvals).await;
    assert_eq!(requested.closes_at, world.clock.now().plus(Duration::from_secs(600)));
    assert_eq!(requested.status_url, format!("{}/{}", world.host.page_url, requested.id));
    assert_eq!(requested.approver, "a•••@example.com");
    let page = world.browser().open(&world.link(&requested.id.to_string()).0).await;
    for shown in ["orders_2019", "production", "Drop the table orders_2019", "Nothing reads it."] {
        assert!(page.text().contains(shown), "{shown} is missing in {}", page.text());
    }
    let pending = approvals.check(requested.id, AT_ONCE).await;
    assert!(
        matches!(&pending, Ok(ApprovalStatus::Pending { closes_at, .. }) if *closes_at == requested.closes_at),
        "{pending:?}"
    );
    decide(&world, requested.id, Verdict::Approve, "Go\non").await;
    let standing = approvals.check(requested.id, AT_ONCE).await.expect("an answer");
    let ApprovalStatus::Approved { token, token_expires_at, decided_at, note } = standing else {
        panic!("{standing:?}")
    };
    assert_eq!(decided_at, world.clock.now());
    assert_eq!(token_expires_at, world.clock.now().plus(Duration::from_secs(3600)));
    assert_eq!(note.as_ref().map(|note| note.as_str()), Some("Go\non"));
    let permit = world.gate("gate").permit(&token, action(ARGUMENTS), world.clock.now()).await;
    assert_eq!(permit.expect("a permit").receipt().id, requested.id);
    let again = world.gate("gate").permit(&token, action(ARGUMENTS), world.clock.now()).await;
    assert_eq!(again.err().map(|refusal| refusal.reason()), Some("already_redeemed"));
}

#[tokio::test]
async fn every_other_end_is_told_apart() {
    let world = World::new().await;
    let approvals = approvals(&world);
    let denied = ask(&approvals).await.id;
    decide(&world, denied, Verdict::Deny, "").await;
    let standing = approvals.check(denied, AT_ONCE).await;
    assert_eq!(standing, Ok(ApprovalStatus::Denied { decided_at: world.clock.now(), note: None }));
    assert_eq!(approvals.withdraw(denied).await, Ok(Withdrawal::Denied));
    world.pass(600);

    let withdrawn = ask(&approvals).await.id;
    assert_eq!(approvals.withdraw(withdrawn).await, Ok(Withdrawal::Withdrawn));
    assert_eq!(approvals.withdraw(withdrawn).await, Ok(Withdrawal::Withdrawn));
    assert_eq!(approvals.check(withdrawn, AT_ONCE).await, Ok(ApprovalStatus::Withdrawn));

    let approved = ask(&approvals).await.id;
    decide(&world, approved, Verdict::Approve, "").await;
    assert_eq!(approvals.withdraw(approved).await, Ok(Withdrawal::Approved));

    let undeliverable = ask(&approvals).await;
    world.comes_back(&undeliverable.id.to_string(), Fate::Bounce).await;
    let standing = approvals.check(undeliverable.id, MAX_WAIT).await;
    assert_eq!(
        standing,
        Ok(ApprovalStatus::Undeliverable {
            closes_at: undeliverable.closes_at,
            cause: UndeliveredCause::Bounce
        })
    );
    let again = ask(&approvals).await;
    assert_eq!((again.id, again.mail_sent), (undeliverable.id, false));
    assert_eq!(approvals.withdraw(undeliverable.id).await, Ok(Withdrawal::Withdrawn));

    let expired = ask(&approvals).await.id;
    world.pass(600);
    assert_eq!(approvals.check(expired, AT_ONCE).await, Ok(ApprovalStatus::Expired));
    assert_eq!(approvals.withdraw(expired).await, Ok(Withdrawal::Expired));
}

#[tokio::test]
async fn a_check_waits_for_the_human() {
    let world = Arc::new(World::new().await);
    let id = ask(&approvals(&world)).await.id;
    let unanswered = {
        let approvals = approvals(&world);
        tokio::spawn(async move { approvals.check(id, Duration::from_secs(3600)).await })
    };
    let before = world.clock.now();
    let standing = world.pass_until_done(unanswered).await;
    assert!(matches!(standing, Ok(ApprovalStatus::Pending { .. })), "{standing:?}");
    assert!(before.until(world.clock.now()) >= sayso_sdk::MAX_WAIT);
    let waiting = {
        let approvals = approvals(&world);
        tokio::spawn(async move { approvals.check(id, sayso_sdk::MAX_WAIT).await })
    };
    decide(&world, id, Verdict::Approve, "").await;
    let standing = world.pass_until_done(waiting).await;
    assert!(matches!(standing, Ok(ApprovalStatus::Approved { .. })), "{standing:?}");
}

#[tokio::test]
async fn while_it_is_pending_the_same_is_not_asked_twice() {
    let world = World::new().await;
    let (approvals, another) = (approvals(&world), approvals(&world));
    let first = ask(&approvals).await;
    let again = ask(&another).await;
    assert_eq!((again.id, &again.asked), (first.id, &first.asked));
    assert_eq!(again.asked.expect("its words").summary.as_str(), "Drop the table orders_2019");
    assert_eq!(world.mails().len(), 1);
    let elsewhere = ask_for(&approvals, "staging", ARGUMENTS).await.expect("another approval");
    assert!(elsewhere.id != first.id);
    // A mail that failed is sent by the next who asks.
    world.tap.break_next("SendEmail", Fault::Refuse(400, "MessageRejected"));
    let unsent = ask_for(&approvals, "production", "{}").await.expect("an approval");
    assert_eq!(world.mails().len(), 2);
    assert_eq!(ask_for(&another, "production", "{}").await.expect("an approval").id, unsent.id);
    assert_eq!(world.mails().len(), 3);
}

#[tokio::test]
async fn who_may_not_ask_is_told_why() {
    let world = World::new().await;
    let stranger = approvals_at(&world.host.mcp_url, &AgentKey::from_random([1; 32]));
    let own = approvals(&world);
    let id = ask(&own).await.id;
    let asked = ask_for(&stranger, "production", ARGUMENTS).await;
    assert_eq!(asked, Err(ApprovalError::KeyRefused));
    assert_eq!(stranger.check(id, AT_ONCE).await, Err(ApprovalError::KeyRefused));
    assert_eq!(stranger.withdraw(id).await, Err(ApprovalError::KeyRefused));

    let refused = ask_for(&own, "moon", ARGUMENTS).await;
    assert!(
        matches!(&refused, Err(ApprovalError::Refused(words)) if words.contains("`production`, `staging`")),
        "{refused:?}"
    );

    // Another agent's approval is as unknown as one that never was.
    let key = AgentKey::from_random([2; 32]);
    world.register(&key, "other-bot", "sam@example.com", &["production"]).await;
    let other = approvals_at(&world.host.mcp_url, &key);
    let never = ApprovalId::parse("01JD3V8Q5Z7XW2N4M6K8P0R1ST").expect("an id");
    for (approvals, id) in [(&other, id), (&own, never)] {
        assert_eq!(approvals.check(id, AT_ONCE).await, Err(ApprovalError::Unknown));
        assert_eq!(approvals.withdraw(id).await, Err(ApprovalError::Unknown));
    }
    assert!(matches!(own.check(id, AT_ONCE).await, Ok(ApprovalStatus::Pending { .. })));
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_and_mails_nobody_twice() {
    let world = World::new().await;
    let (front, approvals) = line(&world).await;
    for (mailed, troubles) in [
        &[Trouble::LoseAnswer][..],
        &[Trouble::LoseRequest],
        &[Trouble::LoseAnswer, Trouble::LoseAnswer],
        &[Trouble::Answer(502, None, "Bad Gateway".to_owned()), Trouble::LoseRequest],
        &[Trouble::Answer(429, None, String::new())],
    ]
    .into_iter()
    .enumerate()
    {
        let lose = || troubles.iter().for_each(|trouble| front.trouble(MCP, trouble.clone()));
        let arguments = json!({ "number": mailed }).to_string();
        lose();
        let requested = ask_for(&approvals, "production", &arguments).await.expect("an approval");
        assert_eq!(world.mails().len(), mailed + 1);
        assert_eq!(front.take_requests().len(), troubles.len() + 1);
        lose();
        let standing = approvals.check(requested.id, AT_ONCE).await;
        assert!(matches!(standing, Ok(ApprovalStatus::Pending { .. })), "{standing:?}");
        lose();
        assert_eq!(approvals.withdraw(requested.id).await, Ok(Withdrawal::Withdrawn));
        front.take_requests();
    }
}

#[tokio::test]
async fn a_lost_check_is_repeated_without_the_wait() {
    let world = World::new().await;
    let (front, approvals) = line(&world).await;
    let id = ask(&approvals).await.id;
    front.trouble(MCP, Trouble::LoseRequest);
    // Nobody moves the clock that a wait would wait for.
    let standing = approvals.check(id, sayso_sdk::MAX_WAIT).await;
    assert!(matches!(standing, Ok(ApprovalStatus::Pending { .. })), "{standing:?}");
}

#[tokio::test]
async fn a_lost_line_is_given_up_after_a_few() {
    let world = World::new().await;
    let (front, approvals) = line(&world).await;
    for trouble in [Trouble::LoseRequest, Trouble::LoseAnswer, Trouble::Answer(503, None, String::new())] {
        (0..sayso_sdk::ATTEMPTS).for_each(|_| front.trouble(MCP, trouble.clone()));
        let asked = ask_for(&approvals, "production", ARGUMENTS).await;
        assert_eq!(asked, Err(ApprovalError::Unanswered));
        assert_eq!(front.take_requests().len(), sayso_sdk::ATTEMPTS);
    }
    // What was asked unseen is found.
    let found = ask(&approvals).await;
    assert_eq!(world.mails().len(), 1);
    drop(front);
    let checked = approvals.check(found.id, AT_ONCE).await;
    assert!(matches!(checked, Err(ApprovalError::Unreachable | ApprovalError::Unanswered)), "{checked:?}");
}

#[tokio::test]
async fn what_broke_in_sayso_is_an_id_for_the_operator() {
    let world = World::new().await;
    let approvals = approvals(&world);
    world.tap.break_next("PutItem", Fault::Refuse(400, "AccessDeniedException"));
    let failed = ask_for(&approvals, "production", ARGUMENTS).await;
    let Err(ApprovalError::Failed { error_id }) = &failed else { panic!("{failed:?}") };
    assert!(!error_id.is_empty());
    assert!(ask_for(&approvals, "production", ARGUMENTS).await.is_ok());
}

#[tokio::test]
async fn a_limit_says_when_to_ask_again_and_leaves_the_pending_alone() {
    let world = World::new().await;
    let approvals = approvals(&world);
    let denied = ask(&approvals).await.id;
    let pending = ask_for(&approvals, "production", "{}").await.expect("an approval").id;
    decide(&world, denied, Verdict::Deny, "").await;
    let limited = ask_for(&approvals, "production", ARGUMENTS).await;
    let Err(ApprovalError::Limited { words, retry_after }) = &limited else { panic!("{limited:?}") };
    assert_eq!(*retry_after, Duration::from_secs(600));
    assert!(words.contains(&denied.to_string()) && words.contains("600 seconds"), "{words}");
    assert_eq!(ask_for(&approvals, "production", "{}").await.map(|found| found.id), Ok(pending));
    world.pass(600);
    assert!(ask(&approvals).await.id != denied);
}

#[tokio::test]
async fn the_deciding_link_is_in_nothing_that_the_client_holds() {
    let world = World::new().await;
    let approvals = approvals(&world);
    let requested = ask(&approvals).await;
    let Link(link) = world.link(&requested.id.to_string());
    let secret = link.rsplit('/').next().expect("a secret").to_owned();
    let pending = approvals.check(requested.id, AT_ONCE).await.expect("an answer");
    decide(&world, requested.id, Verdict::Approve, "").await;
    let approved = approvals.check(requested.id, AT_ONCE).await.expect("an answer");
    let ApprovalStatus::Approved { token, .. } = &approved else { panic!("{approved:?}") };
    let printed = format!("{requested:?} {pending:?} {approved:?} {approvals:?}");
    for hidden in [secret.as_str(), token.expose(), world.agent_key.expose(), "alex@"] {
        assert!(!printed.contains(hidden), "{hidden} in {printed}");
    }
}
