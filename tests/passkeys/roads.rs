//! The roads of an approver, in a real browser with an authenticator: from the operator's invitation to the approved call.

use sayso_model::passkey::RequiredProof;
use sayso_model::token::ApprovalToken;
use sayso_tests::{Chromium, DESKTOP, Device, PHONE, Program, World, action, asking, binary};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::setting::{APPROVER, Deployment};

/// An authenticator in the device itself, whose user puts a finger on it whenever it asks.
async fn with_a_finger(browser: &Chromium) -> String {
    browser.command("WebAuthn.enable", json!({})).await;
    let options = json!({
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": true, "hasUserVerification": true,
        "isUserVerified": true, "automaticPresenceSimulation": true,
    });
    let added = browser.command("WebAuthn.addVirtualAuthenticator", json!({"options": options})).await;
    added["authenticatorId"].as_str().expect("an authenticator").to_owned()
}

/// Runs `sayso --local=PORT --json`.
async fn sayso(world: &World, arguments: &[&str]) -> Value {
    let address = world.host.mcp_url.trim_start_matches("http://127.0.0.1:").trim_end_matches("/mcp");
    let mut command = Command::new(binary("sayso").await);
    command
        .arg(format!("--local={address}"))
        .arg("--json")
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/bin:/bin");
    let mut program = Program::start(command);
    let status = program.exit().await;
    assert!(status.success(), "{arguments:?}: {}", program.output());
    serde_json::from_str(&program.printed()).expect("JSON")
}

async fn text(browser: &Chromium) -> String {
    browser.run("return document.body.innerText", json!([])).await.as_str().unwrap_or_default().to_owned()
}

async fn click(browser: &Chromium, css: &str) {
    browser.run("document.querySelector(arguments[0]).click()", json!([css])).await;
}

/// Enrols as a person does: by the mailed link and the code that the operator told.
async fn enrol(browser: &Chromium, deployment: &Deployment) {
    let invited = sayso(&deployment.world, &["approver", "invite", APPROVER]).await;
    let mail = deployment.world.mails().pop().expect("a mail");
    let text_part = mail.text.expect("a text");
    let code = invited["code"].as_str().expect("a code");
    assert!(!text_part.contains(code), "the code never travels by mail");
    let link = text_part.lines().find(|line| line.starts_with("http")).expect("a link").to_owned();
    browser.open(&link).await;
    browser.wait_for("[data-part=use]:not([hidden])").await;
    let fill = "document.getElementById('code').value = arguments[0];
                document.getElementById('name').value = 'Alex’s phone';";
    browser.run(fill, json!([code.to_lowercase()])).await;
    click(browser, "[data-part=use]").await;
    browser.wait_for(".middle").await;
    let told = text(browser).await;
    assert!(told.contains("Your passkey is enrolled") && told.contains("Alex’s phone"), "{told}");
}

async fn from_invitation_to_approved_call(device: Device) {
    let deployment = Deployment::live().await;
    let browser = Chromium::start().await;
    browser.look_with(device).await;
    let authenticator = with_a_finger(&browser).await;
    enrol(&browser, &deployment).await;
    let listed = sayso(&deployment.world, &["approver", "passkeys", APPROVER]).await;
    assert_eq!((&listed["passkeys"][0]["name"], &listed["unsigned"]), (&json!("Alex’s phone"), &json!(0)));

    let id = deployment.agent.ask("orders").await.field("approval_id").to_owned();
    browser.open(&deployment.world.link(&id).0).await;
    browser.wait_for("[data-part=use]:not([hidden])").await;
    without_unlocking(&browser, &authenticator, &deployment, &id).await;
    click(&browser, "[data-part=use]").await;
    browser.wait_for(".state.approved").await;
    let told = text(&browser).await;
    assert!(told.contains("You approved drop_table") && told.contains("passkey"), "{told}");
    assert_eq!(browser.console().await, Vec::<String>::new());
    is_approved_by(&deployment, &id, &listed["passkeys"][0]["passkey"]).await;
}

/// A user who does not unlock it: nothing is sent, and the page says so.
async fn without_unlocking(browser: &Chromium, authenticator: &str, deployment: &Deployment, id: &str) {
    let unlock = |is_user_verified: bool| {
        let parameters = json!({"authenticatorId": authenticator, "isUserVerified": is_user_verified});
        browser.command("WebAuthn.setUserVerified", parameters)
    };
    unlock(false).await;
    click(browser, "[data-part=use]").await;
    browser.wait_for("[data-part=message]:not([hidden])").await;
    assert!(text(browser).await.contains("Nothing was decided"), "{}", text(browser).await);
    assert_eq!(deployment.status(id).await, "pending");
    unlock(true).await;
}

/// The agent is told, a gate that demands it takes it, and the operator sees which passkey it was.
async fn is_approved_by(deployment: &Deployment, id: &str, passkey: &Value) {
    let Deployment { world, agent } = deployment;
    let approved = agent.check(id).await;
    assert_eq!((approved.field("status"), approved.field("proven_by")), ("approved", "passkey"));
    let token = ApprovalToken::from_text(approved.field("approval_token"));
    let arguments = asking("orders")["arguments"].to_string();
    let gate = world.gate("gate").require(RequiredProof::Passkey);
    let permit = gate.permit(&token, action(&arguments), world.clock.now()).await;
    assert_eq!(permit.expect("a permit").receipt().proven_by.as_str(), "passkey");
    let shown = sayso(world, &["approvals", "show", id]).await;
    assert_eq!(shown["passkey"], *passkey, "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_phone_from_the_invitation_to_the_approved_call() {
    from_invitation_to_approved_call(PHONE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_desktop_from_the_invitation_to_the_approved_call() {
    from_invitation_to_approved_call(DESKTOP).await;
}

/// A mail app's own browser may have the API and no authenticator, or not even scripts.
#[tokio::test(flavor = "multi_thread")]
async fn a_browser_without_passkeys_offers_another_and_denies_all_the_same() {
    let deployment = Deployment::new().await;
    let id = deployment.agent.ask("orders").await.field("approval_id").to_owned();
    let link = deployment.world.link(&id).0;
    let browser = Chromium::start().await;
    browser.look_with(PHONE).await;
    browser.open(&link).await;
    browser.wait_for("[data-part=elsewhere]:not([hidden])").await;
    let offered = browser.run("return document.querySelector('[data-part=link]').value", json!([])).await;
    assert_eq!(offered, json!(link));
    // Without scripts it says so, and denying works.
    browser.command("Emulation.setScriptExecutionDisabled", json!({"value": true})).await;
    browser.open(&link).await;
    browser.wait_for("noscript .banner").await;
    let page = deployment.world.browser().open(&link).await;
    browser
        .client()
        .find(fantoccini::Locator::Css("#code"))
        .await
        .expect("the field")
        .send_keys(&page.code())
        .await
        .expect("typed");
    browser
        .client()
        .find(fantoccini::Locator::Css("button[value=deny]"))
        .await
        .expect("the button")
        .click()
        .await
        .expect("a click");
    browser.wait_for(".state.denied").await;
    assert_eq!(deployment.status(&id).await, "denied");
}
