use sayso_local::outbox::Fate;
use sayso_model::token::ApprovalToken;
use sayso_tests::{Verdict, asking};
use serde_json::json;

use crate::setting::{Operated, expect_transcript};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_and_what_became_of_it() {
    let operated = Operated::new().await;
    let world = &operated.world;
    let agent = world.agent().await;
    let browser = world.browser();
    let mut ids = Vec::new();
    for table in ["orders", "invoices", "customers", "ledger"] {
        ids.push(agent.ask(table).await.field("approval_id").to_owned());
        // Ids of one second are in no order.
        world.pass(1);
    }
    // What a terminal would obey does not even get into the table.
    let hostile = |summary: &str| {
        json!({
            "tool": "drop_table",
            "arguments": {"table": "\u{202e}sredro"},
            "summary": summary,
            "reason": "Because.\nStatus    approved",
        })
    };
    assert!(agent.call("request_approval", hostile("Drop it\u{9b}2J now")).await.is_error);
    let hostile = agent.call("request_approval", hostile("Drop\u{202e} it")).await;
    ids.push(hostile.field("approval_id").to_owned());

    browser.decide(&world.link(&ids[0]), Verdict::Approve, "Fine.\nStatus    denied").await;
    browser.decide(&world.link(&ids[1]), Verdict::Deny, "Not on a Friday").await;
    agent.call("withdraw_approval", json!({"approval_id": ids[2]})).await;
    let token = agent.check(&ids[0]).await.field("approval_token").to_owned();
    let arguments = asking("orders")["arguments"].to_string();
    let permitted = world
        .gate("the gate")
        .permit(&ApprovalToken::from_text(&token), sayso_tests::action(&arguments), world.clock.now())
        .await;
    permitted.map(drop).expect("a permit");

    let (used, denied, hidden) = (&ids[0], &ids[1], &ids[4]);
    let shows = [used, denied, hidden].map(|id| format!("approvals show {id}"));
    let by_script = format!("--json approvals show {used}");
    let lines = [
        "approvals list",
        "approvals list --open",
        "approvals list --agent nobody",
        "--json approvals list --open --agent deploy-bot",
        shows[0].as_str(),
        shows[1].as_str(),
        shows[2].as_str(),
        by_script.as_str(),
    ];
    let mut raw = String::new();
    for line in &lines {
        raw.push_str(&operated.does(&line.split(' ').collect::<Vec<_>>()).await.all);
    }
    for id in &ids {
        assert!(!raw.contains(world.link(id).secret()), "a link's secret");
    }
    assert!(!raw.contains(&token) && !raw.contains("@example.com"), "{raw}");
    expect_transcript("approvals.txt", &operated.transcript(&lines).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_came_back_and_from_where() {
    let operated = Operated::new().await;
    let world = &operated.world;
    let agent = world.agent().await;
    let id = agent.ask("orders").await.field("approval_id").to_owned();
    world.comes_back(&id, Fate::Bounce).await;
    let show = format!("approvals show {id}");
    let whole = format!("approvals show {id} --addresses");
    let by_script = format!("--json approvals show {id}");
    let lines = [
        "approvals list --open",
        show.as_str(),
        whole.as_str(),
        by_script.as_str(),
        "approver add approver-deploy-bot alex@new.example --replace",
    ];
    expect_transcript("undeliverable.txt", &operated.transcript(&lines).await);
    agent.ask("orders").await;
    let corrected = world.mails().pop().expect("a mail").to;
    assert_eq!(corrected, ["alex@new.example"]);
    assert!(operated.does(&["approvals", "show", &id]).await.out.contains("accepted by the mail service"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_merely_says_approved_is_shown_as_corrupt() {
    let operated = Operated::new().await;
    let world = &operated.world;
    let asked = world.agent().await.ask("orders").await;
    let id = asked.field("approval_id");
    world.browser().decide(&world.link(id), Verdict::Approve, "").await;
    let mut row = world.table().row(&format!("OUTCOME#{id}")).await.expect("the row");
    let token = aws_sdk_dynamodb::types::AttributeValue::S("forged".to_owned());
    row.insert("token".to_owned(), token);
    world.table().put(row).await;
    let shown = operated.does(&["approvals", "show", id]).await;
    assert!(shown.out.contains("Status    corrupt\n"), "{}", shown.out);
    assert!(shown.out.contains("Why this row is corrupt"), "{}", shown.out);
    let listed = operated.does(&["--json", "approvals", "list"]).await;
    assert_eq!(listed.json()["approvals"][0]["status"], "corrupt");
}
