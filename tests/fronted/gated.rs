use std::path::Path;

use sayso_tests::{Program, Verdict};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::setting::{Server, Setting, calling, transcript};

/// A gate that answers at once, in front of files: reading passes, writing is asked about.
const FILES: &str = r#"
server = "files"
wait_seconds = 0

[[tools]]
match = ["read_*", "list_*", "get_*"]
decision = "allow"

[[tools]]
match = "move_file"
decision = "deny"

[[tools]]
match = ["write_file", "edit_file"]
decision = "ask"
summary = "Write {path}"
"#;

/// The id in an answer that says how to go on.
pub(crate) fn approval_id(result: &Value) -> String {
    let mut words = text(result).split(|c: char| !c.is_ascii_alphanumeric());
    let id = words.find(|word| word.len() == 26 && word.starts_with("01"));
    id.unwrap_or_else(|| panic!("no approval in {result}")).to_owned()
}

/// That a tool's result says that it waits for a human, and how to go on.
pub(crate) fn waiting(result: &Value, tool: &str) {
    assert_eq!(result["isError"], true, "{result}");
    let text = text(result);
    assert!(text.contains("Waiting for approval"), "{text}");
    assert!(text.contains(&format!("call {tool} again with the same arguments")), "{text}");
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text in {result}"))
}

/// These calls of one tool in a session of their own, which a gate that a client starts does not outlive.
async fn calls<const N: usize>(
    server: &Server,
    mode: &str,
    tool: &str,
    arguments: [&Value; N],
) -> [Value; N] {
    let steps = Value::from(arguments.map(|arguments| json!(["call", tool, arguments])).to_vec());
    let mut heard = transcript(server, mode, &steps).await;
    let results = heard.iter_mut().map(|step| step["answer"]["result"].take()).collect::<Vec<_>>();
    results.try_into().expect("an answer to each")
}

async fn call(server: &Server, tool: &str, arguments: &Value) -> Value {
    let [result] = calls(server, "auto", tool, [arguments]).await;
    result
}

async fn decide(setting: &Setting, asked: &Value, verdict: Verdict, note: &str) {
    let link = setting.link(&approval_id(asked)).await;
    let page = setting.local.browser().decide(&link, verdict, note).await;
    assert_eq!(page.status, 200, "{}", page.text());
}

fn succeeded(result: &Value) {
    assert_ne!(result["isError"], true, "{result}");
    assert!(!text(result).contains("Waiting"), "{result}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allowed_call_needs_no_sayso_and_a_gated_one_does() {
    let mut setting = Setting::new().await;
    setting.cut_off();
    let files = setting.files();
    let notes = files.join("notes.txt");
    std::fs::write(&notes, "one").expect("a file");
    let gated = setting.gated(&Server::files(&files), FILES).await;
    let read = call(&gated, "read_text_file", &json!({"path": notes})).await;
    assert_eq!(text(&read), "one");
    let written = call(&gated, "write_file", &json!({"path": notes, "content": "two"})).await;
    assert_eq!(written["isError"], true, "{written}");
    assert_eq!(std::fs::read_to_string(&notes).expect("a file"), "one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gated_call_whose_mail_comes_back_says_so() {
    let setting = Setting::mailing("bounce@simulator.amazonses.com").await;
    let files = setting.files();
    let notes = files.join("notes.txt");
    let gated = setting.gated(&Server::files(&files), FILES).await;
    let write = json!({"path": notes, "content": "one"});
    // The report comes a moment after the mail.
    let mut asked = call(&gated, "write_file", &write).await;
    for _ in 0..10 {
        if text(&asked).contains("bounced") {
            break;
        }
        waiting(&asked, "write_file");
        asked = call(&gated, "write_file", &write).await;
    }
    assert!(text(&asked).contains("bounced") && text(&asked).contains("operator"), "{asked}");
    assert!(!notes.exists());
    assert_eq!(setting.local.messages().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gated_call_runs_once_after_the_human_approved_it() {
    let setting = Setting::new().await;
    let files = setting.files();
    let notes = files.join("notes.txt");
    let gated = setting.gated(&Server::files(&files), FILES).await;
    let write = json!({"path": notes, "content": "one"});

    let asked = call(&gated, "write_file", &write).await;
    waiting(&asked, "write_file");
    let id = approval_id(&asked);
    // Another session, and with it another process: the same approval.
    let again = call(&gated, "write_file", &json!({"content": "one", "path": notes})).await;
    assert_eq!(approval_id(&again), id);
    assert!(!notes.exists());

    let page = setting.local.browser().open(&setting.link(&id).await.0).await.text();
    for shown in ["files/write_file", &format!("Write {}", notes.display()), "\"content\" : \"one\""] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    decide(&setting, &asked, Verdict::Approve, "").await;
    succeeded(&call(&gated, "write_file", &write).await);
    assert_eq!(std::fs::read_to_string(&notes).expect("a file"), "one");

    // Used up: the same call asks again.
    std::fs::remove_file(&notes).expect("a file");
    let asked = call(&gated, "write_file", &write).await;
    waiting(&asked, "write_file");
    assert_ne!(approval_id(&asked), id);
    assert!(!notes.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_content_is_another_call() {
    let setting = Setting::new().await;
    let files = setting.files();
    let notes = files.join("notes.txt");
    let gated = setting.gated(&Server::files(&files), FILES).await;
    let write = |content: &str| json!({"path": notes, "content": content});
    let asked = call(&gated, "write_file", &write("one")).await;
    decide(&setting, &asked, Verdict::Approve, "").await;
    let other = call(&gated, "write_file", &write("one ")).await;
    waiting(&other, "write_file");
    assert_ne!(approval_id(&other), approval_id(&asked));
    assert!(!notes.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_call_brings_the_humans_note_and_does_not_run() {
    let setting = Setting::new().await;
    let files = setting.files();
    let notes = files.join("notes.txt");
    std::fs::write(&notes, "one").expect("a file");
    let (_gate, gated) = setting.listening(&Server::files(&files), FILES).await;
    let edit = json!({"path": notes, "edits": [{"oldText": "one", "newText": "two"}]});
    let asked = call(&gated, "edit_file", &edit).await;
    waiting(&asked, "edit_file");
    decide(&setting, &asked, Verdict::Deny, "Not before Monday").await;
    let denied = call(&gated, "edit_file", &edit).await;
    assert_eq!(denied["isError"], true, "{denied}");
    assert!(text(&denied).contains("Not before Monday"), "{denied}");
    // The no was delivered, and nobody is asked the same at once.
    let again = call(&gated, "edit_file", &edit).await;
    assert_eq!(again["isError"], true, "{again}");
    assert!(text(&again).contains("just said no") && text(&again).contains("retry_after_seconds"), "{again}");
    assert_eq!(setting.local.messages().await.len(), 1);
    assert_eq!(std::fs::read_to_string(&notes).expect("a file"), "one");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_policy_denies_nobody_is_asked_about() {
    let setting = Setting::new().await;
    let files = setting.files();
    let (notes, elsewhere) = (files.join("notes.txt"), files.join("elsewhere.txt"));
    std::fs::write(&notes, "one").expect("a file");
    let gated = setting.gated(&Server::files(&files), FILES).await;
    let moved = call(&gated, "move_file", &json!({"source": notes, "destination": elsewhere})).await;
    assert_eq!(moved["isError"], true, "{moved}");
    assert!(notes.exists() && !elsewhere.exists());
    assert!(setting.local.messages().await.is_empty());
}

/// What a call that waits brings when the human decides meanwhile.
async fn decided_meanwhile(setting: &Setting, program: &mut Program, verdict: Verdict) -> Value {
    let link = setting.first_link().await;
    let page = setting.local.browser().decide(&link, verdict, "As discussed").await;
    assert_eq!(page.status, 200, "{}", page.text());
    let line = program.line_with("\"step\"").await;
    assert!(program.exit().await.success(), "{}", program.output());
    serde_json::from_str::<Value>(&line).expect("a step")["answer"]["result"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_waits_returns_as_soon_as_the_human_has_decided() {
    let policy = FILES.replace("wait_seconds = 0", "wait_seconds = 50");
    for (listen, verdict) in [(false, Verdict::Approve), (true, Verdict::Approve), (true, Verdict::Deny)] {
        let setting = Setting::new().await;
        let files = setting.files();
        let notes = files.join("notes.txt");
        let server = Server::files(&files);
        let (_gate, gated) = if listen {
            let (gate, gated) = setting.listening(&server, &policy).await;
            (Some(gate), gated)
        } else {
            (None, setting.gated(&server, &policy).await)
        };
        let steps = json!([["call", "write_file", {"path": notes, "content": "one"}]]);
        let (_directory, mut program) = calling(&gated, &steps);
        let result = decided_meanwhile(&setting, &mut program, verdict).await;
        match verdict {
            Verdict::Approve => succeeded(&result),
            Verdict::Deny => assert!(text(&result).contains("As discussed"), "{result}"),
        }
        assert_eq!(notes.exists(), verdict == Verdict::Approve);
    }
}

async fn git(repository: &Path, arguments: &[&str]) -> String {
    let mut git = Command::new("git");
    git.args(arguments).current_dir(repository).env("GIT_CONFIG_GLOBAL", "/dev/null");
    let output = git.output().await.expect("git");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[tokio::test(flavor = "multi_thread")]
async fn one_approval_is_one_commit_in_both_eras_of_the_protocol() {
    const ASK: &str = "wait_seconds = 0\n";
    let setting = Setting::new().await;
    let repository = setting.files();
    git(&repository, &["init", "--quiet"]).await;
    git(&repository, &["config", "user.name", "Alex"]).await;
    git(&repository, &["config", "user.email", "alex@example.com"]).await;
    let server = Server::git();
    let stdio = setting.gated(&server, ASK).await;
    let (_gate, listening) = setting.listening(&server, ASK).await;
    for (count, (mode, gated)) in (1..).zip([("auto", &stdio), ("legacy", &stdio), ("auto", &listening)]) {
        let file = format!("{count}.txt");
        std::fs::write(repository.join(&file), "one").expect("a file");
        git(&repository, &["add", &file]).await;
        let commit = json!({"repo_path": repository, "message": format!("Commit {count}")});
        let [asked] = calls(gated, mode, "git_commit", [&commit]).await;
        waiting(&asked, "git_commit");
        decide(&setting, &asked, Verdict::Approve, "").await;
        let [done, again] = calls(gated, mode, "git_commit", [&commit, &commit]).await;
        succeeded(&done);
        waiting(&again, "git_commit");
        let log = git(&repository, &["log", "--format=%s"]).await;
        assert_eq!(log.lines().count(), count, "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_does_not_get_the_gates_key() {
    let setting = Setting::new().await;
    let gated = setting.gated(&Server::everything(), "default = \"allow\"\n").await;
    let environment = call(&gated, "get-env", &json!({})).await;
    let environment: Value = serde_json::from_str(text(&environment)).expect("an environment");
    assert!(environment["PATH"].is_string(), "{environment}");
    let key = setting.local.ready.get("agent_key");
    assert!(!environment.to_string().contains(key), "{environment}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_is_wrong_stops_the_gate_with_its_line() {
    let setting = Setting::new().await;
    let server = Server::files(&setting.files());
    for more in [&[][..], &["--listen", "127.0.0.1:0"]] {
        let mut gate = setting.start(&server, "wait_seconds = 0\ndefualt = \"allow\"\n", more).await;
        assert!(!gate.exit().await.success());
        let output = gate.output();
        assert!(output.contains("line 2") && output.contains("did you mean `default`?"), "{output}");
    }
}
