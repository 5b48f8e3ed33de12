//! Whatever is wrong, nothing runs, and the agent is told what to do.

use std::time::Duration;

use sayso_cloud::Clock;
use sayso_model::Timestamp;
use sayso_tests::{Verdict, World};
use serde_json::json;

use crate::raw::{Raw, Site, tool};

const ARGUMENTS: &str = r#"{"table":"customers"}"#;

fn refused(site: &Site, text: &str, why: &str) {
    assert!(text.contains("did not run") && text.contains(why), "{why:?} is not in: {text}");
    assert_eq!(site.calls(), [""; 0], "{why}");
}

#[tokio::test]
async fn settings_that_lead_nowhere_let_nothing_run() {
    for (name, value, why) in [
        ("SAYSO_MCP_URL", "http://127.0.0.1:9/mcp", "cannot be reached"),
        ("SAYSO_AGENT_KEY", "sayso_unknown0000000000000000000000000000000000", "key"),
        ("SAYSO_AUDIENCE", "another-gate", "`audience` must be one the operator allowed"),
    ] {
        let mut site = Site::new().await;
        site.set(name, value);
        let text = site.gate().await.call("drop_table", ARGUMENTS).await;
        refused(&site, &text, why);
    }
}

#[tokio::test]
async fn without_the_issuers_keys_an_approval_waits_until_they_are_there() {
    let mut site = Site::new().await;
    let issuer = site.local().ready.get("issuer_url").to_owned();
    site.set("SAYSO_ISSUER", "http://127.0.0.1:9");
    let mut gate = site.gate().await;
    let id = gate.asks("drop_table", ARGUMENTS).await;
    site.decide(&id, Verdict::Approve, "").await;
    for _ in 0..2 {
        let text = gate.call("drop_table", ARGUMENTS).await;
        refused(&site, &text, "keys cannot be fetched");
    }
    gate.kill().await;
    site.set("SAYSO_ISSUER", &issuer);
    assert_eq!(site.gate().await.call("drop_table", ARGUMENTS).await, "ran drop_table");
    assert_eq!(site.mails().await, 1);
}

#[tokio::test]
async fn a_clock_that_is_off_by_more_than_thirty_seconds_lets_nothing_run() {
    let now = Clock::system().now();
    let two_hours_ago = Timestamp::from_unix_seconds(now.as_unix_seconds() - 7_200).expect("a time");
    for (issuers, why) in
        [(now.plus(Duration::from_secs(90)), "not valid yet"), (two_hours_ago, "Waiting for approval")]
    {
        let world = World::at(issuers).await;
        let site = Site::beside(&world);
        let mut gate = site.gate().await;
        let id = gate.asks("drop_table", ARGUMENTS).await;
        world.browser().decide(&world.link(&id), Verdict::Approve, "").await;
        let text = gate.call("drop_table", ARGUMENTS).await;
        // An approval whose time is over is asked for anew.
        assert!(text.contains(why) && !text.contains(&format!("Waiting for approval {id}")), "{text}");
        assert_eq!(site.calls(), [""; 0]);
    }
}

#[tokio::test]
async fn a_policy_that_is_wrong_starts_nothing() {
    for (policy, line) in [
        ("default = \"aks\"\n", "line 1"),
        ("[[tools]]\nmatch = \"*\"\n\n[[tools]]\nmatch = \"a\"\ndecision = \"allow\"\n", "line"),
        ("wait_seconds = 9000\n", "line 1"),
        ("waiting = \"maybe\"\n", "line 1"),
        ("defualt = \"ask\"\n", "line 1"),
    ] {
        let site = Site::new().await;
        site.policy(policy);
        let (code, said) = Raw::start(site.command().await).end().await;
        assert!(code == Some(78) && said.contains(line), "{code:?}: {said}");
        assert!(!site.path("received").exists(), "the server was started");
    }
    let site = Site::new().await;
    std::fs::remove_file(site.path("gate.toml")).expect("no policy");
    let (code, said) = Raw::start(site.command().await).end().await;
    assert!(code == Some(78) && said.contains("gate.toml"), "{code:?}: {said}");
}

// Promise: A tool that the server has changed since the human was asked does not run.
#[tokio::test]
async fn a_tool_that_changed_since_the_human_was_asked_does_not_run() {
    let changed = json!([{"name": "drop_table", "description": "x", "inputSchema": {"type": "object", "required": ["a"]}}]);
    for (approved, restarted) in [(false, false), (true, false), (true, true)] {
        let site = Site::new().await;
        let mut gate = site.gate().await;
        let id = gate.asks("drop_table", ARGUMENTS).await;
        if approved {
            site.decide(&id, Verdict::Approve, "").await;
        }
        site.tools(&changed);
        if restarted {
            gate.kill().await;
            gate = site.gate().await;
        }
        let text = gate.call("drop_table", ARGUMENTS).await;
        refused(&site, &text, "changed its definition of drop_table (its `description`, its `inputSchema`)");
        let again = gate.asks("drop_table", ARGUMENTS).await;
        assert_ne!(again, id, "the old approval is not for the new tool");
        site.decide(&again, Verdict::Approve, "").await;
        assert_eq!(gate.call("drop_table", ARGUMENTS).await, "ran drop_table");
    }
}

#[tokio::test]
async fn a_tool_that_the_server_does_not_list_once_is_not_asked_about() {
    let site = Site::new().await;
    let mut gate = site.gate().await;
    refused(&site, &gate.call("secret_tool", ARGUMENTS).await, "does not list it");
    site.tools(&json!([tool("drop_table"), tool("drop_table")]));
    refused(&site, &gate.call("drop_table", ARGUMENTS).await, "more than once");
    refused(&site, &gate.call("forbidden", ARGUMENTS).await, "policy forbids it");
    site.tools(&json!({"no": "list"}));
    refused(&site, &gate.call("drop_table", ARGUMENTS).await, "its answer has no list");
    // Without this it would be waited for, as long as a server may take.
    site.tools(&json!("zero"));
    refused(&site, &gate.call("drop_table", ARGUMENTS).await, "an id that it had not been asked with");
    assert_eq!(site.mails().await, 0);
}

#[tokio::test]
async fn only_what_the_server_lists_goes_on_whatever_allows_it() {
    for policy in [
        "[[tools]]\nmatch = \"read_*\"\ndecision = \"allow\"\n",
        "[[tools]]\nmatch = \"read_x/../drop_table\"\ndecision = \"allow\"\n",
        "default = \"allow\"\n",
    ] {
        let site = Site::new().await;
        site.policy(policy);
        site.tools(&json!([tool("read_x"), tool("drop_table")]));
        let mut gate = site.gate().await;
        refused(&site, &gate.call("read_x/../drop_table", "{}").await, "does not list it");
    }
    // A list counts until the server says that it is another.
    let site = Site::new().await;
    let mut gate = site.gate().await;
    for _ in 0..3 {
        assert_eq!(gate.call("list_tables", "{}").await, "ran list_tables");
    }
    let received = std::fs::read_to_string(site.path("received")).expect("what was received");
    assert_eq!(received.matches("tools/list").count(), 1);
}

/// FastMCP, for one, runs the version of a tool that `_meta` names, and lists another.
#[tokio::test]
async fn what_a_description_allowed_reaches_the_server_without_what_no_description_is_about() {
    let site = Site::new().await;
    site.policy("wait_seconds = 0\n[[tools]]\nmatch = \"*\"\nread_only_hint = true\ndecision = \"allow\"\n");
    let mut read_only = tool("read_a");
    read_only["annotations"] = json!({"readOnlyHint": true});
    site.tools(&json!([read_only]));
    let mut gate = site.gate().await;
    let params = r#"{"name":"read_a","arguments":{"b": 1,"a":2},"version":"1","_meta":{"fastmcp":{"version":"1"},"traceparent":"t"},"task":{"ttl":1,"x":2}}"#;
    assert_eq!(gate.call_with(params).await, "ran read_a");
    let [call] = &site.calls()[..] else { panic!("one call: {:?}", site.calls()) };
    let sent = r#""params":{"name":"read_a","arguments":{"b": 1,"a":2},"_meta":{"traceparent":"t"},"task":{"ttl":1}}}"#;
    assert!(call.ends_with(sent), "{call}");
    let text = gate.call_with(r#"{"name":"read_a","requestState":"of version 1"}"#).await;
    assert!(text.contains("was not continued"), "{text}");
    assert_eq!(site.calls().len(), 1);
}

#[tokio::test]
async fn a_tool_whose_version_changed_since_the_human_was_asked_does_not_run() {
    let site = Site::new().await;
    let version = |version: &str| {
        let mut tool = tool("drop_table");
        tool["_meta"] = json!({"_fastmcp": {"version": version}});
        json!([tool])
    };
    site.tools(&version("2"));
    let mut gate = site.gate().await;
    let id = gate.asks("drop_table", ARGUMENTS).await;
    site.decide(&id, Verdict::Approve, "").await;
    site.tools(&version("1"));
    refused(
        &site,
        &gate.call("drop_table", ARGUMENTS).await,
        "changed its definition of drop_table (its `_meta`)",
    );
}

#[tokio::test]
async fn an_order_that_means_nothing_is_no_other_tool() {
    let site = Site::new().await;
    let schema = |required: &[&str]| json!([{"name": "drop_table", "inputSchema": {"type": "object", "required": required}}]);
    site.tools(&schema(&["a", "b"]));
    let mut gate = site.gate().await;
    let id = gate.asks("drop_table", ARGUMENTS).await;
    site.tools(&schema(&["b", "a"]));
    assert_eq!(gate.asks("drop_table", ARGUMENTS).await, id);
    assert_eq!(site.mails().await, 1);
}

#[tokio::test]
async fn a_call_that_waits_is_told_for_how_long_and_as_the_policy_says() {
    let structured = "waiting = \"result\" # of a tool with a schema for its results\n";
    for (policy, is_error) in [("", true), ("waiting = \"result\"\n", false), (structured, true)] {
        let site = Site::new().await;
        if policy == structured {
            let mut tool = tool("drop_table");
            tool["outputSchema"] = json!({"type": "object"});
            site.tools(&json!([tool]));
        }
        site.policy(&format!("wait_seconds = 0\n{policy}"));
        let mut gate = site.gate().await;
        let params = format!(r#"{{"name":"drop_table","arguments":{ARGUMENTS}}}"#);
        let answer = gate.request("tools/call", &params).await;
        assert_eq!(answer["result"]["isError"], is_error, "{answer}");
        let text = answer["result"]["content"][0]["text"].as_str().expect("text");
        for said in ["Waiting for approval", "has been open for ", " s are left", "after about 30 s"] {
            assert!(text.contains(said), "{text}");
        }
    }
}

#[tokio::test]
async fn an_approved_call_that_fails_says_that_its_approval_is_used_up() {
    let site = Site::new().await;
    let mut gate = site.gate().await;
    let id = gate.asks("broken", ARGUMENTS).await;
    site.decide(&id, Verdict::Approve, "").await;
    let text = gate.call("broken", ARGUMENTS).await;
    for said in ["no such table", &id, "used up for this one attempt", "asks a human again"] {
        assert!(text.contains(said), "{text}");
    }
    assert_ne!(gate.asks("broken", ARGUMENTS).await, id);
}

#[tokio::test]
async fn a_hint_of_the_server_counts_only_where_the_policy_says_so() {
    let site = Site::new().await;
    site.policy(
        "wait_seconds = 0\n[[tools]]\nmatch = \"read_*\"\nread_only_hint = true\ndecision = \"allow\"\n",
    );
    let hinted = |name: &str, read_only: bool| {
        let mut tool = tool(name);
        tool["annotations"] = json!({"readOnlyHint": read_only});
        tool
    };
    site.tools(&json!([hinted("read_a", true), hinted("read_b", false), hinted("drop_table", true)]));
    let mut gate = site.gate().await;
    assert_eq!(gate.call("read_a", "{}").await, "ran read_a");
    gate.asks("read_b", "{}").await;
    gate.asks("drop_table", "{}").await;
    assert_eq!(site.calls().len(), 1);
}

// Promise: A human's no to a gated call comes back with the note, and nothing ran.
#[tokio::test]
async fn a_humans_no_comes_back_with_the_note_and_the_next_call_does_not_bother_them() {
    let site = Site::new().await;
    let mut gate = site.gate().await;
    let id = gate.asks("drop_table", ARGUMENTS).await;
    site.decide(&id, Verdict::Deny, "Not on a Friday.").await;
    refused(&site, &gate.call("drop_table", ARGUMENTS).await, "Not on a Friday.");
    refused(&site, &gate.call("drop_table", ARGUMENTS).await, "just said no");
    assert_eq!(site.mails().await, 1);
}

#[tokio::test]
async fn what_a_server_asks_for_in_the_middle_of_a_gated_call_is_not_approved_with_it() {
    let site = Site::new().await;
    let mut gate = site.gate().await;
    for more in [r#""requestState":"s""#, r#""inputResponses":{}"#] {
        let params = format!(r#"{{"name":"drop_table","arguments":{ARGUMENTS},{more}}}"#);
        let answer = gate.request("tools/call", &params).await;
        let text = answer["result"]["content"][0]["text"].as_str().expect("text");
        assert!(text.contains("would not be part of what was approved"), "{text}");
    }
    assert_eq!((site.calls().len(), site.mails().await), (0, 0));
}

#[tokio::test]
async fn a_call_that_was_given_up_does_not_run_when_it_is_approved() {
    let site = Site::new().await;
    site.policy("wait_seconds = 45\n");
    let mut gate = site.gate().await;
    let params =
        format!(r#"{{"name":"drop_table","arguments":{ARGUMENTS},"_meta":{{"progressToken":"p"}}}}"#);
    let id = gate.ask("tools/call", &params).await;
    let approval = site.mailed_approval().await;
    gate.send(&format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#
    ))
    .await;
    // The answer to this comes after the cancellation was read.
    gate.request("tools/list", "{}").await;
    site.decide(&approval, Verdict::Approve, "").await;
    gate.request("tools/list", "{}").await;
    assert_eq!(site.calls().len(), 0);
    assert!(
        gate.aside.iter().all(|message| message["method"] == "notifications/progress"),
        "{:?}",
        gate.aside
    );
    // The tool's own progress may begin at 0, and progress may only rise.
    assert!(
        gate.aside.iter().all(|message| message["params"]["progress"].as_f64().is_some_and(|it| it < 0.0)),
        "{:?}",
        gate.aside
    );
    // Called again, it finds the approval, and runs once.
    assert_eq!(gate.call("drop_table", ARGUMENTS).await, "ran drop_table");
    assert_eq!((site.calls().len(), site.mails().await), (1, 1));
}

#[tokio::test]
async fn only_so_many_calls_wait_for_a_human_at_once() {
    let site = Site::new().await;
    site.policy("wait_seconds = 45\n");
    // As long as the server does not list its tools, nobody is asked.
    site.tools(&json!("never"));
    let mut gate = site.gate().await;
    for _ in 0..257 {
        gate.ask("tools/call", &format!(r#"{{"name":"drop_table","arguments":{ARGUMENTS}}}"#)).await;
    }
    let answer = gate.answer().await;
    let text = answer["result"]["content"][0]["text"].as_str().expect("text");
    assert!(text.contains("too many") && text.contains("did not run"), "{text}");
    assert_eq!((site.calls().len(), site.mails().await), (0, 0));
}

#[tokio::test]
async fn however_the_gate_ends_nothing_that_it_started_is_left() {
    for end in ["its input", "TERM", "INT", "HUP"] {
        let site = Site::new().await;
        let pid = site.path("pid");
        let script = format!("sleep 1000 & echo $! > {}; exec cat", pid.display());
        let mut command = tokio::process::Command::new(sayso_tests::binary("sayso-gate").await);
        command.arg("mcp").arg("--policy").arg(site.path("gate.toml")).args(["--", "sh", "-c", &script]);
        command.envs(site.local().gate_environment()).env("SAYSO_STATE", site.path("state"));
        let mut gate = Raw::start(command);
        // What `cat` gives back shows that the script has come as far.
        gate.send(r#"{"jsonrpc":"2.0","method":"notifications/progress"}"#).await;
        assert!(gate.hear().await.is_none());
        if end != "its input" {
            let id = gate.id().to_string();
            let signal = std::process::Command::new("kill").args(["-s", end, &id]).status().expect("kill");
            assert!(signal.success());
        }
        let (code, said) = if end == "its input" { gate.end().await } else { gate.wait().await };
        let expected = match end {
            "TERM" => 143,
            "INT" => 130,
            "HUP" => 129,
            _ => 0,
        };
        assert_eq!(code, Some(expected), "{end}: {said}");
        let child = std::fs::read_to_string(pid).expect("a process id");
        let stat = format!("/proc/{}/stat", child.trim());
        while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
            tokio::task::yield_now().await;
        }
    }
}

/// A client that no longer reads what the gate says on the side, and a server that says what is no message.
#[tokio::test]
async fn a_gate_whose_standard_error_nobody_reads_goes_on() {
    let site = Site::new().await;
    let mut gate = site.gate().await;
    gate.deafen();
    gate.ask("noise", "{}").await;
    assert_eq!(gate.call("list_tables", "{}").await, "ran list_tables");
}
