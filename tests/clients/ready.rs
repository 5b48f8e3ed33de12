use sayso_tests::Local;

#[tokio::test(flavor = "multi_thread")]
async fn json_prints_one_line_when_ready_and_nothing_else() {
    let local = Local::start(&["--port", "0", "--approver", "alex@example.com"]).await;
    let names = [
        "agent_key",
        "audience",
        "decide_url",
        "enrol_url",
        "issuer_url",
        "mcp_url",
        "outbox_url",
        "page_url",
    ];
    let mut told = local.ready.names();
    told.sort_unstable();
    assert_eq!(told, names);
    let ready = &local.ready;
    assert!(ready.get("mcp_url").ends_with("/mcp"), "{}", ready.get("mcp_url"));
    let agent = sayso_tests::Agent::connect(ready.get("mcp_url"), ready.get("agent_key")).await;
    let asked = agent.ask("orders").await;
    assert_eq!(asked.field("approver"), "a•••@example.com");
    // Also after a mail went out: whoever reads the line reads all there is.
    assert_eq!(local.output().lines().count(), 1, "{}", local.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_addresses_of_sess_mailbox_simulator_do_here_what_they_do_there() {
    let rows = [
        ("bounce@simulator.amazonses.com", Some("bounce")),
        ("suppressionlist+a@simulator.amazonses.com", Some("bounce")),
        ("complaint@simulator.amazonses.com", Some("complaint")),
        ("success@simulator.amazonses.com", None),
        ("ooto@simulator.amazonses.com", None),
    ];
    for (address, cause) in rows {
        let local = Local::start(&["--port", "0", "--approver", address]).await;
        let ready = &local.ready;
        let agent = sayso_tests::Agent::connect(ready.get("mcp_url"), ready.get("agent_key")).await;
        let id = agent.ask("orders").await.field("approval_id").to_owned();
        // A wait ends with what has been reported meanwhile.
        let wait = serde_json::json!({"approval_id": id, "wait_seconds": 1});
        let told = agent.call("check_approval", wait).await;
        assert_eq!(told.structured["cause"].as_str(), cause, "{address}: {}", told.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_six_ports_follow_each_other() {
    let port = sayso_tests::six_free_ports();
    let local = Local::start(&["--port", &port.to_string()]).await;
    // A passkey belongs to a name, so the page has one.
    let ports = [
        ("mcp_url", "127.0.0.1", "/mcp"),
        ("page_url", "localhost", ""),
        ("decide_url", "127.0.0.1", ""),
        ("issuer_url", "127.0.0.1", ""),
        ("outbox_url", "127.0.0.1", ""),
        ("enrol_url", "127.0.0.1", ""),
    ];
    for (offset, (name, host, path)) in (0..).zip(ports) {
        assert_eq!(local.ready.get(name), format!("http://{host}:{}{path}", port + offset));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_cannot_start_with_is_said_in_a_sentence() {
    let first = Local::start(&["--port", "0"]).await;
    let taken = first.ready.get("page_url").rsplit(':').next().expect("a port").to_owned();
    let wrong = [
        (vec!["--port", taken.as_str()], "choose another with --port"),
        (vec!["--approver", "nobody"], "--approver"),
        (vec!["--agent-key", "two words"], "--agent-key"),
        (vec!["--data", "/nowhere/at/all.db"], "/nowhere/at/all.db"),
    ];
    for (arguments, sentence) in wrong {
        let mut command = tokio::process::Command::new(sayso_tests::binary("sayso-local").await);
        command.arg("--json").args(&arguments);
        let mut program = sayso_tests::Program::start(command);
        assert!(!program.exit().await.success(), "{arguments:?}");
        assert!(program.output().contains(sentence), "{arguments:?}: {}", program.output());
    }
}
