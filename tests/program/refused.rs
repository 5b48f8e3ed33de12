//! Whatever is wrong: nothing runs, and the message says what to do.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use sayso_tests::{Program, Trouble, Verdict, World};

use crate::lock::{LEAVES_A_LINE, Lock, asked, code, ends};

const KEYS: &str = "/.well-known/jwks.json";
const REDEEM: &str = "/redeem";

/// Nothing listens there.
const NOWHERE: &str = "http://127.0.0.1:9";

#[tokio::test(flavor = "multi_thread")]
async fn without_sayso_nothing_runs() {
    let lock = Lock::new().await.asking(&format!("{NOWHERE}/mcp"));
    ends(&mut lock.leave_a_line().await, 75, "Sayso cannot be reached").await;
    assert_eq!(lock.lines(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_issuer_fails_nothing_runs_until_it_is_back() {
    let (lock, front) = Lock::with_front().await;
    for (path, trouble, reason, then) in [
        (KEYS, Trouble::LoseRequest, "keys_unavailable", 0),
        (KEYS, Trouble::Answer(404, None, String::new()), "keys_unavailable", 0),
        (REDEEM, Trouble::LoseRequest, "unanswered", 0),
        (REDEEM, Trouble::Answer(503, None, String::new()), "unanswered", 0),
        (REDEEM, Trouble::Answer(404, None, "{}".to_owned()), "not_understood", 0),
        // It was used up unseen, so it may have run for all that the next one knows.
        (REDEEM, Trouble::LoseAnswer, "unanswered", 77),
    ] {
        let before = lock.lines();
        let mut program = lock.leave_a_line().await;
        let id = asked(&mut program).await;
        let once = matches!(trouble, Trouble::Answer(404, ..));
        (0..if once { 1 } else { sayso_sdk::ATTEMPTS }).for_each(|_| front.trouble(path, trouble.clone()));
        lock.approve_at_front(&id, &front).await;
        ends(&mut program, 75, reason).await;
        assert_eq!(lock.lines(), before, "{reason}");
        let mut program = lock.leave_a_line().await;
        assert_eq!(code(&mut program).await, then, "{}", program.output());
        assert_eq!(lock.lines(), before + usize::from(then == 0), "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_is_another_lets_nothing_run() {
    let lock = Lock::new().await.trusting(NOWHERE);
    let mut program = lock.leave_a_line().await;
    let id = asked(&mut program).await;
    lock.decide(&id, Verdict::Approve, "").await;
    ends(&mut program, 75, "keys_unavailable").await;
    // Another deployment's keys are there, and its word is not the one that counts.
    let other = World::live().await;
    let lock = lock.trusting(&other.host.issuer_url);
    ends(&mut lock.leave_a_line().await, 77, "unknown_key").await;
    assert_eq!(lock.lines(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off_by_more_than_the_leeway_lets_nothing_run() {
    let ahead = Lock::now().plus(Duration::from_secs(60));
    let hours = Duration::from_secs(2 * 3600).as_secs();
    let behind =
        sayso_model::Timestamp::from_unix_seconds(Lock::now().as_unix_seconds() - hours.cast_signed());
    for (issuers_time, reason) in [(ahead, "not_yet_valid"), (behind.expect("a time"), "expired")] {
        let lock = Lock::of(World::at(issuers_time).await);
        let mut program = lock.leave_a_line().await;
        let id = asked(&mut program).await;
        lock.decide(&id, Verdict::Approve, "").await;
        lock.world.clock.advance(Duration::from_millis(250));
        ends(&mut program, 77, reason).await;
        assert_eq!(lock.lines(), 0);
        assert!(lock.world.table().keys("REDEMPTION#").await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_cannot_be_shown_is_not_asked_for() {
    let lock = Lock::new().await;
    fs::write(lock.file("text"), "no program").expect("a file");
    let large = "x".repeat(64 * 1024);
    for (expected, options, command, said) in [
        (127, &[][..], &["no-such-program"][..], "not found"),
        (127, &[], &["./no-such-program"], "not found"),
        (127, &[], &["/"], "not found"),
        (127, &[], &[""], "not found"),
        (126, &[], &["./text"], "chmod +x"),
        (64, &[], &["echo", &large], "65536"),
        (64, &["--env", "NOT_SET"], &["true"], "NOT_SET"),
        (2, &["--env", "SAYSO_STATE"], &["true"], "never passed on"),
        (2, &["--env", "A=b"], &["true"], "variable's name"),
        (2, &["--expires-in", "59"], &["true"], "60 to 604800"),
        (2, &["--summary", "two\nlines"], &["true"], "one line"),
        (2, &[], &[], "required"),
    ] {
        ends(&mut lock.run(options, command).await, expected, said).await;
    }
    let mut command = lock.run_command(&[], &["echo"]).await;
    command.arg(OsStr::from_bytes(b"\xff"));
    ends(&mut Program::start(command), 64, "argument 1 is not UTF-8").await;
    let directory = lock.directory().join(OsStr::from_bytes(b"\xff"));
    fs::create_dir(&directory).expect("a directory");
    let mut command = lock.run_command(&[], &["true"]).await;
    command.current_dir(&directory);
    ends(&mut Program::start(command), 64, "the working directory is not UTF-8").await;
    assert!(lock.world.mails().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_sayso_does_not_know_or_allow_is_told_so() {
    let lock = Lock::new().await;
    let mut unknown = lock.run_command(&[], &LEAVES_A_LINE).await;
    unknown.env("SAYSO_AGENT_KEY", "another-key");
    ends(&mut Program::start(unknown), 78, "does not know this agent key").await;
    let mut elsewhere = lock.run_command(&[], &LEAVES_A_LINE).await;
    elsewhere.env("SAYSO_AUDIENCE", "the-moon");
    ends(&mut Program::start(elsewhere), 78, "audience").await;
    let url = lock.world.host.mcp_url.replace("/mcp", "/elsewhere");
    ends(&mut lock.asking(&url).leave_a_line().await, 78, "/mcp").await;
}
