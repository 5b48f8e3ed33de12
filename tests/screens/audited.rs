use sayso_tests::{Chromium, PHONE};
use serde_json::json;

use crate::scenes::serve;

/// Everything that the audit is there to find, on one page.
const WRONG: &str = r#"<!DOCTYPE html><meta name="viewport" content="width=device-width"><style>
    body { background: #fff; color: #000; font-size: 14px }
    .faint { color: #888 } .under { opacity: .5 } .wide { width: 500px }
    .cut { overflow: hidden; white-space: nowrap; width: 50px }
    input { border: 1px solid #ddd; font-size: 13px }
    </style><p class=faint>Too faint to read</p><p class=under>Seen through</p><p class=wide>Too wide for the phone</p>
    <p class=cut>Cut off without a word about it</p><p><small style="font-size: 9px">Too small</small></p>
    <button>x</button><input value=a><script>console.log(1)</script><img>"#;

const FOUND: [&str; 14] = [
    r#"p.faint "Too faint to read" has a contrast of 3.54"#,
    r#"p.under "Seen through" is translucent"#,
    r#"p.cut "Cut off without a word about it" is cut off"#,
    r#"small. "Too small" is 9px small"#,
    r#"p.faint "Too faint to read" is 14px"#,
    "text is 14 px",
    r#"button. "x" is "#,
    "too small for a thumb",
    r#"input. "a" is 13 px"#,
    r#"the edge of input. "a" has a contrast of 1."#,
    "px wide in 390",
    "it has images or scripts",
    "it has no title",
    "it names no language",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_sees_what_is_wrong() {
    let chromium = Chromium::start().await;
    chromium.look_with(PHONE).await;
    chromium.open(&serve(WRONG.to_owned()).await).await;
    let problems = chromium.run(include_str!("audit.js"), json!([true])).await;
    let problems: Vec<_> =
        problems.as_array().expect("a list").iter().filter_map(|found| found.as_str()).collect();
    for found in FOUND {
        assert!(problems.iter().any(|problem| problem.contains(found)), "{found} is not among {problems:#?}");
    }
}
