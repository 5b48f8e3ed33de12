use rmcp::model::ProtocolVersion;
use sayso_tests::{Agent, Fault, Verdict, World, asking, expect_golden};
use serde_json::{Value, json};

// Promise: An agent asks over MCP and gets an id, a status link and what to do next, at once.
#[tokio::test]
async fn an_agent_asks_and_is_told_what_to_do_next() {
    let world = World::new().await;
    let agent = world.agent().await;
    let asked = agent.ask("orders_2019").await;
    assert_eq!(asked.field("status"), "pending");
    assert_eq!(asked.field("approver"), "a•••@example.com");
    assert_eq!(asked.field("closes_at"), "2026-11-22T13:00:00Z");
    let id = asked.field("approval_id");
    assert_eq!(asked.field("status_url"), format!("{}/{id}", world.host.page_url));
    assert!(asked.field("next").contains("check_approval"), "{}", asked.text);
    let status = world.browser().open(asked.field("status_url")).await;
    assert_eq!(status.status, 200);
    assert!(!status.html.contains("orders_2019") && !status.html.contains("deploy-bot"), "{}", status.html);
}

// Promise: The mail goes to the approver the operator configured, and the agent cannot name another.
#[tokio::test]
async fn the_mail_goes_to_the_configured_approver() {
    let world = World::new().await;
    let agent = world.agent().await;
    let asked = agent.ask("orders_2019").await;
    let mails = world.mails();
    let [mail] = &mails[..] else { panic!("{} mails", mails.len()) };
    assert_eq!(mail.to, ["alex@example.com"]);
    let id = asked.field("approval_id");
    assert_eq!(mail.subject, format!("Sayso: deploy-bot asks for your approval [{}]", &id[20..]));
    let (text, html) = (mail.text.as_deref().expect("text"), mail.html.as_deref().expect("html"));
    let link = world.link(id).0;
    expect_golden("promises/mail.txt", &text.replace(&link, "LINK").replace(id, "ID"));
    for shown in ["drop_table", "orders_2019", "Sunday 22 November 2026, 13:00 UTC", "Drop the table", &link]
    {
        assert!(html.contains(shown), "{shown} is missing in {html}");
    }
    // SES would make the link pass through its click counter.
    assert!(html.contains("ses:no-track"), "{html}");
    let mut naming = asking("other");
    naming["approver"] = json!("mallory@example.com");
    let refused = agent.call("request_approval", naming).await;
    assert!(refused.is_error && refused.text.contains("approver"), "{}", refused.text);
    assert_eq!(world.mails().len(), 1);
}

// Promise: Asking again for the same thing returns the same approval and sends no second mail.
#[tokio::test]
async fn a_retry_is_the_same_approval() {
    let world = World::new().await;
    let agent = world.agent().await;
    let first = agent.ask("orders_2019").await;
    let again = agent.ask("orders_2019").await;
    assert_eq!(first.field("approval_id"), again.field("approval_id"));

    // In other words nobody is asked either, and the agent is told which ones count.
    let mut reworded = asking("orders_2019");
    reworded["summary"] = json!("Look at a table");
    let joined = agent.call("request_approval", reworded).await;
    assert_eq!(joined.field("approval_id"), first.field("approval_id"));
    for member in ["summary", "created_at", "closes_at"] {
        assert_eq!(joined.field(member), first.field(member));
    }
    assert!(joined.field("next").contains("not these") && !again.field("next").contains("not these"));

    let mut keyed = asking("invoices");
    keyed["idempotency_key"] = json!("release 41, step 3");
    let asked = agent.call("request_approval", keyed.clone()).await;
    let id = asked.field("approval_id").to_owned();
    world.browser().decide(&world.link(&id), Verdict::Deny, "").await;
    let after = agent.call("request_approval", keyed.clone()).await;
    assert_eq!((after.field("approval_id"), after.field("status")), (id.as_str(), "denied"));
    assert_eq!(world.mails().len(), 2);

    keyed["arguments"]["table"] = json!("payments");
    let refused = agent.call("request_approval", keyed).await;
    assert!(refused.is_error && refused.text.contains("idempotency_key"), "{}", refused.text);
    assert_eq!(world.mails().len(), 2);
}

#[tokio::test]
async fn a_newer_request_shows_on_the_page_of_the_earlier_one_that_it_names() {
    let world = World::new().await;
    let agent = world.agent().await;
    let first = agent.ask("orders_2019").await.field("approval_id").to_owned();
    let naming = |table: &str, earlier: &str| {
        let mut asked = asking(table);
        asked["earlier_approval_id"] = json!(earlier);
        asked
    };
    let is_told = async || world.browser().open(&world.link(&first).0).await.text().contains("newer request");

    // Another tool, another agent, and what is no approval: nothing to tell.
    let mut other_tool = naming("orders_2020", &first);
    other_tool["tool"] = json!("drop_index");
    assert!(!agent.call("request_approval", other_tool).await.is_error);
    let key = sayso_model::AgentKey::parse(&format!("sayso_agent_{}", "b".repeat(43))).expect("a key");
    world.register(&key, "other-bot", "sam@example.com", &["production"]).await;
    let other = Agent::connect(&world.host.mcp_url, key.expose()).await;
    assert!(!other.call("request_approval", naming("orders_2020", &first)).await.is_error);
    let nowhere = naming("orders_2017", "01JD3V8Q5Z7XW2N4M6K8P0R1ST");
    assert!(!agent.call("request_approval", nowhere).await.is_error);
    assert!(!is_told().await);
    let refused = agent.call("request_approval", naming("orders_2020", "01")).await;
    assert!(refused.is_error && refused.text.contains("26-character id"), "{}", refused.text);

    world.pass(60);
    let newer = agent.call("request_approval", naming("orders_2020", &first)).await;
    let newer = newer.field("approval_id").to_owned();
    assert!(is_told().await);
    let page = world.browser().open(&world.link(&first).0).await.text();
    assert!(page.contains(&newer) && page.contains("12:01 UTC"), "{page}");
    // Another agent cannot hide it.
    assert!(!other.call("request_approval", naming("orders_2021", &first)).await.is_error);
    assert!(is_told().await);
    // Whoever answers with a wrong code still reads it, and may decide all the same.
    let browser = world.browser();
    let form = browser.open(&world.link(&first).0).await.form();
    let again = browser.submit(&form, &[("code", "000000")], Some(("verdict", "approve"))).await;
    assert!(again.status == 422 && again.text().contains("newer request"), "{}", again.text());
    // What cannot be read of it keeps nobody from deciding.
    let told = world.table().row(&format!("NEWER#{first}")).await.expect("a row");
    let mut broken = told.clone();
    let named = "agent#deploy-bot";
    assert!(broken.contains_key(named) && broken.contains_key("agent#other-bot"), "{broken:?}");
    broken.insert(named.to_owned(), aws_sdk_dynamodb::types::AttributeValue::S("nothing".to_owned()));
    world.table().put(broken).await;
    assert!(!is_told().await);
    let page = browser.decide(&world.link(&first), Verdict::Approve, "").await;
    assert_eq!(page.status, 200, "{}", page.text());
    assert!(sayso_tests::string(&told, named).starts_with(&newer), "{told:?}");
}

// Promise: Key order and spacing do not make another action; one changed character does.
#[tokio::test]
async fn one_action_however_it_is_written() {
    let world = World::new().await;
    let agent = world.agent().await;
    let ask = async |arguments: Value| {
        let mut asking = asking("-");
        asking["arguments"] = arguments;
        agent.call("request_approval", asking).await.field("approval_id").to_owned()
    };
    let first = ask(json!({"a": 1, "b": [1.0, "x"]})).await;
    assert_eq!(first, ask(json!({"b": [1, "x"], "a": 1.0})).await);
    assert_ne!(first, ask(json!({"a": 1, "b": [1.0, "y"]})).await);
    assert_ne!(first, ask(json!({"a": "1", "b": [1.0, "x"]})).await);
}

// Promise: If the mail cannot be sent, the agent is told, nothing is lost, and asking again sends it.
#[tokio::test]
async fn a_mail_that_fails_is_sent_by_the_retry() {
    let world = World::new().await;
    let agent = world.agent().await;
    world.tap.break_next("SendEmail", Fault::Refuse(400, "MessageRejected"));
    let asked = agent.ask("orders_2019").await;
    assert_eq!(asked.field("status"), "pending");
    assert!(asked.field("next").contains("could not be sent"), "{}", asked.text);
    assert!(world.mails().is_empty());
    let again = agent.ask("orders_2019").await;
    assert_eq!(asked.field("approval_id"), again.field("approval_id"));
    assert_eq!(world.mails().len(), 1);
    let decided = world.browser().decide(&world.link(again.field("approval_id")), Verdict::Approve, "").await;
    assert_eq!(decided.status, 200);
}

// Promise: Works with MCP clients of every protocol version from 2024-11-05 to 2026-07-28. JSON-RPC batches, which 2025-03-26 had, are refused.
#[tokio::test]
async fn every_protocol_version_is_served() {
    let world = World::new().await;
    let versions = [
        ProtocolVersion::V_2024_11_05,
        ProtocolVersion::V_2025_03_26,
        ProtocolVersion::V_2025_06_18,
        ProtocolVersion::V_2025_11_25,
        ProtocolVersion::V_2026_07_28,
    ];
    for version in versions {
        let agent = Agent::try_connect(&world.host.mcp_url, world.agent_key.expose(), version.clone()).await;
        let agent = agent.unwrap_or_else(|e| panic!("{version}: {e}"));
        assert_eq!(agent.protocol_version(), version.to_string());
        let tools = agent.tools().await;
        let names: Vec<_> = tools.iter().map(|tool| tool.name.as_ref()).collect();
        assert_eq!(names, ["request_approval", "check_approval", "withdraw_approval"]);
        for tool in &tools {
            assert!(
                tool.title.is_some() && tool.annotations.is_some() && tool.output_schema.is_some(),
                "{tool:?}"
            );
            let schema = serde_json::to_string(&tool.input_schema).expect("a schema");
            assert!(!schema.contains("null"), "{schema}");
        }
        let asked = agent.ask(&format!("table of {version}")).await;
        assert_eq!(agent.check(asked.field("approval_id")).await.field("status"), "pending");
    }
}
