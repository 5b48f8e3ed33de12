use sayso_tests::{Chromium, DESKTOP};
use serde_json::json;

use crate::scenes::{Scene, serve, volume};

#[tokio::test(flavor = "multi_thread")]
async fn another_site_that_frames_the_page_gets_nothing() {
    let scene = Scene::new(volume()).await;
    let attributes = ["", r#" sandbox="allow-forms allow-scripts allow-same-origin""#];
    let frames = attributes.map(|attribute| {
        format!(r#"<iframe width="900" height="700" src="{}"{attribute}></iframe>"#, scene.link.0)
    });
    let site = serve(format!("<!DOCTYPE html><title>A prize!</title>{}", frames.concat())).await;
    let chromium = Chromium::start().await;
    chromium.look_with(DESKTOP).await;
    chromium.open(&site).await;
    for frame in 0..2 {
        chromium.client().enter_frame(frame).await.expect("a frame");
        let shown = chromium.run("return [location.href, document.forms.length]", json!([])).await;
        assert_eq!(shown, json!(["chrome-error://chromewebdata/", 0]), "frame {frame}");
        chromium.client().enter_parent_frame().await.expect("the site");
    }
    let said = chromium.console().await.concat();
    assert!(said.contains("frame-ancestors") || said.contains("X-Frame-Options"), "{said}");
    assert_eq!(scene.agent.check(&scene.id).await.field("status"), "pending");
}
