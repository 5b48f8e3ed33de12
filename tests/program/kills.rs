//! `kill -9` at every step, and the same command again: never twice, and never as if nothing had been.

use sayso_tests::{Front, Program, Trouble, Verdict, World};

use crate::lock::{Lock, asked, code, ends};

const REDEEM: &str = "/redeem";

/// The program as it hangs in the middle of using its approval up.
async fn redeeming(lock: &Lock, front: &Front, trouble: Trouble) -> Program {
    let mut program = lock.leave_a_line().await;
    let id = asked(&mut program).await;
    front.trouble(REDEEM, trouble);
    lock.approve_at_front(&id, front).await;
    front.asked_for(REDEEM).await;
    program
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_asks_it_finds_the_request_that_was_made() {
    let world = World::live().await;
    let front = Front::start(world.host.mcp_url.trim_end_matches("/mcp")).await;
    let lock = Lock::of(world).asking(&format!("{}/mcp", front.url));
    front.trouble("/mcp", Trouble::KeepAnswer);
    let mut program = lock.leave_a_line().await;
    while lock.world.mails().is_empty() {
        tokio::task::yield_now().await;
    }
    program.kill().await;
    let mut program = lock.leave_a_line().await;
    let id = asked(&mut program).await;
    assert_eq!(lock.world.mails().len(), 1, "nobody is asked twice");
    lock.decide(&id, Verdict::Approve, "").await;
    assert_eq!(code(&mut program).await, 0, "{}", program.output());
    assert_eq!(lock.lines(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_waits_it_finds_the_same_request_again() {
    let lock = Lock::new().await;
    let mut program = lock.leave_a_line().await;
    let id = asked(&mut program).await;
    program.kill().await;
    let mut program = lock.leave_a_line().await;
    assert_eq!(asked(&mut program).await, id);
    assert_eq!(lock.world.mails().len(), 1, "nobody is asked twice");
    lock.decide(&id, Verdict::Approve, "").await;
    assert_eq!(code(&mut program).await, 0, "{}", program.output());
    assert_eq!(lock.lines(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_the_answer_it_runs_on_the_answer_that_came() {
    let lock = Lock::new().await;
    for (verdict, expected, lines) in [(Verdict::Approve, 0, 1), (Verdict::Deny, 77, 1)] {
        let mut program = lock.leave_a_line().await;
        let id = asked(&mut program).await;
        program.kill().await;
        lock.decide(&id, verdict, "").await;
        let mails = lock.world.mails().len();
        let mut program = lock.leave_a_line().await;
        assert_eq!(code(&mut program).await, expected, "{}", program.output());
        assert_eq!((lock.lines(), lock.world.mails().len()), (lines, mails));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_the_issuer_has_recorded_it_it_runs_when_started_again() {
    let (lock, front) = Lock::with_front().await;
    let mut program = redeeming(&lock, &front, Trouble::Silence).await;
    program.kill().await;
    assert!(lock.world.table().keys("REDEMPTION#").await.is_empty());
    let mut program = lock.leave_a_line().await;
    assert_eq!(code(&mut program).await, 0, "{}", program.output());
    assert_eq!(lock.lines(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_when_the_issuer_has_recorded_it_it_says_so_and_does_not_run() {
    let (lock, front) = Lock::with_front().await;
    let mut program = redeeming(&lock, &front, Trouble::KeepAnswer).await;
    while lock.world.table().keys("REDEMPTION#").await.is_empty() {
        tokio::task::yield_now().await;
    }
    program.kill().await;
    let mails = lock.world.mails().len();
    ends(&mut lock.leave_a_line().await, 77, "already_redeemed").await;
    assert_eq!((lock.lines(), lock.world.mails().len()), (0, mails));
    // That was heard: from now on it is another matter, for the human to decide.
    let mut program = lock.leave_a_line().await;
    let id = asked(&mut program).await;
    assert_eq!(lock.world.mails().len(), mails + 1);
    lock.approve_at_front(&id, &front).await;
    assert_eq!(code(&mut program).await, 0, "{}", program.output());
    assert_eq!(lock.lines(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_killed_is_not_started_again_by_itself() {
    let lock = Lock::new().await;
    let command = ["sh", "-c", "echo ran >> ran.txt; echo running; exec sleep 1000"];
    let mut program = lock.run(&[], &command).await;
    let id = asked(&mut program).await;
    lock.decide(&id, Verdict::Approve, "").await;
    program.line_with("running").await;
    program.kill().await;
    let mut program = lock.run(&[], &command).await;
    assert_ne!(asked(&mut program).await, id);
    assert_eq!(lock.lines(), 1);
}
