//! SES's reports, as EventBridge hands them to the function's binary.

use sayso_local::outbox::Fate;
use sayso_tests::{Fault, Row, Template};
use serde_json::json;

use crate::deployment::Deployment;

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_cannot_be_written_comes_again_and_one_that_is_not_understood_does_not() {
    let deployment = Deployment::start().await;
    let asked = json!({"tool": "t", "arguments": {}, "summary": "s"});
    let asked = deployment.tool("request_approval", asked).await;
    let id = asked["approval_id"].as_str().expect("an id");
    let mail = deployment.backends.outbox.mails().expect("the outbox").pop().expect("a mail");
    let status = async || {
        let check = json!({"approval_id": id, "wait_seconds": 0});
        deployment.tool("check_approval", check).await["status"].as_str().expect("a status").to_owned()
    };

    // An invocation that fails is one that Lambda repeats.
    let tap = &deployment.taps[4];
    tap.break_next("UpdateItem", Fault::Refuse(400, "AccessDeniedException"));
    let failed = deployment.feedback.invoke(mail.event(Fate::Bounce, 2)).await.expect_err("an error");
    assert!(failed.contains("dynamodb:UpdateItem failed: AccessDeniedException"), "{failed}");
    assert_eq!(status().await, "pending");
    // So is one whose write happened, and it changes nothing more.
    tap.break_next("UpdateItem", Fault::DoAndRefuse(400, "AccessDeniedException"));
    deployment.feedback.invoke(mail.event(Fate::Bounce, 2)).await.expect_err("an error");
    assert_eq!(status().await, "undeliverable");
    let written = row(&deployment, id).await;
    deployment.feedback.invoke(mail.event(Fate::Bounce, 2)).await.expect("a record");
    assert_eq!(row(&deployment, id).await, written);

    let strange = [json!({}), json!({"detail": "alex@example.com"}), mail.event(Fate::OutOfOffice, 2)];
    for event in strange {
        deployment.feedback.invoke(event).await.expect("nothing to be done");
    }
    assert_eq!(row(&deployment, id).await, written);
    deployment.feedback.log_with("a mail did not arrive").await;
    deployment.feedback.log_with("an event is not understood").await;
    // The last of them.
    let log = deployment.feedback.log_with("an event says nothing of an undelivered mail").await;
    assert!(log.contains(id) && !log.contains("example.com"), "{log}");
}

async fn row(deployment: &Deployment, id: &str) -> Row {
    deployment.table().row(&format!("UNDELIVERED#{id}")).await.expect("the row")
}

/// What the rule lets through is what the function reads, of this stack's mails alone.
#[test]
fn the_rule_passes_on_what_is_read() {
    let template = Template::read();
    let function = template.resource("Feedback").join("\n");
    for line in [
        "Type: EventBridgeRule",
        "source: [aws.ses]",
        "account: [!Ref AWS::AccountId]",
        "detail-type: [Email Bounced, Email Complaint Received, Email Rejected]",
        r#""ses:configuration-set": [!Ref MailConfiguration]"#,
    ] {
        assert!(function.contains(line), "{line}");
    }
    assert!(!function.contains("FunctionUrlConfig"), "nobody calls it from outside");
    let published = template.resource("MailEvents").join("\n");
    assert!(published.contains("MatchingEventTypes: [bounce, complaint, reject]"), "{published}");
    for tracked in ["open", "click"] {
        assert!(!published.to_lowercase().contains(tracked), "{tracked}: SES would rewrite the links");
    }
}
