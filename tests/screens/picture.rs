use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sayso_tests::{Chromium, Device, PHONE, Scheme, workspace};
use serde_json::json;

use crate::scenes::{Scene, serve, volume};

/// The README's picture: the deciding page on a phone, as it opens and where it is decided. It is always taken, and written only
/// when asked, because it differs from machine to machine.
#[tokio::test(flavor = "multi_thread")]
async fn the_picture_in_the_readme() {
    let scene = Scene::new(volume()).await;
    let chromium = Chromium::start().await;
    let phone = Device { height: 740, scale: 1.5, ..PHONE };
    chromium.look_with(phone).await;
    chromium.prefer(Scheme::Light).await;
    chromium.open(&scene.link.0).await;
    // The page asks for the system's own font; where that is DejaVu, the next one that it names is nearer to a phone's.
    let font = "const sheet = new CSSStyleSheet();
        sheet.replaceSync('body { font-family: \"Liberation Sans\", sans-serif }');
        document.adoptedStyleSheets = [sheet];";
    chromium.run(font, json!([])).await;
    let top = chromium.window().await;
    let decide_by =
        "const label = [...document.querySelectorAll('dt')].find((dt) => dt.textContent === 'Decide by');
        scrollTo(0, label.getBoundingClientRect().top - 8)";
    chromium.run(decide_by, json!([])).await;
    chromium.settle().await;
    let end = chromium.window().await;

    let phones = [top, end].map(|picture| {
        let picture = BASE64.encode(picture);
        format!(
            r#"<img width="{}" height="{}" src="data:image/png;base64,{picture}">"#,
            phone.width, phone.height
        )
    });
    let style = "body { margin: 16px; display: flex; gap: 28px } \
                 img { border: 2px solid #9aa3ae; border-radius: 28px }";
    let both = serve(format!("<!DOCTYPE html><style>{style}</style>{}", phones.concat())).await;
    let window = Device { name: "picture", width: 2 * phone.width + 68, is_phone: false, ..phone };
    chromium.look_with(window).await;
    let transparent = json!({"color": {"r": 0, "g": 0, "b": 0, "a": 0}});
    chromium.command("Emulation.setDefaultBackgroundColorOverride", transparent).await;
    chromium.open(&both).await;
    let picture = chromium.picture().await;
    assert!(picture.len() < 256 * 1024, "{} bytes", picture.len());
    #[expect(clippy::disallowed_methods, reason = "whether to write a file is no part of what is tested")]
    if std::env::var_os("SAYSO_WRITE_DOCS").is_some() {
        std::fs::write(workspace().join("docs/approval-page.png"), picture).expect("a file");
    }
}
