//! Ctrl-C and SIGTERM.

use std::sync::Arc;

use sayso_tests::{Front, Program, Trouble, Verdict, World};
use tokio::sync::Notify;

use crate::lock::{Lock, asked, code, ends, signal};

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_withdraws_the_request() {
    let lock = Lock::new().await;
    for (name, expected) in [("INT", 130), ("TERM", 143)] {
        let mut program = lock.leave_a_line().await;
        let id = asked(&mut program).await;
        signal(&program, name).await;
        ends(&mut program, expected, "The request is withdrawn. Nothing ran.").await;
        assert_eq!(lock.status(&id).await, "withdrawn");
        let page = lock.page(&id).await;
        assert!(page.forms().is_empty(), "nobody decides on it: {}", page.text());
    }
    assert_eq!(lock.lines(), 0);
    // It is over: the same command asks again.
    asked(&mut lock.leave_a_line().await).await;
    assert_eq!(lock.world.mails().len(), 3);
}

/// In front of the agent's function, as it has been asked and has not answered.
async fn asking(trouble: Trouble) -> (Lock, Front, Program) {
    let world = World::live().await;
    let front = Front::start(world.host.mcp_url.trim_end_matches("/mcp")).await;
    let lock = Lock::of(world).asking(&format!("{}/mcp", front.url));
    front.trouble("/mcp", trouble);
    let program = lock.leave_a_line().await;
    front.asked_for("/mcp").await;
    (lock, front, program)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_while_it_asks_withdraws_what_it_asked() {
    let until = Arc::new(Notify::new());
    let (lock, _front, mut program) = asking(Trouble::Hold(Arc::clone(&until))).await;
    signal(&program, "INT").await;
    program.error_with("waiting for the request's id").await;
    until.notify_one();
    let id = asked(&mut program).await;
    ends(&mut program, 130, "The request is withdrawn. Nothing ran.").await;
    assert_eq!(lock.status(&id).await, "withdrawn");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_interrupt_does_not_wait_for_anybody() {
    let (lock, front, mut program) = asking(Trouble::Silence).await;
    signal(&program, "INT").await;
    program.error_with("waiting for the request's id").await;
    signal(&program, "INT").await;
    ends(&mut program, 130, "The request may be open").await;
    // The request, the check that waits, and what is to be withdrawn.
    for trouble in [Trouble::Pass, Trouble::Pass, Trouble::Silence] {
        front.trouble("/mcp", trouble);
    }
    front.take_requests();
    let mut program = lock.leave_a_line().await;
    let mut seen = 0;
    while seen < 2 {
        tokio::task::yield_now().await;
        seen += front.take_requests().len();
    }
    signal(&program, "TERM").await;
    program.error_with("withdrawing").await;
    signal(&program, "TERM").await;
    ends(&mut program, 143, "may still be open").await;
    assert_eq!(lock.lines(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_while_the_approval_is_used_runs_nothing() {
    let (lock, front) = Lock::with_front().await;
    let mut program = lock.leave_a_line().await;
    let id = asked(&mut program).await;
    front.trouble("/redeem", Trouble::Silence);
    lock.approve_at_front(&id, &front).await;
    front.asked_for("/redeem").await;
    signal(&program, "INT").await;
    ends(&mut program, 130, "Nothing ran").await;
    assert_eq!(lock.lines(), 0);
    // It had not arrived, so the approval is as good as before.
    let mut program = lock.leave_a_line().await;
    assert_eq!(code(&mut program).await, 0, "{}", program.output());
    assert_eq!(lock.lines(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_of_the_command_is_the_commands_own() {
    let lock = Lock::new().await;
    let script = "trap 'echo interrupted >&2; exit 5' INT; echo running; while :; do sleep 0.05; done";
    let mut program = lock.run(&[], &["sh", "-c", script]).await;
    let id = asked(&mut program).await;
    lock.decide(&id, Verdict::Approve, "").await;
    program.line_with("running").await;
    signal(&program, "INT").await;
    assert_eq!(code(&mut program).await, 5, "{}", program.output());
    assert_eq!(lock.status(&id).await, "approved");
}
