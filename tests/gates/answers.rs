//! What a gate's program reads in an answer: all that Sayso says, nothing that it does not, and what a later version says by its
//! name.

use sayso_sdk::{ApprovalError, ApprovalStatus, Withdrawal};
use sayso_tests::{Trouble, Verdict, World};
use serde_json::{Value, json};

use crate::asking::{ARGUMENTS, AT_ONCE, MCP, ask, ask_for, decide, line};

fn message(content: &Value) -> Value {
    let result = json!({"content": [], "isError": false, "structuredContent": content});
    json!({"jsonrpc": "2.0", "id": 1, "result": result})
}

fn but(message: &Value, member: &str, value: Value) -> Value {
    let mut message = message.clone();
    message[member] = value;
    message
}

#[tokio::test]
async fn what_is_no_answer_of_sayso_is_not_understood() {
    let world = World::new().await;
    let (front, approvals) = line(&world).await;
    let id = ask(&approvals).await.id;
    let content = json!({"approval_id": id.to_string(), "status": "expired", "next": "",
        "closes_at": world.clock.now().to_string(), "approver": "a", "status_url": format!("https://a/{id}")});
    let right = message(&content);
    let result = |result: Value| but(&right, "result", result).to_string();
    let error = json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "no"}});
    let elsewhere = Some(("location", world.host.mcp_url.clone()));
    let rows = [
        (200, None, but(&right, "id", json!(2)).to_string()),
        (200, None, but(&right, "jsonrpc", json!("1.0")).to_string()),
        (200, None, result(json!({"isError": false}))),
        (200, None, result(json!({"isError": "no", "structuredContent": content}))),
        (200, None, result(json!({"isError": true, "content": []}))),
        (200, None, message(&json!([id.to_string(), "expired"])).to_string()),
        (200, None, message(&but(&content, "approval_id", json!("1"))).to_string()),
        (200, None, right.to_string().replacen('{', r#"{"id":1,"#, 1)),
        (200, None, error.to_string()),
        (200, None, format!("data: {right}\n\n")),
        (200, None, "<html>Welcome</html>".to_owned()),
        (200, None, String::new()),
        (200, None, " ".repeat(1 << 20)),
        (202, None, right.to_string()),
        (302, elsewhere.clone(), String::new()),
        (307, elsewhere, String::new()),
        (403, None, right.to_string()),
        (404, None, r#"{"error":"not_found"}"#.to_owned()),
    ];
    front.take_requests();
    for (status, header, body) in rows {
        let shown = body.chars().take(100).collect::<String>();
        let not_understood = ApprovalError::NotUnderstood { status };
        (0..3).for_each(|_| front.trouble(MCP, Trouble::Answer(status, header.clone(), body.clone())));
        assert_eq!(approvals.check(id, AT_ONCE).await, Err(not_understood.clone()), "{status} {shown}");
        assert_eq!(approvals.withdraw(id).await, Err(not_understood.clone()), "{status} {shown}");
        let asked = ask_for(&approvals, "production", ARGUMENTS).await;
        assert_eq!(asked, Err(not_understood), "{status} {shown}");
        assert_eq!(front.take_requests(), [MCP; 3], "once each: {status} {shown}");
    }
    // From the same hand, the right one would do: it is what was wrong with the others that was refused.
    (0..3).for_each(|_| front.trouble(MCP, Trouble::Answer(200, None, right.to_string())));
    assert_eq!(approvals.check(id, AT_ONCE).await, Ok(ApprovalStatus::Expired));
    assert_eq!(approvals.withdraw(id).await, Ok(Withdrawal::Expired));
    assert_eq!(ask(&approvals).await.id, id);
}

#[tokio::test]
async fn what_is_said_of_another_approval_or_said_badly_is_not_understood() {
    let world = World::new().await;
    let (front, approvals) = line(&world).await;
    let id = ask(&approvals).await.id;
    let now = world.clock.now().to_string();
    let approved = json!({"approval_id": id.to_string(), "status": "approved", "next": "Go.", "decided_at": now,
        "approval_token": "a.b.c", "token_expires_at": now, "note": "Yes."});
    let pending =
        json!({"approval_id": id.to_string(), "status": "pending", "mail_sent": true, "closes_at": now});
    let requested =
        but(&but(&pending, "approver", json!("a")), "status_url", json!(format!("https://a/{id}")));
    let not_understood = ApprovalError::NotUnderstood { status: 200 };
    let another = || json!("01JD3V8Q5Z7XW2N4M6K8P0R1ST");
    let answer =
        |content: &Value| front.trouble(MCP, Trouble::Answer(200, None, message(content).to_string()));
    for (content, member, value) in [
        (&pending, "approval_id", another()),
        (&pending, "status", json!("not a word")),
        (&pending, "status", json!("p".repeat(65))),
        (&pending, "closes_at", json!("soon")),
        (&approved, "approval_token", json!(null)),
        (&approved, "token_expires_at", json!(1)),
        (&approved, "decided_at", json!(null)),
        (&approved, "note", json!(["yes"])),
        (&approved, "note", json!("n".repeat(1001))),
        (&approved, "status", json!("denied, or approved")),
    ] {
        answer(&but(content, member, value));
        assert_eq!(approvals.check(id, AT_ONCE).await, Err(not_understood.clone()), "{member}");
    }
    for (member, value) in [
        ("approval_id", another()),
        ("status", json!(null)),
        ("closes_at", json!("soon")),
        ("status_url", json!(format!("javascript:/{id}"))),
        ("approver", json!("a\nb")),
        ("approver", json!("a".repeat(1000))),
        // What the human reads, in part or badly.
        ("summary", json!("Drop it")),
        ("reason", json!("Nothing reads it.")),
        ("created_at", json!(now)),
    ] {
        answer(&but(&requested, member, value));
        let asked = ask_for(&approvals, "production", ARGUMENTS).await;
        assert_eq!(asked.err(), Some(not_understood.clone()), "{member}");
    }
    for (member, value) in [("approval_id", another()), ("status", json!("pending"))] {
        answer(&but(&approved, member, value));
        assert_eq!(approvals.withdraw(id).await, Err(not_understood.clone()), "{member}");
    }
    answer(&but(&pending, "a_later_member", json!(1)));
    assert!(matches!(approvals.check(id, AT_ONCE).await, Ok(ApprovalStatus::Pending { .. })));
    answer(&approved);
    assert!(matches!(approvals.check(id, AT_ONCE).await, Ok(ApprovalStatus::Approved { note: Some(_), .. })));
    answer(&requested);
    assert_eq!(ask(&approvals).await.id, id);
    answer(&approved);
    assert_eq!(approvals.withdraw(id).await, Ok(Withdrawal::Approved));
}

/// A deployment is upgraded before its gates: what a gate does not know yet it names, and nothing is redeemed by then.
#[tokio::test]
async fn a_status_or_a_cause_of_a_later_version_is_refused_by_its_name() {
    let world = World::new().await;
    let (front, approvals) = line(&world).await;
    let id = ask(&approvals).await.id;
    let now = world.clock.now().to_string();
    let later = json!({"approval_id": id.to_string(), "status": "escalated", "closes_at": now, "next": "",
        "approver": "a", "status_url": format!("https://a/{id}")});
    let undeliverable = json!({"approval_id": id.to_string(), "status": "undeliverable", "closes_at": now,
        "mail_sent": false, "cause": "delivery_delay"});
    let unsupported = |member, value: &str| ApprovalError::Unsupported { member, value: value.to_owned() };
    let answer =
        |content: &Value| front.trouble(MCP, Trouble::Answer(200, None, message(content).to_string()));
    (0..3).for_each(|_| answer(&later));
    let refused = unsupported("status", "escalated");
    assert!(refused.to_string().contains("`escalated`") && refused.to_string().contains("Upgrade the gate"));
    assert_eq!(approvals.check(id, AT_ONCE).await, Err(refused.clone()));
    assert_eq!(approvals.withdraw(id).await, Err(refused.clone()));
    assert_eq!(ask_for(&approvals, "production", ARGUMENTS).await, Err(refused));
    answer(&undeliverable);
    assert_eq!(approvals.check(id, AT_ONCE).await, Err(unsupported("cause", "delivery_delay")));
    // The approval is where it was, for a gate that knows more.
    decide(&world, id, Verdict::Approve, "").await;
    assert!(matches!(approvals.check(id, AT_ONCE).await, Ok(ApprovalStatus::Approved { .. })));
}
