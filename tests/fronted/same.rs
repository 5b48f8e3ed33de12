use serde_json::{Value, json};
use tokio::process::Command;

use crate::setting::{Server, Setting, transcript};

const ALLOW: &str = "default = \"allow\"\n";

/// Step by step what the client hears without a gate, and nothing that a human would have heard of.
async fn same(setting: &Setting, mode: &str, direct: &Server, gated: &[&Server], steps: &Value) {
    let expected = transcript(direct, mode, steps).await;
    assert!(expected.len() >= steps.as_array().expect("steps").len(), "{expected:#?}");
    for gated in gated {
        let heard = transcript(gated, mode, steps).await;
        for (heard, expected) in heard.iter().zip(&expected) {
            assert_eq!(heard, expected, "{mode}");
        }
        assert_eq!(heard.len(), expected.len());
    }
    assert!(setting.local.messages().await.is_empty());
}

/// Everything the reference server has that comes out the same twice. A tool that it does not list is not among it: such a
/// call ends at the gate.
fn everything() -> Vec<Value> {
    let url = "https://example.com/";
    let steps = json!([
        ["server"],
        ["tools"],
        ["resources"],
        ["templates"],
        ["prompts"],
        ["ping"],
        ["read", "demo://resource/static/document/features.md"],
        ["read", "demo://resource/dynamic/text/1"],
        ["read", "demo://resource/dynamic/blob/2"],
        ["read", "demo://nothing"],
        ["prompt", "simple-prompt"],
        ["prompt", "args-prompt", {"city": "Ulm"}],
        ["prompt", "resource-prompt", {"resourceType": "Text", "resourceId": "1"}],
        ["prompt", "args-prompt", {}],
        ["prompt", "nothing"],
        ["complete", "completable-prompt", "department", "S", null],
        ["complete", "completable-prompt", "name", "", {"department": "Sales"}],
        ["log_level", "info"],
        ["call", "echo", {"message": "Ä\u{2028}\u{1f388}\\"}],
        ["call", "echo", {"message": 5}],
        ["call", "get-sum", {"a": 1, "b": 2.5}],
        ["call", "get-structured-content", {"location": "Chicago"}],
        ["call", "get-tiny-image", {}],
        ["call", "get-resource-links", {"count": 3}],
        ["call", "get-resource-reference", {"resourceType": "Blob", "resourceId": 2}],
        ["call", "get-annotated-message", {"messageType": "error", "includeImage": true}],
        ["call", "gzip-file-as-resource", {"name": "a.gz", "data": "data:text/plain,abc"}],
        ["read", "demo://resource/session/a.gz"],
        ["call", "trigger-long-running-operation", {"duration": 1, "steps": 4}],
        ["call", "trigger-elicitation-request", {}],
        ["call", "trigger-url-elicitation", {"url": url, "message": "m", "elicitationId": "e"}],
        ["call", "trigger-url-elicitation", {"url": url, "message": "m", "errorPath": true}],
        ["call", "trigger-sampling-request", {"prompt": "Say something"}],
        ["call", "simulate-research-query", {"topic": "t"}],
        ["subscribe", "demo://resource/dynamic/text/1"],
        ["call", "toggle-subscriber-updates", {}],
        ["heard", "notifications/resources/updated"],
        ["call", "toggle-subscriber-updates", {}],
        ["unsubscribe", "demo://resource/dynamic/text/1"],
    ]);
    serde_json::from_value(steps).expect("steps")
}

/// What this server sends by itself soon after the beginning: over HTTP it is lost if nobody listens yet.
fn unasked() -> Vec<Value> {
    let steps = json!([
        ["heard", "notifications/tools/list_changed"],
        ["heard", "Roots updated: 1"],
        ["call", "get-roots-list", {}],
        ["heard", "Received Subscribe Resource request"],
    ]);
    serde_json::from_value(steps).expect("steps")
}

// Promise: Everything but a gated call, one of a tool that the server does not list, and a tool of the gate's own where the policy asks for it, is the same with the gate as without it. Over `--listen`, an answer that a broken connection lost is not sent again.
#[tokio::test(flavor = "multi_thread")]
async fn everything_passes_over_standard_input_and_output() {
    let setting = Setting::new().await;
    let server = Server::everything();
    let gated = setting.gated(&server, ALLOW).await;
    let steps = json!([everything(), unasked()].concat());
    for mode in ["legacy", "auto"] {
        same(&setting, mode, &server, &[&gated], &steps).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_passes_between_standard_input_and_http() {
    let setting = Setting::new().await;
    let (_server, server) = Server::everything_over_http().await;
    let gated = setting.gated(&server, ALLOW).await;
    same(&setting, "auto", &server, &[&gated], &json!(everything())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_passes_between_http_and_standard_output() {
    let setting = Setting::new().await;
    let server = Server::everything();
    let (_gate, gated) = setting.listening(&server, ALLOW).await;
    same(&setting, "auto", &server, &[&gated], &json!(everything())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_passes_over_http() {
    let setting = Setting::new().await;
    let (_server, server) = Server::everything_over_http().await;
    let (_gate, gated) = setting.listening(&server, ALLOW).await;
    for mode in ["legacy", "auto"] {
        same(&setting, mode, &server, &[&gated], &json!(everything())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_eras_of_the_protocol_pass() {
    let setting = Setting::new().await;
    let repository = setting.files();
    for arguments in [&["init", "--quiet"][..], &["commit", "--quiet", "--allow-empty", "--message", "First"]]
    {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=Alex", "-c", "user.email=alex@example.com"]).args(arguments);
        assert!(git.current_dir(&repository).status().await.expect("git").success());
    }
    let server = Server::git();
    let at = |more: Value| {
        let mut arguments = json!({"repo_path": repository});
        arguments.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
        arguments
    };
    let steps = json!([
        ["server"],
        ["tools"],
        ["resources"],
        ["read", "demo://nothing"],
        ["call", "git_status", at(json!({}))],
        ["call", "git_log", at(json!({"max_count": 1}))],
        ["call", "git_show", at(json!({"revision": "HEAD"}))],
        ["call", "git_show", at(json!({"revision": "nothing"}))],
        ["call", "git_status", {"repo_path": "/nowhere"}],
        ["call", "git_status", {}],
    ]);
    let gated = setting.gated(&server, ALLOW).await;
    let (_gate, listening) = setting.listening(&server, ALLOW).await;
    for mode in ["legacy", "auto"] {
        same(&setting, mode, &server, &[&gated, &listening], &steps).await;
    }
    // What this test is for.
    for (mode, version) in [("legacy", "2025-11-25"), ("auto", "2026-07-28")] {
        assert_eq!(transcript(&gated, mode, &json!([["server"]])).await[0]["answer"][0], version);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_read_through_it() {
    let setting = Setting::new().await;
    let files = setting.files();
    std::fs::write(files.join("notes.txt"), "one\ntwo\n").expect("a file");
    let path = |name: &str| json!({"path": files.join(name)});
    let steps = json!([
        ["server"],
        ["tools"],
        ["prompts"],
        ["call", "read_text_file", path("notes.txt")],
        ["call", "read_text_file", path("nothing.txt")],
        ["call", "read_text_file", {"path": "/etc/passwd"}],
        ["call", "list_directory", path("")],
        ["call", "get_file_info", path("notes.txt")],
        ["call", "list_allowed_directories", {}],
    ]);
    let server = Server::files(&files);
    let gated = setting.gated(&server, ALLOW).await;
    same(&setting, "auto", &server, &[&gated], &steps).await;
}
