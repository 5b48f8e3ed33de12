use sayso_cloud::Clock;
use sayso_model::token::{ApprovalToken, Expectations, Issuer, Jwks, verify};
use sayso_model::{Action, Audience, CanonicalJson, ToolName};
use sayso_tests::{Call, Page};
use serde_json::{Value, json};

use crate::deployment::{Deployment, domain, structured};

const ARGUMENTS: &str = r#"{"volume": "vol-0a41f7c2", "with_backups": true}"#;

#[tokio::test(flavor = "multi_thread")]
async fn each_functions_binary_answers_function_url_events_through_the_runtime_api() {
    let deployment = Deployment::start().await;
    lists_what_it_can_do(&deployment).await;
    let id = asks(&deployment).await;

    let pending = deployment.tool("check_approval", json!({"approval_id": id, "wait_seconds": 0})).await;
    assert_eq!(pending["status"], "pending");

    let page = reads(&deployment, &id).await;
    // The agent's function waits in its execution environment, the decision comes in another.
    deployment.forget_calls();
    let (waited, decided) = tokio::join!(waits(&deployment, &id), async {
        deployment.waiting().await;
        decides(&deployment, &page).await
    });
    assert!(decided.contains("approved"), "{decided}");
    assert_eq!(
        (waited["status"].as_str(), waited["note"].as_str()),
        (Some("approved"), Some("Go – but only this one"))
    );

    let approved = deployment.tool("check_approval", json!({"approval_id": id})).await;
    assert_eq!(approved, waited);
    permits(&deployment, approved["approval_token"].as_str().expect("a token"), &id).await;
    says_nothing_secret(&deployment, &page, &approved).await;
}

async fn lists_what_it_can_do(deployment: &Deployment) {
    let discovered = deployment.mcp.call(deployment.rpc("server/discover", json!({}))).await;
    assert_eq!(discovered.status, 200, "{}", discovered.body);
    assert_eq!(discovered.header("content-type"), "application/json");
    assert!(discovered.json()["result"]["capabilities"]["tools"].is_object(), "{}", discovered.body);

    let listed = deployment.mcp.call(deployment.rpc("tools/list", json!({}))).await.json();
    let tools = listed["result"]["tools"].as_array().expect("tools");
    let names: Vec<_> = tools.iter().filter_map(|tool| tool["name"].as_str()).collect();
    assert_eq!(names, ["request_approval", "check_approval", "withdraw_approval"]);
}

async fn asks(deployment: &Deployment) -> String {
    let arguments: Value = serde_json::from_str(ARGUMENTS).expect("JSON");
    let asked = json!({"tool": "delete_volume", "arguments": arguments, "summary": "Delete it – für immer"});
    let call = deployment.rpc("tools/call", json!({"name": "request_approval", "arguments": asked}));
    // The same request twice, as text and in Base64: one approval, one mail.
    let first = structured(&deployment.mcp.call(call.clone()).await.json());
    let again = structured(&deployment.mcp.call(call.in_base64()).await.json());
    assert_eq!(first, again);
    assert_eq!(deployment.backends.outbox.mails().expect("the outbox").len(), 1);
    let id = first["approval_id"].as_str().expect("an id").to_owned();
    assert_eq!(first["status_url"], format!("https://{}/{id}", domain("Page")));

    let status = deployment.open(first["status_url"].as_str().expect("a link")).await;
    assert_eq!((status.status, status.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(status.body.contains("Waiting for a decision"), "{}", status.body);
    id
}

async fn reads(deployment: &Deployment, id: &str) -> Page {
    let link = deployment.mailed_link();
    assert!(link.starts_with(&format!("https://{}/{id}/", domain("Page"))));
    let path = link.strip_prefix(&format!("https://{}", domain("Page"))).expect("a path");
    // Cookies and a query that some mail client added change nothing.
    let call = Call::new("GET", &format!("{path}?utm_source=mail&a=%2F")).header("cookie", "a=1; b=2");
    let page = deployment.page.call(call).await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains(&format!("form-action https://{} https://{};", domain("Decide"), domain("Enrol"))),
        "{policy}"
    );
    assert!(page.body.contains("für immer"), "{}", page.body);

    let head = deployment.page.call(Call::new("HEAD", path)).await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    page.page(&link)
}

async fn decides(deployment: &Deployment, page: &Page) -> String {
    let form = page.form();
    assert!(form.action.starts_with(&format!("https://{}/", domain("Decide"))), "{}", form.action);
    let path = form.action.strip_prefix(&format!("https://{}", domain("Decide"))).expect("a path");
    let (secret, code) = (&form.fields["secret"], page.code());
    let body = format!("secret={secret}&code={code}&note=Go+%E2%80%93+but+only+this+one&verdict=approve");
    let call = Call::new("POST", path).header("origin", "null");
    // A Function URL hands on a form in Base64.
    let reply =
        deployment.decide.call(call.body("application/x-www-form-urlencoded", &body).in_base64()).await;
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, "text/html; charset=utf-8"),
        "{}",
        reply.body
    );
    reply.page(&form.action).text().to_lowercase()
}

/// Waits with a progress token: the answer is a stream of events, which a Function URL hands on when it is complete.
async fn waits(deployment: &Deployment, id: &str) -> Value {
    let arguments = json!({"approval_id": id, "wait_seconds": 30});
    let params = json!({"name": "check_approval", "arguments": arguments, "_meta": {"progressToken": "p-1"}});
    let reply = deployment.mcp.call(deployment.rpc("tools/call", params)).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "text/event-stream"), "{}", reply.body);
    let data = reply.body.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim);
    let messages: Vec<Value> =
        data.filter(|data| !data.is_empty()).map(|data| serde_json::from_str(data).expect("JSON")).collect();
    let (last, before) = messages.split_last().expect("messages");
    assert!(!before.is_empty(), "no progress in {}", reply.body);
    for message in before {
        assert_eq!(message["method"], "notifications/progress", "{message}");
        assert_eq!(message["params"]["progressToken"], "p-1", "{message}");
    }
    structured(last)
}

async fn permits(deployment: &Deployment, token: &str, id: &str) {
    let issuer = format!("https://{}", domain("Redeem"));
    let published = deployment.open(&format!("{issuer}/.well-known/jwks.json")).await;
    assert_eq!((published.status, published.header("content-type")), (200, "application/json"));
    assert_eq!(published.header("cache-control"), "public, max-age=300");
    let keys: Jwks = serde_json::from_str(&published.body).expect("a key set");
    let expectations = Expectations {
        issuer: Issuer::parse(&issuer).expect("an issuer"),
        audience: Audience::parse("production").expect("an audience"),
    };
    let action = Action {
        tool: ToolName::parse("delete_volume").expect("a name"),
        arguments: CanonicalJson::parse(ARGUMENTS).expect("arguments"),
    };
    let token = ApprovalToken::from_text(token);
    let verified = verify(&token, &keys, &expectations, &action, Clock::system().now()).expect("permission");
    assert_eq!(verified.id.to_string(), id);
    redeems(deployment, &token, &action, id).await;
}

/// The issuer that `redeem` accepts is its own host, as the event names it.
async fn redeems(deployment: &Deployment, token: &ApprovalToken, action: &Action, id: &str) {
    let body = |nonce: &str| {
        let digest = action.digest().to_string();
        json!({"token": token.expose(), "digest": digest, "audience": "production", "gate": "volumes", "nonce": nonce})
    };
    let post = |nonce| {
        let call = Call::new("POST", "/redeem").body("application/json", &body(nonce).to_string());
        deployment.redeem.call(call)
    };
    let receipt = post("0123456789abcdef").await;
    assert_eq!((receipt.status, receipt.header("content-type")), (200, "application/json"));
    assert_eq!(receipt.header("cache-control"), "no-store");
    let told = receipt.json();
    assert_eq!(
        (&told["approval_id"], &told["gate"], &told["tool"]),
        (&json!(id), &json!("volumes"), &json!("delete_volume"))
    );
    assert_eq!(post("0123456789abcdef").await.json(), told);
    let again = post("another-attempt-1").await;
    assert_eq!((again.status, again.header("content-type")), (409, "application/problem+json"));
    assert_eq!(again.json()["redeemed_at"], told["redeemed_at"]);
}

/// What Lambda would put into CloudWatch.
async fn says_nothing_secret(deployment: &Deployment, page: &Page, approved: &Value) {
    let form = page.form();
    let token = approved["approval_token"].as_str().expect("a token");
    let never =
        [&form.fields["secret"], &page.code(), deployment.agent_key.expose(), token, "alex@example.com"];
    deployment.decide.log_with("an answer came").await;
    let functions = [&deployment.mcp, &deployment.page, &deployment.decide, &deployment.redeem];
    for log in functions.map(|function| function.log()) {
        for secret in never {
            assert!(!log.contains(secret), "{secret} stands in the log:\n{log}");
        }
        for line in log.lines() {
            assert!(serde_json::from_str::<Value>(line).is_ok(), "not a line of JSON: {line}");
        }
    }
}
