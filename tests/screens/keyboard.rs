use sayso_tests::{Chromium, DESKTOP};
use serde_json::{Value, json};

use crate::scenes::{Scene, volume};

const TAB: char = '\u{e004}';
const ENTER: char = '\u{e007}';
const SPACE: char = ' ';

/// What has the focus, and whether a person sees that it has.
const FOCUS: &str = "const focused = document.activeElement;
    const style = getComputedStyle(focused);
    const box = focused.getBoundingClientRect();
    return {
        name: focused.name || focused.tagName,
        value: focused.value || '',
        seen: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2
            && box.top >= 0 && box.bottom <= innerHeight,
    }";

#[tokio::test(flavor = "multi_thread")]
async fn an_approver_approves_with_the_keyboard_alone() {
    let decided = decide(["approve", "Go – but only this one"], 1, ENTER).await;
    assert_eq!(
        (decided["status"].as_str(), decided["note"].as_str()),
        (Some("approved"), Some("Go – but only this one"))
    );
    assert!(decided["approval_token"].is_string(), "{decided}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approver_denies_with_the_keyboard_alone() {
    let decided = decide(["deny", "No"], 2, SPACE).await;
    assert_eq!((decided["status"].as_str(), decided["note"].as_str()), (Some("denied"), Some("No")));
    assert!(decided["approval_token"].is_null(), "{decided}");
}

/// From the link in the mail to the outcome; gives what the agent is told, which waits all the while.
async fn decide([verdict, note]: [&str; 2], tabs: usize, press: char) -> Value {
    let scene = Scene::new(volume()).await;
    let waiting = wait(&scene).await;
    let chromium = Chromium::start().await;
    chromium.look_with(DESKTOP).await;
    chromium.open(&scene.link.0).await;
    let code = scene.world.browser().open(&scene.link.0).await.code();

    tab_to(&chromium, "code").await;
    chromium.type_text(&code).await;
    enter_decides_nothing(&chromium, &scene).await;
    tab_to(&chromium, "note").await;
    chromium.type_text(note).await;
    assert_eq!(chromium.run(FOCUS, json!([])).await["value"], note);
    for _ in 0..tabs {
        tab_to(&chromium, "verdict").await;
    }
    assert_eq!(chromium.run(FOCUS, json!([])).await["value"], verdict);
    chromium.press(press).await;
    chromium.wait_for(".state.approved, .state.denied").await;
    assert!(
        chromium.url().await.starts_with(&scene.world.host.decide_url),
        "the answer is on the page that took it"
    );
    assert_eq!(chromium.console().await, [""; 0]);
    scene.world.pass_until_done(waiting).await
}

async fn wait(scene: &Scene) -> tokio::task::JoinHandle<Value> {
    let agent = scene.world.agent().await;
    let arguments = json!({"approval_id": scene.id, "wait_seconds": 50});
    tokio::spawn(async move { agent.call("check_approval", arguments).await.structured })
}

async fn tab_to(chromium: &Chromium, name: &str) {
    chromium.press(TAB).await;
    let focus = chromium.run(FOCUS, json!([])).await;
    assert_eq!(focus["name"], name, "{focus}");
    assert_eq!(focus["seen"], true, "the focus is not seen: {focus}");
}

async fn enter_decides_nothing(chromium: &Chromium, scene: &Scene) {
    chromium.press(ENTER).await;
    chromium.settle().await;
    assert_eq!(chromium.url().await, scene.link.0);
    assert_eq!(scene.agent.check(&scene.id).await.field("status"), "pending");
}
