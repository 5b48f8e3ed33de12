//! What the program is told, and how it says what is missing.

use std::fs;

use sayso_tests::{Program, Verdict};

use crate::lock::{Lock, asked, code, ends};

const RUN: [&str; 3] = ["run", "--", "true"];

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_is_missing_or_malformed_is_named_with_how_to_mend_it() {
    let lock = Lock::new().await;
    let names = |all: &[&str], output: &str| all.iter().all(|name| output.contains(name));
    for (arguments, expected) in [
        (&RUN[..], 78),
        (&["mcp", "--policy", "p", "--upstream", "http://127.0.0.1:9"], 78),
        (&["verify", "--tool", "t", "--arguments", "f"], 2),
    ] {
        let of_trust = ["--issuer", "SAYSO_ISSUER", "--audience", "SAYSO_AUDIENCE"];
        let of_connection = ["--mcp-url", "SAYSO_MCP_URL", "SAYSO_AGENT_KEY", "--agent-key-file"];
        for value in [None, Some(""), Some("not; what fits")] {
            let mut command = lock.command(arguments).await;
            for name in ["SAYSO_ISSUER", "SAYSO_AUDIENCE", "SAYSO_MCP_URL", "SAYSO_AGENT_KEY"] {
                match value {
                    Some(value) => command.env(name, value),
                    None => command.env_remove(name),
                };
            }
            let mut program = Program::start(command);
            ends(&mut program, expected, "SAYSO_ISSUER").await;
            let output = program.output();
            assert!(names(&of_trust, &output), "all at once: {output}");
            assert!(expected == 2 || names(&of_connection, &output), "all at once: {output}");
            assert!(!output.contains("what fits"), "it may be a key in the wrong place: {output}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_do_what_the_environment_does_and_go_before_it() {
    let lock = Lock::new().await;
    let key = lock.file("key");
    fs::write(&key, format!("{}\n", lock.world.agent_key.expose())).expect("a file");
    let world = &lock.world.host;
    let arguments = [
        "run",
        "--mcp-url",
        &world.mcp_url,
        "--issuer",
        &world.issuer_url,
        "--audience",
        "staging",
        "--name",
        "the runner",
        "--agent-key-file",
        "key",
        "--state",
        "elsewhere",
        "--",
        "true",
    ];
    let mut command = lock.command(&arguments).await;
    for name in [
        "SAYSO_MCP_URL",
        "SAYSO_ISSUER",
        "SAYSO_AUDIENCE",
        "SAYSO_GATE_NAME",
        "SAYSO_STATE",
        "SAYSO_AGENT_KEY",
    ] {
        command.env(name, "http://127.0.0.1:9");
    }
    let mut program = Program::start(command);
    let id = asked(&mut program).await;
    assert_eq!(lock.request(&id).await.audience.as_str(), "staging");
    assert!(lock.file("elsewhere").is_dir());
    lock.decide(&id, Verdict::Approve, "").await;
    assert_eq!(code(&mut program).await, 0, "{}", program.output());
    let rows = lock.world.table().rows().await;
    assert!(format!("{rows:?}").contains("the runner"), "the receipt names the gate");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_key_file_that_is_of_no_use_is_said_to_be() {
    let lock = Lock::new().await;
    fs::write(lock.file("two"), "a-key\nanother-key\n").expect("a file");
    fs::write(lock.file("empty"), "\n").expect("a file");
    for (file, said) in [("missing", "cannot be read"), ("two", "must be"), ("empty", "is missing")] {
        let command = lock.command(&["run", "--agent-key-file", file, "--", "true"]).await;
        let mut program = Program::start(command);
        ends(&mut program, 78, "--agent-key-file").await;
        assert!(program.output().contains(said), "{}", program.output());
        assert!(!program.output().contains("a-key"), "{}", program.output());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_directory_that_cannot_be_used_is_found_before_anybody_is_asked() {
    let lock = Lock::new().await;
    fs::write(lock.file("state"), "a file").expect("a file");
    ends(&mut lock.leave_a_line().await, 78, "--state").await;
    assert!(lock.world.mails().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn help_says_every_exit_status() {
    let lock = Lock::new().await;
    for (subcommand, texts) in [
        ("run", &["64", "75", "77", "78", "126", "127", "130", "143", "--env-file", "SAYSO_AGENT_KEY"][..]),
        ("verify", &["77", "receipt"]),
        ("mcp", &["--upstream", "--policy", "-- <UPSTREAM COMMAND>"]),
    ] {
        let mut program = Program::start(lock.command(&[subcommand, "--help"]).await);
        assert_eq!(code(&mut program).await, 0);
        let help = program.printed();
        let key = lock.world.agent_key.expose();
        assert!(!help.contains(key) && !help.contains(&lock.world.host.issuer_url), "{help}");
        for text in texts {
            assert!(help.contains(text), "{text} is missing in: {help}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mcp_stands_in_front_of_one_server() {
    let lock = Lock::new().await;
    for arguments in [
        &["mcp", "--policy", "p"][..],
        &["mcp", "--policy", "p", "--upstream", "http://127.0.0.1:9", "--", "server"],
        &["mcp", "--", "server"],
        &["mcp", "--policy", "p", "--allowed-host", "gate.internal", "--", "server"],
        &["mcp", "--policy", "p", "--listen", "somewhere", "--", "server"],
    ] {
        ends(&mut Program::start(lock.command(arguments).await), 2, "--help").await;
    }
}
