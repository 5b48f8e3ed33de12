//! The environment and the standard input of the command.

use std::fs;
use std::path::Path;

use sayso_tests::{Program, Verdict};
use serde_json::json;

use crate::lock::{LEAVES_A_LINE, Lock, asked, canonical, code, ends, on_path, without_pins};

/// Nowhere but in a file, until it is in the command's environment.
const SECRET: &str = "hunter2-and-more";

fn process(program: &Program, file: &str) -> String {
    let path = Path::new("/proc").join(program.id().expect("a process").to_string()).join(file);
    String::from_utf8_lossy(&fs::read(path).expect("a file")).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_gets_the_usual_variables_and_those_that_are_named() {
    let lock = Lock::new().await;
    let mut command = lock.run_command(&["--env", "DATABASE", "--env", "LC_ALL"], &["env"]).await;
    for (name, value) in [
        ("DATABASE", "orders=1"),
        ("LC_ALL", "C"),
        ("LC_TIME", "C"),
        ("TZ", "UTC"),
        ("LD_PRELOAD", ""),
        ("TOKEN", SECRET),
    ] {
        command.env(name, value);
    }
    let mut program = Program::start(command);
    let id = asked(&mut program).await;
    let names = ["DATABASE", "HOME", "LC_ALL", "LC_TIME", "PATH", "TZ"];
    let expected = json!({
        "argv": ["env"], "program": on_path("env"), "cwd": lock.directory(), "environment": names, "stdin": "none",
    });
    assert_eq!(without_pins(&lock.request(&id).await.action.arguments).0, canonical(&expected));
    lock.decide(&id, Verdict::Approve, "").await;
    assert_eq!(code(&mut program).await, 0, "{}", program.output());
    let mut printed: Vec<_> = program.printed().lines().map(str::to_owned).collect();
    printed.sort_unstable();
    let home = format!("HOME={}", lock.directory().display());
    assert_eq!(
        printed,
        ["DATABASE=orders=1", &home, "LC_ALL=C", "LC_TIME=C", "PATH=/usr/bin:/bin", "TZ=UTC"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_key_is_not_in_sight_while_somebody_is_asked_and_nowhere_in_the_command() {
    let lock = Lock::new().await;
    let key = lock.world.agent_key.expose().to_owned();
    fs::write(lock.file("file.env"), format!("SAYSO_AGENT_KEY={key}\nSAYSO_STATE=x\nOTHER=y\n"))
        .expect("a file");
    let mut program =
        lock.run(&["--env-file", "file.env"], &["sh", "-c", "env; cat /proc/self/environ"]).await;
    let id = asked(&mut program).await;
    for file in ["cmdline", "environ"] {
        assert!(!process(&program, file).contains(&key), "{file}");
    }
    lock.decide(&id, Verdict::Approve, "").await;
    assert_eq!(code(&mut program).await, 0, "{}", program.output());
    let printed = program.printed();
    assert!(printed.contains("OTHER=y") && !printed.contains("SAYSO_"), "{printed}");
    assert!(!program.output().contains(&key), "{}", program.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_a_file_is_in_the_command_and_nowhere_before() {
    let lock = Lock::new().await;
    fs::write(
        lock.file("secrets.env"),
        format!("# of the database\nexport TOKEN='{SECRET}'\nPATH=/nowhere\n"),
    )
    .expect("a file");
    let shell = on_path("sh");
    let shell = shell.to_str().expect("text");
    let mut program = lock
        .run(
            &["--env-file", "./secrets.env", "--env-file-allow", "PATH"],
            &[shell, "-c", "echo $TOKEN $PATH; read line </dev/null"],
        )
        .await;
    let id = asked(&mut program).await;
    let arguments = lock.request(&id).await.action.arguments.clone();
    assert!(
        arguments
            .as_str()
            .contains(&format!("\"env_file\":\"{}/./secrets.env\"", lock.directory().display()))
    );
    let mails: Vec<_> =
        lock.world.mails().into_iter().map(|mail| format!("{:?} {:?}", mail.text, mail.html)).collect();
    let status = lock.world.browser().open(&format!("{}/{id}", lock.world.host.page_url)).await;
    for place in [
        mails.join("\n"),
        lock.page(&id).await.html,
        status.html,
        process(&program, "cmdline"),
        process(&program, "environ"),
        program.output(),
    ] {
        assert!(!place.contains(SECRET), "{place}");
    }
    lock.decide(&id, Verdict::Approve, "").await;
    program.exit().await;
    assert_eq!(program.printed(), format!("{SECRET} /nowhere\n"));
}

// Promise: The digest of the file of `--env-file` is approved with the command. Its variables are nowhere but in the command.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_used_is_refused_before_anybody_is_asked_and_shows_nothing() {
    let lock = Lock::new().await;
    fs::create_dir(lock.file("directory")).expect("a directory");
    fs::write(lock.file("wrong"), format!("A=b\nTOKEN {SECRET}\n")).expect("a file");
    fs::write(lock.file("loads"), format!("LD_PRELOAD={SECRET}\n")).expect("a file");
    fs::write(lock.file("binary"), b"TOKEN=\xff").expect("a file");
    fs::write(lock.file("large"), vec![b'#'; 2 << 20]).expect("a file");
    let pipe = std::process::Command::new("mkfifo").arg(lock.file("pipe")).status().expect("mkfifo");
    assert!(pipe.success());
    for (file, status, said) in [
        ("missing", 64, "missing cannot be read"),
        ("directory", 64, "directory is not a regular file"),
        ("pipe", 64, "pipe is not a regular file"),
        ("wrong", 78, "line 2"),
        ("loads", 78, "--env-file-allow LD_PRELOAD"),
        ("binary", 78, "not UTF-8"),
        ("large", 78, "more than"),
    ] {
        let mut program = lock.run(&["--env-file", file], &LEAVES_A_LINE).await;
        ends(&mut program, status, said).await;
        let output = program.output();
        assert!(output.contains("Nothing was asked") && !output.contains(SECRET), "{output}");
    }
    assert_eq!((lock.lines(), lock.world.mails().len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_reads_this_standard_input_only_if_the_human_sees_that() {
    let lock = Lock::new().await;
    for (options, stdin, lines) in [(&[][..], "none", 0), (&["--stdin"], "inherited", 1)] {
        let command = lock.run_command(options, &["sh"]).await;
        let mut program = Program::start_with_input(command, "echo ran >> ran.txt\n");
        let id = asked(&mut program).await;
        let arguments = lock.request(&id).await.action.arguments.clone();
        assert!(arguments.as_str().contains(&format!("\"stdin\":\"{stdin}\"")), "{arguments}");
        lock.decide(&id, Verdict::Approve, "").await;
        assert_eq!(code(&mut program).await, 0, "{}", program.output());
        assert_eq!(lock.lines(), lines);
    }
}
