//! The policies against the code: what each function's process calls in a whole life of approvals is what its role and the
//! keys' policies allow it, no less and no more.

use sayso_local::outbox::Fate;
use sayso_tests::{Fault, Permission, Template};
use serde_json::{Value, json};

use crate::deployment::{Deployment, FUNCTIONS, decide, digest, read_page, redeem};

#[tokio::test(flavor = "multi_thread")]
async fn each_function_is_permitted_exactly_what_it_calls() {
    let deployment = Deployment::start().await;
    a_mail_fails_and_a_retry_sends_it(&deployment).await;
    approved_and_redeemed(&deployment).await;
    denied_and_withdrawn(&deployment).await;
    a_mail_comes_back(&deployment).await;

    let template = Template::read();
    for ((function, ..), tap) in FUNCTIONS.iter().zip(&deployment.taps) {
        let mut granted = template.role(function);
        let keys = template.key_policy("SigningKey", &format!("{function}Role.Arn"));
        granted.extend(keys);
        let called = tap.permissions();
        let lacking: Vec<&Permission> = called.difference(&granted).collect();
        assert!(lacking.is_empty(), "{function} calls what its policy does not allow: {lacking:?}");
        let idle: Vec<&Permission> = granted.difference(&called).collect();
        assert!(idle.is_empty(), "{function} is allowed what it never calls: {idle:?}");
    }
}

fn action(volume: &str) -> Value {
    json!({"tool": "delete_volume", "arguments": {"volume": volume}, "summary": "Delete it"})
}

async fn ask(deployment: &Deployment, asked: Value) -> String {
    let answer = deployment.tool("request_approval", asked).await;
    answer["approval_id"].as_str().expect("an id").to_owned()
}

async fn a_mail_fails_and_a_retry_sends_it(deployment: &Deployment) {
    deployment.taps[0].break_next("SendEmail", Fault::Refuse(400, "MessageRejected"));
    let id = ask(deployment, action("retried")).await;
    assert!(deployment.backends.outbox.mails().expect("the outbox").is_empty());
    assert_eq!(ask(deployment, action("retried")).await, id);
    assert_eq!(deployment.backends.outbox.mails().expect("the outbox").len(), 1);
}

async fn a_mail_comes_back(deployment: &Deployment) {
    let id = ask(deployment, action("undeliverable")).await;
    let mail = deployment.backends.outbox.mails().expect("the outbox").pop().expect("a mail");
    for _ in 0..2 {
        deployment.feedback.invoke(mail.event(Fate::Bounce, 2)).await.expect("a record");
    }
    let told = deployment.tool("check_approval", json!({"approval_id": id, "wait_seconds": 0})).await;
    assert_eq!(told["status"], "undeliverable");
}

async fn approved_and_redeemed(deployment: &Deployment) {
    let mut asked = action("approved");
    asked["idempotency_key"] = json!("once-and-only-once");
    let id = ask(deployment, asked.clone()).await;
    assert_eq!(ask(deployment, asked).await, id);
    let page = read_page(deployment).await;
    deployment.forget_calls();
    let (waited, decided) = tokio::join!(
        deployment.tool("check_approval", json!({"approval_id": id, "wait_seconds": 30})),
        async {
            deployment.waiting().await;
            decide(deployment, &page, "approve").await
        }
    );
    assert_eq!((decided.status, waited["status"].as_str()), (200, Some("approved")));
    let token = waited["approval_token"].as_str().expect("a token");
    let digest = digest("approved");
    for (nonce, status) in [("0123456789abcdef", 200), ("another-attempt-1", 409)] {
        assert_eq!(redeem(deployment, token, &digest, nonce).await.status, status);
    }
}

async fn denied_and_withdrawn(deployment: &Deployment) {
    let earlier = ask(deployment, action("changed")).await;
    let mut asked = action("denied");
    asked["earlier_approval_id"] = json!(earlier);
    ask(deployment, asked).await;
    let page = read_page(deployment).await;
    assert_eq!(decide(deployment, &page, "deny").await.status, 200);
    let id = ask(deployment, action("withdrawn")).await;
    let withdrawn = deployment.tool("withdraw_approval", json!({"approval_id": id})).await;
    assert_eq!(withdrawn["status"], "withdrawn");
}
