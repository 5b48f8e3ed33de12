//! `sayso-gate verify`, as a script calls it.

use std::fs;
use std::time::Duration;

use sayso_model::Receipt;
use sayso_tests::{Front, Program, Trouble, World, action};

use crate::lock::{Lock, code, ends};

const ARGUMENTS: &str = r#"{"table":"orders_2019"}"#;

impl Lock {
    async fn verify_command(&self, tool: &str, arguments: &str) -> tokio::process::Command {
        fs::write(self.file("arguments.json"), arguments).expect("a file");
        self.command(&["verify", "--tool", tool, "--arguments", "arguments.json"]).await
    }

    async fn verify(&self, arguments: &str, token: &str) -> Program {
        Program::start_with_input(self.verify_command("drop_table", arguments).await, token)
    }

    async fn token(&self) -> String {
        self.world.approve_for(self.issuer(), action(ARGUMENTS)).await.token.expose().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_fits_gives_a_receipt_once() {
    let lock = Lock::new().await;
    for end in ["", "\n"] {
        let token = format!("{}{end}", lock.token().await);
        // Another spelling of the same arguments is the same action.
        let mut program = lock.verify("{ \"table\" : \"orders\\u005f2019\" }\n", &token).await;
        assert_eq!(code(&mut program).await, 0, "{}", program.output());
        let receipt = Receipt::from_json(&program.printed()).expect("a receipt");
        assert_eq!(receipt.digest, action(ARGUMENTS).digest());
        assert_eq!(receipt.gate.as_str(), "sayso-gate verify");
        assert_eq!(program.output(), program.printed(), "and nothing else");
        ends(&mut lock.verify(ARGUMENTS, &token).await, 77, "already_redeemed: ").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_does_not_fit_is_refused_by_its_reason() {
    let lock = Lock::new().await;
    let token = lock.token().await;
    for (arguments, token, reason) in [
        (r#"{"table":"orders_2018"}"#, token.clone(), "wrong_digest"),
        (r#"{"table":"orders_2019","cascade":true}"#, token.clone(), "wrong_digest"),
        (ARGUMENTS, String::new(), "malformed_token"),
        (ARGUMENTS, "garbage".to_owned(), "malformed_token"),
        (ARGUMENTS, format!("{token}\n\n"), "malformed_token"),
        (ARGUMENTS, format!(" {token}"), "malformed_token"),
        (ARGUMENTS, format!("{token} {token}"), "malformed_token"),
        (ARGUMENTS, "A".repeat(1 << 20), "malformed_token"),
        (ARGUMENTS, format!("{token}{}", "A".repeat(1 << 20)), "malformed_token"),
        (ARGUMENTS, format!("{token}A"), "bad_signature"),
    ] {
        ends(&mut lock.verify(arguments, &token).await, 77, &format!("{reason}: ")).await;
    }
    let other_tool = lock.verify_command("drop_tables", ARGUMENTS).await;
    ends(&mut Program::start_with_input(other_tool, &token), 77, "wrong_digest: ").await;
    let mut other_audience = lock.verify_command("drop_table", ARGUMENTS).await;
    other_audience.env("SAYSO_AUDIENCE", "staging");
    ends(&mut Program::start_with_input(other_audience, &token), 77, "wrong_audience: ").await;
    // None of that has used it up.
    assert_eq!(code(&mut lock.verify(ARGUMENTS, &token).await).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_refused_before_and_after_its_time() {
    let (early, late) = (Lock::now().plus(Duration::from_secs(60)), Lock::now().as_unix_seconds() - 7200);
    let late = sayso_model::Timestamp::from_unix_seconds(late).expect("a time");
    for (signed_at, reason) in [(early, "not_yet_valid: "), (late, "expired: ")] {
        let lock = Lock::of(World::at(signed_at).await);
        let token = lock.token().await;
        ends(&mut lock.verify(ARGUMENTS, &token).await, 77, reason).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_issuer_every_token_is_refused() {
    let (lock, front) = Lock::with_front().await;
    let token = lock.token().await;
    for path in ["/.well-known/jwks.json", "/redeem"] {
        (0..sayso_sdk::ATTEMPTS).for_each(|_| front.trouble(path, Trouble::LoseRequest));
    }
    ends(&mut lock.verify(ARGUMENTS, &token).await, 77, "keys_unavailable: ").await;
    ends(&mut lock.verify(ARGUMENTS, &token).await, 77, "unanswered: ").await;
    assert_eq!(code(&mut lock.verify(ARGUMENTS, &token).await).await, 0);
    let lock = lock.trusting("http://127.0.0.1:9");
    ends(&mut lock.verify(ARGUMENTS, &token).await, 77, "keys_unavailable: ").await;
    let other = World::live().await;
    let front = Front::start(&other.host.issuer_url).await;
    let lock = lock.trusting(&front.url);
    ends(&mut lock.verify(ARGUMENTS, &token).await, 77, "unknown_key: ").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_that_cannot_be_used_leave_the_token_alone() {
    let lock = Lock::new().await;
    let token = lock.token().await;
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(64 * 1024));
    for (arguments, said) in [
        ("", "JSON"),
        ("[]", "object"),
        (r#"{"a":1,"a":2}"#, "twice"),
        (r#"{"a":9007199254740993.0}"#, "/a"),
        (&large, "65536"),
    ] {
        ends(&mut lock.verify(arguments, &token).await, 2, said).await;
    }
    fs::write(lock.file("binary.json"), b"{\"a\":\"\xff\"}").expect("a file");
    for (arguments, said) in [
        (&["verify", "--tool", "drop_table", "--arguments", "missing.json"][..], "missing.json"),
        (&["verify", "--tool", "drop_table", "--arguments", "binary.json"], "UTF-8"),
        (&["verify", "--tool", "drop table", "--arguments", "arguments.json"], "--tool"),
        (&["verify", "--tool", "drop_table"], "--arguments"),
        (&["verify", "--tool", "drop_table", "--arguments", "arguments.json", &token], "unexpected"),
    ] {
        ends(&mut Program::start_with_input(lock.command(arguments).await, &token), 2, said).await;
    }
    assert!(lock.world.table().keys("REDEMPTION#").await.is_empty());
    assert_eq!(code(&mut lock.verify(ARGUMENTS, &token).await).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_that_nobody_can_read_is_no_leave_to_act() {
    let lock = Lock::new().await;
    let token = lock.token().await;
    let command = lock.verify_command("drop_table", ARGUMENTS).await;
    let mut shell = tokio::process::Command::new("sh");
    shell.args(["-c", r#""$0" "$@" > /dev/full"#]).arg(command.as_std().get_program());
    shell.args(command.as_std().get_args()).current_dir(lock.directory()).env_clear();
    shell.envs(command.as_std().get_envs().filter_map(|(name, value)| Some((name, value?))));
    ends(&mut Program::start_with_input(shell, &token), 77, "do not act").await;
}
