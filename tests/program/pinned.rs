//! What the human read is what runs: the files that a command is made of are those that they were when the human was asked.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use sayso_tests::{Program, Verdict};

use crate::lock::{Lock, asked, code, ends, without_pins};

fn script(file: &Path, says: &str) {
    fs::write(file, format!("#!/bin/sh\necho {says} >> ran.txt\n")).expect("a file");
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).expect("its mode");
}

/// A way to exchange what runs between the mail and the yes: what is exchanged, and how.
type Swap = (&'static str, fn(&Lock));

const SWAPS: [Swap; 6] = [
    ("job.sh", |lock| script(&lock.file("work/job.sh"), "evil")),
    ("real.sh", |lock| script(&lock.file("work/real.sh"), "evil")),
    ("tool", |lock| script(&lock.file("bin/tool"), "evil")),
    ("data.sql", |lock| fs::write(lock.file("work/data.sql"), "drop everything").expect("a file")),
    ("secrets.env", |lock| fs::write(lock.file("work/secrets.env"), "TOKEN=evil\n").expect("a file")),
    ("the directory", |lock| {
        fs::rename(lock.file("work"), lock.file("away")).expect("a rename");
        fs::create_dir(lock.file("work")).expect("a directory");
    }),
];

fn lay_out(lock: &Lock) {
    for directory in ["work", "away"] {
        let _ = fs::remove_dir_all(lock.file(directory));
    }
    let _ = fs::remove_dir_all(lock.file("bin"));
    fs::create_dir_all(lock.file("work")).expect("a directory");
    fs::create_dir_all(lock.file("bin")).expect("a directory");
    for file in ["work/job.sh", "work/real.sh", "bin/tool"] {
        script(&lock.file(file), "ran");
    }
    symlink("real.sh", lock.file("work/link.sh")).expect("a link");
    fs::write(lock.file("work/data.sql"), "select 1").expect("a file");
    fs::write(lock.file("work/secrets.env"), "TOKEN=t\n").expect("a file");
}

async fn run(lock: &Lock, options: &[&str], command: &[&str]) -> Program {
    let mut command = lock.run_command(options, command).await;
    command.current_dir(lock.file("work"));
    command.env("PATH", format!("{}:/usr/bin:/bin", lock.file("bin").display()));
    Program::start(command)
}

// Promise: What a command is made of is what the human was shown: what has changed since is named, and nothing runs.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_exchanged_between_the_mail_and_the_yes_is_named_and_nothing_is_used_up() {
    let lock = Lock::new().await;
    for (exchanged, swap) in SWAPS {
        let command: &[&str] = match exchanged {
            "real.sh" => &["./link.sh"],
            "tool" => &["tool"],
            "data.sql" => &["sh", "./job.sh", "--file=data.sql"],
            _ => &["./job.sh"],
        };
        // An approval that is not used up is found again: each command is another.
        let named = format!("for {exchanged}");
        let command = &[command, &[named.as_str()]].concat()[..];
        lay_out(&lock);
        let options = ["--env-file", "secrets.env", "--reason", exchanged];
        let mut program = run(&lock, &options, command).await;
        let id = asked(&mut program).await;
        swap(&lock);
        lock.decide(&id, Verdict::Approve, "").await;
        ends(&mut program, 77, exchanged).await;
        let output = program.output();
        assert!(output.contains("the approval is not used up"), "{exchanged}: {output}");
        assert_eq!(lock.world.table().keys("REDEMPTION#").await.len(), 0, "{exchanged}");
        assert!(!lock.file("work/ran.txt").exists(), "{exchanged}");
        // As it is now it is another request.
        if exchanged != "the directory" {
            assert_ne!(asked(&mut run(&lock, &options, command).await).await, id, "{exchanged}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_put_back_runs_on_the_approval_that_there_is() {
    let lock = Lock::new().await;
    lay_out(&lock);
    let mut program = run(&lock, &[], &["./job.sh"]).await;
    let id = asked(&mut program).await;
    script(&lock.file("work/job.sh"), "evil");
    lock.decide(&id, Verdict::Approve, "").await;
    ends(&mut program, 77, "job.sh has changed").await;
    script(&lock.file("work/job.sh"), "ran");
    let mut program = run(&lock, &[], &["./job.sh"]).await;
    assert_eq!(code(&mut program).await, 0, "{}", program.output());
    assert_eq!(fs::read_to_string(lock.file("work/ran.txt")).expect("a line"), "ran\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_approver_reads_the_script_and_what_it_is_run_by() {
    let lock = Lock::new().await;
    lay_out(&lock);
    let id = asked(&mut run(&lock, &["--env-file", "secrets.env"], &["./link.sh", "data.sql"]).await).await;
    let (_, pinned) = without_pins(&lock.request(&id).await.action.arguments);
    let files = pinned["files"].as_array().expect("files");
    let named = |at: usize| files[at]["path"].as_str().expect("a path").to_owned();
    assert_eq!(named(0), lock.file("work/real.sh").canonicalize().expect("a path").to_str().expect("text"));
    assert_eq!(Path::new(&named(1)), Path::new("/bin/sh").canonicalize().expect("a path"));
    assert!(named(2).ends_with("/data.sql") && files.len() == 3, "{files:?}");
    assert_eq!(files[2]["text"], "select 1");
    assert!(files[1].get("text").is_none(), "a binary has no text");
    assert!(pinned["env_file"]["sha256"].is_string() && pinned["env_file"].get("text").is_none(), "{pinned}");
    let page = lock.page(&id).await.text();
    assert!(page.contains("#!/bin/sh") && page.contains("select 1") && !page.contains("TOKEN"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_pins_the_names_alone_are_approved() {
    let lock = Lock::new().await;
    lay_out(&lock);
    let mut program = run(&lock, &["--no-pin"], &["./job.sh"]).await;
    let id = asked(&mut program).await;
    assert!(!lock.request(&id).await.action.arguments.as_str().contains("pinned"));
    script(&lock.file("work/job.sh"), "later");
    lock.decide(&id, Verdict::Approve, "").await;
    assert_eq!(code(&mut program).await, 0, "{}", program.output());
    assert_eq!(fs::read_to_string(lock.file("work/ran.txt")).expect("a line"), "later\n");
}

/// A hang-up is how a session that ends says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_withdraws_the_request() {
    let lock = Lock::new().await;
    lay_out(&lock);
    let mut program = run(&lock, &[], &["./job.sh"]).await;
    let id = asked(&mut program).await;
    crate::lock::signal(&program, "HUP").await;
    ends(&mut program, 129, "The request is withdrawn").await;
    assert_eq!(lock.status(&id).await, "withdrawn");
}
