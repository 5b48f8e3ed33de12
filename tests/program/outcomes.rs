//! What comes of asking: the command's own end, or an exit status that says why it did not run.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use sayso_local::outbox::Fate;
use sayso_tests::{Fault, Verdict, World};

use crate::lock::{LEAVES_A_LINE, Lock, asked, code, ends};

// Promise: A command runs once, when a human has approved exactly this argument list in this directory, and ends as it ends.
#[tokio::test(flavor = "multi_thread")]
async fn an_approved_command_runs_once_and_ends_as_it_ends() {
    let lock = Lock::new().await;
    for (script, expected) in [
        ("echo ran >> ran.txt", (Some(0), None)),
        ("echo ran >> ran.txt; exit 7", (Some(7), None)),
        ("echo ran >> ran.txt; kill -TERM $$", (None, Some(15))),
    ] {
        let before = lock.lines();
        let mut program = lock.run(&[], &["sh", "-c", script]).await;
        let id = asked(&mut program).await;
        assert_eq!(lock.lines(), before, "nothing runs before it is approved");
        lock.decide(&id, Verdict::Approve, "").await;
        let status = program.exit().await;
        assert_eq!((status.code(), status.signal()), expected, "{}", program.output());
        assert_eq!(lock.lines(), before + 1);
    }
    assert_eq!(lock.world.table().keys("REDEMPTION#").await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_has_this_standard_output_and_error() {
    let lock = Lock::new().await;
    let mut program = lock.run(&[], &["sh", "-c", "echo out; echo err >&2"]).await;
    let id = asked(&mut program).await;
    lock.decide(&id, Verdict::Approve, "Only today").await;
    assert_eq!(code(&mut program).await, 0);
    assert_eq!(program.printed(), "out\n");
    let output = program.output();
    assert!(output.contains("\nerr\n") && output.contains("Only today"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_came_back_is_not_waited_for() {
    let lock = Lock::new().await;
    let mut first = lock.leave_a_line().await;
    let id = asked(&mut first).await;
    lock.world.comes_back(&id, Fate::Bounce).await;
    first.kill().await;
    let mut again = lock.leave_a_line().await;
    assert_eq!(code(&mut again).await, 75);
    let output = again.output();
    assert!(output.contains("bounced") && output.contains("operator"), "{output}");
    assert_eq!((lock.lines(), lock.world.mails().len()), (0, 1));
    // Nothing is forgotten: once the address is corrected, the same command sends the mail and waits.
    lock.world.register(&lock.world.agent_key, "deploy-bot", "alex@new.example", &["production"]).await;
    let mut third = lock.leave_a_line().await;
    assert_eq!(asked(&mut third).await, id);
    lock.decide(&id, Verdict::Approve, "").await;
    assert_eq!((code(&mut third).await, lock.lines()), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_command_again_is_asked_again() {
    let lock = Lock::new().await;
    let mut ids = Vec::new();
    for runs in 1..=2 {
        let mut program = lock.leave_a_line().await;
        let id = asked(&mut program).await;
        assert!(!ids.contains(&id));
        lock.decide(&id, Verdict::Approve, "").await;
        assert_eq!(code(&mut program).await, 0, "{}", program.output());
        assert_eq!(lock.lines(), runs);
        ids.push(id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_command_does_not_run_and_the_note_is_printed() {
    let lock = Lock::new().await;
    let mut program = lock.leave_a_line().await;
    let id = asked(&mut program).await;
    lock.decide(&id, Verdict::Deny, "Not on a\nFriday \u{202e}").await;
    ends(&mut program, 77, "Denied").await;
    let output = program.output();
    assert!(output.contains("Not on a") && output.contains("Friday ⟨U+202E"), "{output}");
    assert!(!output.contains('\u{202e}'), "a terminal would obey it");
    assert_eq!(lock.lines(), 0);
    // The no was delivered, and nobody is asked the same at once.
    let mut again = lock.leave_a_line().await;
    ends(&mut again, 75, "just said no").await;
    assert_eq!((lock.lines(), lock.world.mails().len()), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unanswered_request_expires_and_nothing_runs() {
    let world = World::at(Lock::now()).await;
    let lock = Lock::of(world);
    let mut program = lock.run(&["--expires-in", "60"], &LEAVES_A_LINE).await;
    let id = asked(&mut program).await;
    lock.world.clock.advance(Duration::from_secs(61));
    ends(&mut program, 75, "Nobody answered in time").await;
    assert_eq!((lock.lines(), lock.status(&id).await.as_str()), (0, "expired"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_withdrawn_elsewhere_does_not_run() {
    let lock = Lock::new().await;
    let mut program = lock.leave_a_line().await;
    let id = asked(&mut program).await;
    let agent = lock.world.agent().await;
    agent.call("withdraw_approval", serde_json::json!({"approval_id": id})).await;
    ends(&mut program, 75, "withdrawn").await;
    assert_eq!(lock.lines(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_at_once_one_runs() {
    let lock = Lock::new().await;
    let (mut one, mut other) = (lock.leave_a_line().await, lock.leave_a_line().await);
    let (id, same) = tokio::join!(asked(&mut one), asked(&mut other));
    assert_eq!(id, same);
    assert_eq!(lock.world.mails().len(), 1);
    lock.decide(&id, Verdict::Approve, "").await;
    let mut codes = [code(&mut one).await, code(&mut other).await];
    codes.sort_unstable();
    let said = format!("{}\n{}", one.output(), other.output());
    assert_eq!(codes, [0, 77], "{said}");
    assert!(said.contains("already_redeemed"), "{said}");
    assert_eq!(lock.lines(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_cannot_be_sent_is_told_and_sent_when_it_is_run_again() {
    let lock = Lock::new().await;
    lock.world.tap.break_next("SendEmail", Fault::Refuse(400, "MessageRejected"));
    let mut program = lock.leave_a_line().await;
    let id = asked(&mut program).await;
    program.error_with("not certain that the mail").await;
    program.kill().await;
    assert!(lock.world.mails().is_empty());
    let mut program = lock.leave_a_line().await;
    assert_eq!(asked(&mut program).await, id);
    lock.decide(&id, Verdict::Approve, "").await;
    assert_eq!(code(&mut program).await, 0);
    assert!(!program.output().contains("not certain that the mail"), "{}", program.output());
}
