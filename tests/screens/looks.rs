use std::path::PathBuf;

use sayso_local::outbox::Fate;
use sayso_tests::{Chromium, DESKTOP, Device, PHONE, Scheme, Verdict, workspace};
use serde_json::{Value, json};

use crate::scenes::{Scene, awkward, volume};

const AUDIT: &str = include_str!("audit.js");
/// The narrowest that is still about.
const NARROW: Device = Device { name: "narrow-phone", width: 320, ..PHONE };

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_an_open_request() {
    let scene = Scene::new(volume()).await;
    let chromium = Chromium::start().await;
    look(&chromium, "deciding", &scene.link.0, &[]).await;
    look(&chromium, "status", &format!("{}/{}", scene.world.host.page_url, scene.id), &[]).await;
    scene.world.comes_back(&scene.id, Fate::Bounce).await;
    look(&chromium, "undeliverable", &format!("{}/{}", scene.world.host.page_url, scene.id), &[]).await;
    let unknown = format!("{}/nothing/here", scene.world.host.page_url);
    look(&chromium, "not-found", &unknown, &["the server responded with a status of 404"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_an_answered_request() {
    let scene = Scene::new(volume()).await;
    let approved = scene.decided(Verdict::Approve, "Fine, but tell the on-call engineer first.").await;
    let denied = scene.decided(Verdict::Deny, "Not during the sale.").await;
    let chromium = Chromium::start().await;
    look(&chromium, "approved", &approved, &[]).await;
    look(&chromium, "denied", &denied, &[]).await;
}

/// Where approving takes a passkey: with one at hand, in a browser that has none, and the page that makes one.
#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_a_passkey() {
    let scene = Scene::new(volume()).await;
    scene.takes_a_passkey().await;
    let chromium = Chromium::start().await;
    look(&chromium, "no-passkey", &scene.link.0, &[]).await;
    let options = json!({
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": true, "hasUserVerification": true,
        "isUserVerified": true,
    });
    chromium.command("WebAuthn.enable", json!({})).await;
    chromium.command("WebAuthn.addVirtualAuthenticator", json!({"options": options})).await;
    look(&chromium, "passkey", &scene.link.0, &[]).await;
    let token = scene.world.invite("approver-deploy-bot").await.token;
    // From another page: a change of the fragment alone loads nothing.
    look(&chromium, "enrolment", &format!("{}/passkey#{token}", scene.world.host.page_url), &[]).await;
    chromium.open(&scene.link.0).await;
    chromium.run("document.querySelector('[value=deny]').click()", json!([])).await;
    chromium.wait_for("#code-error").await;
    let expected = ["the server responded with a status of 422"];
    assert_eq!(look_at(&chromium, "passkey-elsewhere", &expected).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_hard_to_show() {
    let scene = Scene::new(awkward()).await;
    let chromium = Chromium::start().await;
    look(&chromium, "awkward", &scene.link.0, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_form_with_something_to_change() {
    let scene = Scene::new(volume()).await;
    let chromium = Chromium::start().await;
    chromium.look_with(PHONE).await;
    chromium.open(&scene.link.0).await;
    chromium
        .run(
            "document.querySelector('#note').value = 'Go'; document.querySelector('[value=approve]').click()",
            json!([]),
        )
        .await;
    chromium.wait_for("#code-error").await;
    let expected = ["the server responded with a status of 422"];
    assert_eq!(look_at(&chromium, "to-change", &expected).await, [""; 0]);
    let focused = chromium.run("return document.activeElement.id", json!([])).await;
    assert_eq!(focused, "code", "what has to change has the focus");
    assert_eq!(chromium.run("return document.querySelector('#note').value", json!([])).await, "Go");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outbox_and_the_mail() {
    let chromium = Chromium::start().await;
    let ordinary = Scene::new(volume()).await;
    ordinary.decided(Verdict::Deny, "").await;
    look_into_outbox(&chromium, "outbox", &ordinary).await;
    look_into_outbox(&chromium, "outbox-awkward", &Scene::new(awkward()).await).await;
}

/// The newest mail stands open; the audit looks into it as a document of its own.
async fn look_into_outbox(chromium: &Chromium, name: &str, scene: &Scene) {
    chromium.look_with(PHONE).await;
    chromium.open(&scene.world.host.outbox_url).await;
    let mut problems = look_at(chromium, name, &[]).await;
    for scheme in [Scheme::Light, Scheme::Dark] {
        chromium.prefer(scheme).await;
        for device in [NARROW, PHONE, DESKTOP] {
            chromium.look_with(device).await;
            chromium.client().enter_frame(0).await.expect("the mail");
            problems.extend(audit(chromium, "mail", device, scheme).await);
            chromium.client().enter_parent_frame().await.expect("the outbox");
        }
    }
    assert_eq!(problems, [""; 0]);
}

/// Opens a page and looks at it with everything. `expected` is what its console may say.
async fn look(chromium: &Chromium, name: &str, url: &str, expected: &[&str]) {
    chromium.look_with(PHONE).await;
    chromium.open(url).await;
    assert_eq!(look_at(chromium, name, expected).await, [""; 0]);
}

/// Looks at the page that is open; gives all that is wrong with it.
async fn look_at(chromium: &Chromium, name: &str, expected: &[&str]) -> Vec<String> {
    let mut problems = Vec::new();
    for scheme in [Scheme::Light, Scheme::Dark] {
        chromium.prefer(scheme).await;
        for device in [PHONE, DESKTOP] {
            chromium.look_with(device).await;
            problems.extend(audit(chromium, name, device, scheme).await);
            // A page is the same in both colours, and axe-core takes its time.
            if matches!((device.is_phone, scheme), (true, Scheme::Light) | (false, Scheme::Dark)) {
                problems.extend(named(&barriers(chromium).await, name, device, scheme));
            }
            let picture = chromium.picture().await;
            assert!(picture.len() > 8 * 1024, "{name} is blank: {} bytes", picture.len());
            std::fs::write(file(name, device, scheme), picture).expect("a file");
        }
        chromium.look_with(NARROW).await;
        problems.extend(audit(chromium, name, NARROW, scheme).await);
    }
    let is_known = |said: &String| expected.iter().any(|known| said.contains(known));
    problems.extend(chromium.console().await.into_iter().filter(|said| !is_known(said)));
    problems
}

async fn audit(chromium: &Chromium, name: &str, device: Device, scheme: Scheme) -> Vec<String> {
    named(&chromium.run(AUDIT, json!([device.is_phone])).await, name, device, scheme)
}

fn named(found: &Value, name: &str, device: Device, scheme: Scheme) -> Vec<String> {
    let found = found.as_array().expect("a list").iter().filter_map(Value::as_str);
    found.map(|problem| format!("{name}, {} px, {}: {problem}", device.width, scheme.name())).collect()
}

/// What axe-core finds by the success criteria of WCAG 2.2, levels A and AA, and by its own best practices.
async fn barriers(chromium: &Chromium) -> Value {
    let path = workspace().join("target/node/node_modules/axe-core/axe.min.js");
    let axe = std::fs::read_to_string(&path);
    let axe = axe.unwrap_or_else(|_| panic!("{} is missing: tests/run installs it", path.display()));
    chromium.run(&axe, json!([])).await;
    chromium
        .run_until_done(
            "const done = arguments[0];
             axe.run(document, { iframes: false }).then(({ violations }) => done(violations.flatMap(({ id, help, nodes }) =>
               nodes.map(({ target }) => `${id}: ${help} (${target})`))));",
        )
        .await
}

fn file(name: &str, device: Device, scheme: Scheme) -> PathBuf {
    let folder = workspace().join("target/screenshots");
    std::fs::create_dir_all(&folder).expect("a folder");
    folder.join(format!("{name}-{}-{}.png", device.name, scheme.name()))
}
