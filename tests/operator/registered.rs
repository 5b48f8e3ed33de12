use sayso_cloud::random;
use sayso_tests::{Agent, Fault, Row, string};

use crate::setting::Operated;

#[tokio::test(flavor = "multi_thread")]
async fn the_next_mail_goes_to_the_approvers_new_address() {
    let operated = Operated::ready().await;
    let key = operated.does(&["--json", "agent", "add", "ci-bot", "--approver", "alex"]).await.field("key");
    let agent = Agent::connect(&operated.world.host.mcp_url, &key).await;
    agent.ask("orders").await;
    operated.does(&["approver", "add", "alex", "alex@new.example", "--replace"]).await;
    agent.ask("customers").await;
    let to: Vec<_> = operated.world.mails().into_iter().flat_map(|mail| mail.to).collect();
    assert_eq!(to, ["alex@example.com", "alex@new.example"]);
    // A key that is made afterwards has the new address, too.
    let key = operated.does(&["--json", "agent", "rotate", "ci-bot"]).await.field("key");
    Agent::connect(&operated.world.host.mcp_url, &key).await.ask("invoices").await;
    assert_eq!(operated.world.mails().last().expect("a mail").to, ["alex@new.example"]);
}

/// As the template's RegisterFirstAgent and earlier versions wrote it.
fn first_agent(hash: &str) -> Row {
    let item = serde_json::json!({
        "name": "first-bot", "approver_id": "0ABC", "approver_email": "alex@example.com",
    });
    let mut row: Row = item
        .as_object()
        .expect("an object")
        .iter()
        .map(|(name, value)| (name.clone(), text(value.as_str().unwrap_or_default())))
        .collect();
    row.insert("pk".to_owned(), text(&format!("AGENT#{hash}")));
    row.insert("audiences".to_owned(), aws_sdk_dynamodb::types::AttributeValue::L(vec![text("production")]));
    row
}

fn text(text: &str) -> aws_sdk_dynamodb::types::AttributeValue {
    aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_the_templates_command_registered_is_one_like_any_other() {
    let operated = Operated::new().await;
    let key = random::agent_key();
    operated.world.table().put(first_agent(&key.hash().to_string())).await;
    assert!(operated.lets_in(key.expose()).await);
    let listed = operated.does(&["agent", "list"]).await;
    assert!(listed.out.contains("first-bot   0ABC"), "{}", listed.out);
    // Its approver can be registered with the address it has, and not with another by mistake.
    let other = operated.run(&["approver", "add", "0ABC", "sam@example.com"]).await;
    assert!(other.status == 1 && other.all.contains("(first-bot)"), "{}", other.all);
    operated.does(&["approver", "add", "0ABC", "alex@example.com"]).await;
    let rotate = ["--json", "agent", "rotate", "first-bot", "--overlap", "1h"];
    let new = operated.does(&rotate).await.field("key");
    assert!(operated.lets_in(key.expose()).await && operated.lets_in(&new).await);
    operated.world.pass(3_700);
    assert!(!operated.lets_in(key.expose()).await && operated.lets_in(&new).await);
    operated.does(&["agent", "revoke", "first-bot"]).await;
    assert!(!operated.lets_in(&new).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_whose_approver_was_never_registered_keeps_it() {
    let operated = Operated::new().await;
    let new = operated.does(&["--json", "agent", "rotate", "deploy-bot"]).await.field("key");
    Agent::connect(&operated.world.host.mcp_url, &new).await.ask("orders").await;
    assert_eq!(operated.world.mails().last().expect("a mail").to, ["alex@example.com"]);
    let rows = operated.world.table().rows().await;
    let approvers: Vec<_> = rows
        .iter()
        .filter(|row| string(row, "pk").starts_with("AGENT#"))
        .map(|row| string(row, "approver_id"))
        .collect();
    assert_eq!(approvers, ["approver-deploy-bot", "approver-deploy-bot"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_operator_scans_and_a_call_that_is_refused_says_what_to_do() {
    let operated = Operated::ready().await;
    operated.world.tap.take_calls();
    operated.world.agent().await.ask("orders").await;
    assert!(!operated.world.tap.take_calls().contains(&"Scan".to_owned()));
    let rows = [
        ("AccessDeniedException", "docs/operating.md lists what an operator needs"),
        ("ResourceNotFoundException", "compare --table and --region"),
    ];
    for (code, advice) in rows {
        operated.world.tap.break_next("Scan", Fault::Refuse(400, code));
        let ran = operated.run(&["agent", "list"]).await;
        assert!(ran.status == 1 && ran.all.contains(code) && ran.all.contains(advice), "{}", ran.all);
    }
}
