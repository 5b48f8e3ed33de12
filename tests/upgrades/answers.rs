//! What a deployment answers, across versions: a gate that is older or newer than its deployment. The first format is that of
//! 43fa6aa, 23 November 2026.

use std::time::Duration;

use sayso_sdk::{
    ApprovalError, ApprovalId, ApprovalRequest, ApprovalStatus, Approvals, Audience, BaseUrl, ExpiresIn,
    PendingApproval, Summary, Withdrawal,
};
use sayso_tests::{Front, Trouble, Verdict, World, action, asking};
use serde_json::{Value, json};

const MCP: &str = "/mcp";

async fn ask(approvals: &Approvals) -> Result<PendingApproval, ApprovalError> {
    let asking = ApprovalRequest {
        action: &action("{}"),
        audience: &Audience::parse("production").expect("an audience"),
        summary: &Summary::parse("Drop a table").expect("a summary"),
        reason: None,
        expires_in: ExpiresIn::default(),
        earlier: None,
    };
    approvals.request(&asking).await
}

#[tokio::test]
async fn the_answers_of_the_first_deployment_are_understood() {
    let world = World::new().await;
    let front = Front::start(world.host.mcp_url.strip_suffix(MCP).expect("the endpoint")).await;
    let url = BaseUrl::parse(&format!("{}{MCP}", front.url)).expect("a URL");
    let approvals = Approvals::new(url, world.agent_key.clone()).expect("TLS");
    let id: ApprovalId = "01JD3V8Q5Z7XW2N4M6K8P0R1ST".parse().expect("an id");
    let now = world.clock.now().to_string();
    let answers = |content: Value| {
        let result = json!({"content": [], "isError": false, "structuredContent": content});
        let message = json!({"jsonrpc": "2.0", "id": 1, "result": result});
        front.trouble(MCP, Trouble::Answer(200, None, message.to_string()));
    };
    answers(
        json!({"approval_id": id, "status": "pending", "status_url": format!("https://page.example/{id}"),
        "closes_at": now, "approver": "a•••@example.com", "mail_sent": true, "next": "Wait."}),
    );
    let requested = ask(&approvals).await.expect("an approval");
    assert!(requested.id == id && requested.mail_sent && requested.asked.is_none(), "{requested:?}");
    answers(
        json!({"approval_id": id, "status": "expired", "status_url": format!("https://page.example/{id}"),
        "closes_at": now, "approver": "a•••@example.com", "next": "Check."}),
    );
    assert!(!ask(&approvals).await.expect("an approval").mail_sent);

    let standings = [
        json!({"status": "pending", "closes_at": now, "mail_sent": false, "retry_after_seconds": 30}),
        json!({"status": "approved", "decided_at": now, "proven_by": "email-link", "note": "Go.",
            "approval_token": "a.b.c", "token_expires_at": now}),
        json!({"status": "denied", "decided_at": now, "proven_by": "email-link"}),
        json!({"status": "expired"}),
        json!({"status": "withdrawn"}),
    ];
    for mut content in standings {
        content["approval_id"] = json!(id);
        content["next"] = json!("Read.");
        answers(content.clone());
        let standing = approvals.check(id, Duration::ZERO).await.expect("an answer");
        let read = match standing {
            ApprovalStatus::Pending { mail_sent: false, .. } => "pending",
            ApprovalStatus::Approved { note: Some(_), .. } => "approved",
            ApprovalStatus::Denied { note: None, .. } => "denied",
            ApprovalStatus::Expired => "expired",
            ApprovalStatus::Withdrawn => "withdrawn",
            other => panic!("{other:?}"),
        };
        assert_eq!(content["status"], read);
    }
    answers(json!({"approval_id": id, "status": "withdrawn"}));
    assert_eq!(approvals.withdraw(id).await, Ok(Withdrawal::Withdrawn));
}

/// The first gate passes over members that it does not know. These it needs.
#[tokio::test]
async fn todays_answers_have_every_member_that_the_first_gate_needs() {
    let world = World::new().await;
    let agent = world.agent().await;
    let requested = ["approval_id", "status", "status_url", "closes_at", "approver", "mail_sent"];
    let needs = |content: &Value, members: &[&str]| {
        for member in members {
            let value = &content[*member];
            assert!(value.is_string() || value.is_boolean(), "{member} in {content}");
        }
    };
    let checked = async |id: &str| {
        let check = json!({"approval_id": id, "wait_seconds": 0});
        agent.call("check_approval", check).await.structured
    };
    for (verdict, members) in [
        (
            Verdict::Approve,
            &["approval_id", "status", "decided_at", "approval_token", "token_expires_at"][..],
        ),
        (Verdict::Deny, &["approval_id", "status", "decided_at"]),
    ] {
        let asked = agent.call("request_approval", asking(&format!("{verdict:?}"))).await.structured;
        needs(&asked, &requested);
        let id = asked["approval_id"].as_str().expect("an id");
        needs(&checked(id).await, &["approval_id", "status", "closes_at", "mail_sent"]);
        world.browser().decide(&world.link(id), verdict, "").await;
        needs(&checked(id).await, members);
        let withdrawn = agent.call("withdraw_approval", json!({"approval_id": id})).await.structured;
        needs(&withdrawn, &["approval_id", "status"]);
    }
}
