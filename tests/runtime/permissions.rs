//! The policies against the code: what each function's process calls in a whole life of approvals is what its role and the
//! keys' policies allow it, no less and no more.

use sayso_cloud::operator::Registry;
use sayso_cloud::{Clock, Signer, random};
use sayso_local::outbox::Fate;
use sayso_model::passkey::{Invitation, RequiredProof};
use sayso_model::{AgentName, ApproverId, BaseUrl};
use sayso_tests::{Authenticator, Call, Ceremony, Fault, Permission, Template};
use serde_json::{Value, json};

use crate::deployment::{Deployment, FUNCTIONS, decide, digest, domain, read_page, redeem};

#[tokio::test(flavor = "multi_thread")]
async fn each_function_is_permitted_exactly_what_it_calls() {
    let deployment = Deployment::start().await;
    a_mail_fails_and_a_retry_sends_it(&deployment).await;
    approved_and_redeemed(&deployment).await;
    denied_and_withdrawn(&deployment).await;
    a_mail_comes_back(&deployment).await;
    enrolled_and_approved_by_passkey(&deployment).await;

    let template = Template::read();
    for ((function, ..), tap) in FUNCTIONS.iter().zip(&deployment.taps) {
        let mut granted = template.role(function);
        for key in ["SigningKey", "EnrolmentKey"] {
            granted.extend(template.key_policy(key, &format!("{function}Role.Arn")));
        }
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

/// With an authenticator that counts: one that does not leaves nothing to count.
async fn enrolled_and_approved_by_passkey(deployment: &Deployment) {
    let page_url = format!("https://{}", domain("Page"));
    let mut own = Authenticator::counting_from(1);
    let (invitation, code) = invitation(deployment, &page_url).await;
    let made = own.register(&Ceremony::create(&invitation, &page_url)).to_string();
    let form = format!("invitation={invitation}&code={code}&name=Phone&credential={}", encoded(&made));
    let call = Call::new("POST", "/").body("application/x-www-form-urlencoded", &form).in_base64();
    assert_eq!(deployment.enrol.call(call).await.status, 200);

    let registry = Registry::new(deployment.aws().dynamodb(), deployment.backends.table.clone());
    let agent = AgentName::parse("deploy-bot").expect("a name");
    registry.set_agent_proof(&agent, RequiredProof::Passkey).await.expect("set");
    let id = ask(deployment, action("by passkey")).await;
    let page = read_page(deployment).await;
    let challenge = page.html.split("data-challenge=\"").nth(1).expect("a challenge").split('"').next();
    let answer = own.answer(&Ceremony::get(challenge.expect("a challenge"), &page_url)).to_string();
    let form = page.form();
    let path = form.action.strip_prefix(&format!("https://{}", domain("Decide"))).expect("a path");
    let (secret, answer) = (&form.fields["secret"], encoded(&answer));
    let body = format!("secret={secret}&note=&verdict=approve&credential={answer}");
    let call = Call::new("POST", path).body("application/x-www-form-urlencoded", &body).in_base64();
    let decided = deployment.decide.call(call).await;
    assert_eq!(decided.status, 200);
    let told = deployment.tool("check_approval", json!({"approval_id": id, "wait_seconds": 0})).await;
    assert_eq!((&told["status"], &told["proven_by"]), (&json!("approved"), &json!("passkey")));
}

async fn invitation(deployment: &Deployment, page_url: &str) -> (String, String) {
    let key = deployment.backends.enrolment_key_arn.clone();
    let signer = Signer::connect(deployment.aws().kms(), key).await.expect("the key");
    let (approver, page) = (ApproverId::parse("approver-1"), BaseUrl::parse(page_url));
    let (code, id) = (random::invitation_code(), random::invitation_id());
    let now = Clock::system().now();
    let invitation = Invitation::new(id, approver.expect("an id"), page.expect("a page"), &code, now);
    let unsigned = invitation.to_sign(&signer.public_key().id());
    let signature = signer.sign(unsigned.digest()).await.expect("a signature");
    (unsigned.signed(&signature), code.expose())
}

/// Percent-encoded, for a form.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
