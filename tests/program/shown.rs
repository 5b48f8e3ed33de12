//! What the human sees is what runs.

use std::os::unix::fs::PermissionsExt as _;
use std::{fs, os::unix::fs::symlink};

use sayso_tests::Verdict;
use serde_json::json;

use crate::lock::{Lock, asked, canonical, code, ends, on_path, without_pins};

#[tokio::test(flavor = "multi_thread")]
async fn the_human_sees_exactly_what_will_run() {
    let lock = Lock::new().await;
    let argv = ["sh", "-c", "echo \"$0\" \"$@\"", "a b", "", "ä\n\tc", "--help"];
    let mut program = lock.run(&["--reason", "To see", "--expires-in", "600"], &argv).await;
    let id = asked(&mut program).await;
    let request = lock.request(&id).await;
    let expected = json!({
        "argv": argv,
        "program": on_path("sh"),
        "cwd": lock.directory(),
        "environment": ["HOME", "PATH"],
        "stdin": "none",
    });
    assert_eq!(request.action.tool.as_str(), "shell");
    let (arguments, pinned) = without_pins(&request.action.arguments);
    assert_eq!(arguments, canonical(&expected));
    assert_eq!(pinned["files"][0]["path"], json!(on_path("sh").canonicalize().expect("a program")));
    assert_eq!(
        (request.audience.as_str(), request.created_at.until(request.closes_at).as_secs()),
        ("production", 600)
    );
    let (page, mail) = (lock.page(&id).await.text(), lock.world.mails().remove(0));
    for shown in [on_path("sh").to_str(), lock.directory().to_str(), Some("a b"), Some("To see")] {
        let shown = shown.expect("text");
        assert!(page.contains(shown), "{shown} is missing in {page}");
        assert!(
            mail.text.as_deref().is_some_and(|text| text.contains(shown)),
            "{shown} is missing in {mail:?}"
        );
        assert!(shown == "To see" || program.output().contains(shown), "{}", program.output());
    }
    assert!(program.output().contains("a•••@example.com"), "{}", program.output());
    assert!(!program.output().contains(&lock.world.link(&id).0), "the link is the approver's");
    lock.decide(&id, Verdict::Approve, "").await;
    assert_eq!(code(&mut program).await, 0);
    assert_eq!(program.printed(), "a b  ä\n\tc --help\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_summary_is_made_from_the_command_or_given() {
    let lock = Lock::new().await;
    let long = "x".repeat(1000);
    for (options, command, expected) in [
        (&[][..], &["true", "a\nb"][..], "Run true a b".to_owned()),
        (&["--summary", "Do nothing"], &["true"], "Do nothing".to_owned()),
        (&[], &["true", &long], format!("Run true {} …", &long[..195])),
    ] {
        let id = asked(&mut lock.run(options, command).await).await;
        assert_eq!(lock.request(&id).await.summary.as_str(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_is_the_one_that_path_finds_and_stays_so() {
    let lock = Lock::new().await;
    let tool = |directory: &str, says: &str| {
        let directory = lock.file(directory);
        fs::create_dir_all(&directory).expect("a directory");
        let file = directory.join("tool");
        fs::write(&file, format!("#!/bin/sh\necho {says}\n")).expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("its mode");
        file
    };
    let second = tool("second", "second");
    let path =
        format!("/nowhere:{}:{}:bin:/usr/bin", lock.file("first").display(), lock.file("second").display());
    let mut command = lock.run_command(&[], &["tool"]).await;
    command.env("PATH", path);
    let mut program = sayso_tests::Program::start(command);
    let id = asked(&mut program).await;
    let arguments: serde_json::Value =
        serde_json::from_str(lock.request(&id).await.action.arguments.as_str()).expect("JSON");
    assert_eq!(arguments["program"], json!(second));
    // Found first from now on, and not what was approved.
    tool("first", "first");
    lock.decide(&id, Verdict::Approve, "").await;
    assert_eq!(code(&mut program).await, 0, "{}", program.output());
    assert_eq!(program.printed(), "second\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_named_by_a_path_is_that_one_under_its_own_name() {
    let lock = Lock::new().await;
    symlink(on_path("sh"), lock.file("my-sh")).expect("a link");
    let mut program = lock.run(&[], &["./my-sh", "-c", "echo $0; pwd -P"]).await;
    let id = asked(&mut program).await;
    let arguments: serde_json::Value =
        serde_json::from_str(lock.request(&id).await.action.arguments.as_str()).expect("JSON");
    assert_eq!(arguments["argv"][0], "./my-sh");
    assert_eq!(arguments["program"], json!(lock.file("./my-sh")));
    lock.decide(&id, Verdict::Approve, "").await;
    assert_eq!(code(&mut program).await, 0, "{}", program.output());
    assert_eq!(program.printed(), format!("./my-sh\n{}\n", lock.directory().display()));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_directory_or_argument_is_another_request() {
    let lock = Lock::new().await;
    fs::create_dir(lock.file("below")).expect("a directory");
    fs::write(lock.file("e"), "A=b\n").expect("a file");
    let mut below = lock.run_command(&[], &["echo", "a"]).await;
    below.current_dir(lock.file("below"));
    let first = asked(&mut lock.run(&[], &["echo", "a"]).await).await;
    let others = [
        asked(&mut sayso_tests::Program::start(below)).await,
        asked(&mut lock.run(&[], &["echo", "a "]).await).await,
        asked(&mut lock.run(&["--stdin"], &["echo", "a"]).await).await,
        asked(&mut lock.run(&["--env-file", "e"], &["echo", "a"]).await).await,
        asked(&mut lock.run(&["--no-pin"], &["echo", "a"]).await).await,
    ];
    assert!(!others.contains(&first), "{first} {others:?}");
    assert_eq!(asked(&mut lock.run(&[], &["echo", "a"]).await).await, first);
    // The human reads the words of who asks now, and not those of who asked before.
    assert_ne!(asked(&mut lock.run(&["--summary", "Else"], &["echo", "a"]).await).await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_when_it_is_approved_does_not_run() {
    let lock = Lock::new().await;
    let directory = lock.file("work");
    fs::create_dir(&directory).expect("a directory");
    fs::copy(on_path("true"), lock.file("tool")).expect("a copy");
    for change in ["chmod", "remove", "directory"] {
        let mut command = lock.run_command(&["--reason", change], &["../tool", change]).await;
        command.current_dir(&directory);
        let mut program = sayso_tests::Program::start(command);
        let id = asked(&mut program).await;
        match change {
            "chmod" => fs::set_permissions(lock.file("tool"), fs::Permissions::from_mode(0o644)),
            "remove" => fs::remove_file(lock.file("tool")),
            _ => fs::remove_dir(&directory),
        }
        .expect("a change");
        lock.decide(&id, Verdict::Approve, "").await;
        ends(&mut program, 77, "Nothing ran, and the approval is not used up").await;
        fs::copy(on_path("true"), lock.file("tool")).expect("a copy");
        fs::set_permissions(lock.file("tool"), fs::Permissions::from_mode(0o755)).expect("its mode");
    }
}
