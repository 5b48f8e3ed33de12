//! Ctrl-C and SIGTERM.

use sayso_tests::{Trouble, Verdict};

use crate::lock::{LEAVES_A_LINE, Lock, asked, code, ends, opened_for_reading, signal};

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
async fn an_interrupt_while_the_variables_are_read_runs_nothing() {
    let lock = Lock::new().await;
    let opened = opened_for_reading(lock.file("secrets"));
    let mut program = lock.run(&["--env-file", "secrets"], &LEAVES_A_LINE).await;
    let id = asked(&mut program).await;
    lock.decide(&id, Verdict::Approve, "").await;
    let _nothing_is_written = opened.await.expect("its other end");
    signal(&program, "INT").await;
    ends(&mut program, 130, "The approval is used up, and nothing ran").await;
    assert_eq!(lock.lines(), 0);
    // That was said: from now on it is another matter.
    assert_ne!(asked(&mut lock.run(&["--env-file", "secrets"], &LEAVES_A_LINE).await).await, id);
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
