//! What is hashed is what is shown is what runs, to the letter.

use rmcp::model::ProtocolVersion;
use sayso_tests::{Agent, Verdict, binary};
use tokio::process::Command;

use crate::raw::Site;

/// Two texts of arguments, and whether the second is the action that was approved with the first.
const PAIRS: [(&str, &str, bool); 8] = [
    (r#"{"table":"a","cascade":true}"#, r#"{ "cascade" : true, "table" : "a" }"#, true),
    (r#"{"rows":1}"#, r#"{"rows":1.0}"#, true),
    (r#"{"rows":100}"#, r#"{"rows":1e2}"#, true),
    (r#"{"table":"é"}"#, r#"{"table":"\u00e9"}"#, true),
    (r#"{"table":"é"}"#, "{\"table\":\"e\u{301}\"}", false),
    (r#"{"table":"orders"}"#, r#"{"table":"order"}"#, false),
    (r#"{"table":"a"}"#, r#"{"table":"a","cascade":false}"#, false),
    (r#"{"ids":[1,2]}"#, r#"{"ids":[2,1]}"#, false),
];

// Promise: A gated tool runs when a human has approved exactly this tool with exactly these arguments; the agent only calls it again.
#[tokio::test]
async fn an_approval_is_for_one_action_however_it_is_written() {
    let site = Site::new().await;
    let mut gate = site.gate().await;
    for (asked, called, same) in PAIRS {
        let before = site.calls().len();
        let id = gate.asks("drop_table", asked).await;
        site.decide(&id, Verdict::Approve, "").await;
        if same {
            assert_eq!(gate.call("drop_table", called).await, "ran drop_table", "{called}");
        } else {
            assert_ne!(gate.asks("drop_table", called).await, id, "{called}");
            assert_eq!(site.calls().len(), before, "{called} is another action than {asked}");
            assert_eq!(gate.call("drop_table", asked).await, "ran drop_table");
        }
        assert_eq!(site.calls().len(), before + 1, "once");
    }
}

// Promise: The text of the arguments that is hashed is the text that the server is sent.
#[tokio::test]
async fn the_canonical_text_is_what_the_server_is_sent() {
    let site = Site::new().await;
    let mut gate = site.gate().await;
    let written = "{ \"z\": 1.0,\"a\" : [1E2, \"\\u00e9\\/\"],\t\"\u{10000}\": {}, \"\u{e000}\": 0.0000001 }";
    let canonical = "{\"a\":[100,\"é/\"],\"z\":1,\"\u{10000}\":{},\"\u{e000}\":1e-7}";
    let id = gate.asks("drop_table", written).await;
    site.decide(&id, Verdict::Approve, "").await;
    assert_eq!(gate.call("drop_table", written).await, "ran drop_table");
    let [call] = &site.calls()[..] else { panic!("one call: {:?}", site.calls()) };
    assert!(call.contains(&format!("\"arguments\":{canonical}")), "{call}");
    let mail = &site.local().messages().await[0];
    assert!(mail["text"].as_str().expect("text").contains("drop_table"));
}

#[tokio::test]
async fn of_an_approved_call_a_server_gets_nothing_that_could_make_it_another() {
    let site = Site::new().await;
    let mut gate = site.gate().await;
    let id = gate.asks("drop_table", r#"{"table":"a"}"#).await;
    site.decide(&id, Verdict::Approve, "").await;
    let meta = r#"{"fastmcp":{"version":"1"},"progressToken":1.0,"io.modelcontextprotocol/x":[1],"io.modelcontextprotocol/clientInfo":{ "name":"c" },"force":true}"#;
    let params = format!(
        r#"{{"version":"1","name":"drop_table","arguments":{{"table":"a"}},"_meta":{meta},"task":{{"ttl":1,"run":"now"}}}}"#
    );
    gate.send(&format!(
        r#"{{"jsonrpc":"2.0","id":"a","version":"1","method":"tools/call","params":{params}}}"#
    ))
    .await;
    let answer = gate.answer().await;
    assert_eq!(answer["result"]["content"][0]["text"], "ran drop_table", "{answer}");
    let [call] = &site.calls()[..] else { panic!("one call: {:?}", site.calls()) };
    let (id, sent) = call.split_once(r#","method""#).expect("a method");
    assert!(id.strip_prefix(r#"{"jsonrpc":"2.0","id":"#).is_some_and(|id| id.parse::<u64>().is_ok()), "{id}");
    let expected = r#":"tools/call","params":{"name":"drop_table","arguments":{"table":"a"},"_meta":{"progressToken":1.0,"io.modelcontextprotocol/clientInfo":{ "name":"c" }},"task":{"ttl":1}}}"#;
    assert_eq!(sent, expected);
}

// Promise: What the policy allows by name reaches the server as it was written, without a call to Sayso.
#[tokio::test]
async fn what_is_allowed_reaches_the_server_as_it_was_written_and_sayso_hears_nothing() {
    let mut site = Site::new().await;
    // Nobody listens there: a call to Sayso would fail.
    site.set("SAYSO_MCP_URL", "http://127.0.0.1:9/mcp");
    let mut gate = site.gate().await;
    let arguments = r#"{ "b" : 1.0, "a": 12345678901234567890 }"#;
    assert_eq!(gate.call("list_tables", arguments).await, "ran list_tables");
    assert!(site.calls()[0].contains(arguments), "{:?}", site.calls());
}

/// Texts that one reader takes for a call of an allowed tool and another for a call of a gated one.
const AMBIGUOUS: [&str; 13] = [
    r#"{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"list_tables","name":"drop_table"}}"#,
    r#"{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"list_tables","Name":"drop_table"}}"#,
    r#"{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"list_tables","n\u0061me":"drop_table"}}"#,
    r#"{"jsonrpc":"2.0","id":9,"method":"tools/list","method":"tools/call","params":{"name":"drop_table"}}"#,
    r#"{"jsonrpc":"2.0","id":9,"method":"tools/list","METHOD":"tools/call","params":{"name":"drop_table"}}"#,
    r#"{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"list_tables"},"Params":{"name":"drop_table"}}"#,
    // Go's `encoding/json` folds case as Unicode does: a long s is an s, and the sign of the kelvin is a k.
    r#"{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"list_tables"},"paramſ":{"name":"drop_table"}}"#,
    r#"{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"drop_table","arguments":{"table":"a"},"argumentſ":{"table":"b"}}}"#,
    r#"{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"drop_table","tas\u212a":{}}}"#,
    // The Python SDK reads what is written `requestState` by the name of its own field, too.
    r#"{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"drop_table","request_state":"s"}}"#,
    r#"[{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"drop_table"}}]"#,
    r#"{"jsonrpc":"2.0","id":9,"method":"tools/call","params":["drop_table"]}"#,
    r#"{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":["drop_table"]}}"#,
];

#[tokio::test]
async fn a_message_that_can_be_read_in_two_ways_is_refused() {
    let site = Site::new().await;
    let mut gate = site.gate().await;
    for message in AMBIGUOUS {
        gate.send(message).await;
        let answer = gate.answer().await;
        assert!(answer["error"]["message"].is_string(), "{message}: {answer}");
    }
    // A call that wants no answer is none, and is not run as one.
    gate.send(r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"drop_table"}}"#).await;
    assert_eq!(gate.call("list_tables", "{}").await, "ran list_tables");
    assert_eq!(site.calls().len(), 1, "{:?}", site.calls());
    assert_eq!(site.mails().await, 0);
}

/// Methods and names that some reader takes for others: by case, by white space, or by what ends a text in C.
#[tokio::test]
async fn a_method_or_a_name_that_some_reader_takes_for_a_gated_one_is_refused() {
    let site = Site::new().await;
    site.policy("default = \"allow\"\n[[tools]]\nmatch = \"drop_*\"\ndecision = \"deny\"\n");
    let mut gate = site.gate().await;
    for method in [
        "Tools/Call",
        "tools/call ",
        " tools/call",
        "tools/call\\u0000",
        "tools/\\u200bcall",
        "tool\u{17f}/call",
        "tools/_call",
        "TOOLS/CALL",
        "tools/call\\n",
    ] {
        let answer = gate.request(method, r#"{"name":"drop_table"}"#).await;
        assert_eq!(answer["error"]["code"], -32600, "{method}: {answer}");
        gate.send(&format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{{"name":"drop_table"}}}}"#))
            .await;
    }
    for name in ["drop_table\\u0000", "list_tables\\u0000", "list_tables\\n", "\\u007flist_tables"] {
        let answer = gate.request("tools/call", &format!(r#"{{"name":"{name}"}}"#)).await;
        assert_eq!(answer["error"]["code"], -32602, "{name}: {answer}");
    }
    gate.request("tools/list", "{}").await;
    let received = std::fs::read_to_string(site.path("received")).expect("what was received");
    assert!(!received.to_lowercase().contains("call"), "{received}");
}

/// A server may show anybody the ids of the requests that it gets, in a log or in a tool's result.
#[tokio::test]
async fn a_client_that_has_learnt_the_ids_of_the_gate_cannot_use_them() {
    let site = Site::new().await;
    let mut gate = site.gate().await;
    gate.asks("drop_table", "{}").await;
    let received = std::fs::read_to_string(site.path("received")).expect("what was received");
    let listing = received.lines().find(|line| line.contains("tools/list")).expect("a request of the gate's");
    let listing: serde_json::Value = serde_json::from_str(listing).expect("JSON");
    let id = listing["id"].as_u64().expect("an integer") + 1;
    // It is the next that the gate would take for its own request, and it is the client's all the same.
    gate.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/list"}}"#)).await;
    let answer = gate.answer().await;
    assert!(answer["id"] == id && answer["result"]["tools"].is_array(), "{answer}");
    gate.asks("drop_table", "{}").await;
    assert_eq!(site.calls(), [""; 0]);
}

#[tokio::test]
async fn arguments_outside_the_profile_are_refused_with_what_to_change() {
    let site = Site::new().await;
    let mut gate = site.gate().await;
    for (arguments, problem) in [
        (r#"{"table":"a","table":"b"}"#, "there twice"),
        (r#"{"rows":9007199254740993.0}"#, "write it out as an integer of at most 40 digits"),
        (r#"{"rows":0.1000000000000000055}"#, "more digits"),
        ("{\"table\":\"a\\ud800\"}", "the text at /table"),
        (r#"["a"]"#, "JSON object"),
    ] {
        let text = gate.call("drop_table", arguments).await;
        assert!(text.contains(problem) && text.contains("did not run"), "{arguments}: {text}");
    }
    assert_eq!((site.calls().len(), site.mails().await), (0, 0));
}

/// Agents write files with lines that end in CR LF, and worse. What the human reads names each character that nobody sees.
#[tokio::test]
async fn every_character_that_json_can_carry_is_approved_as_it_is() {
    let site = Site::new().await;
    let mut gate = site.gate().await;
    let written = r#"{"file":"a\r\nb\u000c\u0000\u001b[31m\u007f\u0085","\u0008":1}"#;
    let id = gate.asks("drop_table", written).await;
    let link = site.local().links(&id).await.pop().expect("a mail with the link");
    let page = site.local().browser().open(&link.0).await.text();
    for name in [r"\r", r"\f", r"\b", "U+0000", "U+001B", "U+007F", "U+0085"] {
        assert!(page.contains(name), "{name} is not in {page}");
    }
    site.decide(&id, Verdict::Approve, "").await;
    assert_eq!(gate.call("drop_table", written).await, "ran drop_table");
    // As RFC 8785 writes it; of a line's end that is in the text, by its escape.
    let canonical = "{\"\\b\":1,\"file\":\"a\\r\\nb\\f\\u0000\\u001b[31m\u{7f}\\u0085\"}";
    assert!(site.calls()[0].contains(canonical), "{:?}", site.calls());
}

/// Identifiers of 64 bits and more, which a double would round onto others.
#[tokio::test]
async fn an_integer_of_any_size_is_asked_shown_and_sent_as_it_is_written() {
    let site = Site::new().await;
    site.policy("wait_seconds = 0\n[[tools]]\nmatch = \"drop_table\"\ndecision = \"ask\"\nsummary = \"Drop {id}, {of.0}\"\n");
    let mut gate = site.gate().await;
    let written = r#"{"of":[ 340282366920938463463374607431768211457 ], "id": 9007199254740993 }"#;
    let id = gate.asks("drop_table", written).await;
    let mail = site.local().messages().await.remove(0);
    let mail = mail["text"].as_str().expect("text").to_owned();
    let link = site.local().links(&id).await.pop().expect("a mail with the link");
    let page = site.local().browser().open(&link.0).await.text();
    assert!(mail.contains("Drop 9007199254740993, 340282366920938463463374607431768211457"), "{mail}");
    for shown in [mail, page] {
        for integer in ["9007199254740993", "340282366920938463463374607431768211457"] {
            assert!(shown.contains(integer), "{integer} is not in {shown}");
        }
    }
    site.decide(&id, Verdict::Approve, "").await;
    // What every double makes of it.
    gate.asks("drop_table", r#"{"id":9007199254740992,"of":[340282366920938463463374607431768211456]}"#)
        .await;
    assert_eq!(gate.call("drop_table", written).await, "ran drop_table");
    let sent = r#"{"id":9007199254740993,"of":[340282366920938463463374607431768211457]}"#;
    assert!(site.calls()[0].contains(sent), "{:?}", site.calls());
}

#[tokio::test]
async fn a_call_without_arguments_is_the_call_with_none() {
    let site = Site::new().await;
    let mut gate = site.gate().await;
    let id = gate.asks("drop_table", "{}").await;
    site.decide(&id, Verdict::Approve, "").await;
    let answer = gate.request("tools/call", r#"{"name":"drop_table"}"#).await;
    assert_eq!(answer["result"]["content"][0]["text"], "ran drop_table");
    assert!(site.calls()[0].contains(r#""arguments":{}"#), "{:?}", site.calls());
}

/// A server that reads files reads this: those of the process that started it among them.
#[tokio::test]
async fn the_gates_own_key_is_not_in_what_a_server_can_read_of_the_gate() {
    let mut site = Site::new().await;
    site.set("SAYSO_UPSTREAM_AUTHORIZATION", "Bearer of-the-server");
    let key = site.local().ready.get("agent_key").to_owned();
    let mut gate = site.gate().await;
    assert_eq!(gate.call("list_tables", "{}").await, "ran list_tables");
    let process = format!("/proc/{}", gate.id());
    let environment = std::fs::read(format!("{process}/environ")).expect("what it was started with");
    let environment = String::from_utf8_lossy(&environment).into_owned();
    assert!(environment.contains("SAYSO_AUDIENCE"), "{environment}");
    assert!(!environment.contains(&key) && !environment.contains("of-the-server"), "{environment}");
    for descriptor in std::fs::read_dir(format!("{process}/fd")).expect("its descriptors").flatten() {
        let target = std::fs::read_link(descriptor.path()).unwrap_or_default();
        if target.to_string_lossy().starts_with("/memfd:") {
            assert_eq!(std::fs::read(descriptor.path()).expect("memory"), b"", "{target:?}");
        }
    }
    // With the key out of sight it asks as before.
    gate.asks("drop_table", "{}").await;
}

/// Sayso itself, as a server of the newest protocol that wants a credential: the agent has none.
#[tokio::test]
async fn the_servers_credential_stays_behind_the_gate() {
    let site = Site::new().await;
    let program = binary("sayso-gate").await;
    let url = site.local().ready.get("mcp_url");
    let gate = |authorization: String| {
        let mut command = Command::new(&program);
        command.arg("mcp").arg("--policy").arg(site.path("gate.toml")).args(["--upstream", url]);
        command.envs(site.local().gate_environment()).env("SAYSO_STATE", site.path("state"));
        command.env("SAYSO_UPSTREAM_AUTHORIZATION", authorization);
        command
    };
    let key = site.local().ready.get("agent_key");
    let agent = Agent::starting(gate(format!("Bearer {key}"))).await;
    let tools: Vec<_> = agent.tools().await.into_iter().map(|tool| tool.name.into_owned()).collect();
    assert_eq!(tools, ["request_approval", "check_approval", "withdraw_approval"]);
    assert_eq!(agent.protocol_version(), "2026-07-28");
    assert!(
        Agent::try_starting(gate("Bearer another".to_owned()), ProtocolVersion::V_2026_07_28).await.is_err()
    );
}
