use sayso_tests::Verdict;

use crate::gated::{approval_id, waiting};
use crate::setting::{Server, Setting, inspect};

const POLICY: &str = "[[tools]]\nmatch = [\"read_*\", \"list_*\"]\ndecision = \"allow\"\n";

const NOW: &str = "wait_seconds = 0\n";

#[tokio::test(flavor = "multi_thread")]
async fn the_inspector_sees_the_server_and_not_the_gate() {
    let setting = Setting::new().await;
    let files = setting.files();
    let notes = files.join("notes.txt");
    std::fs::write(&notes, "one\n").expect("a file");
    let path = format!("path={}", notes.display());
    let read = ["--method", "tools/call", "--tool-name", "read_text_file", "--tool-arg", &path];
    let server = Server::files(&files);
    let gated = setting.gated(&server, POLICY).await;
    let (_gate, listening) = setting.listening(&server, POLICY).await;
    for arguments in [&["--method", "tools/list"][..], &read] {
        let expected = inspect(&server, arguments).await;
        assert!(expected.0, "{expected:?}");
        assert_eq!(inspect(&gated, arguments).await, expected);
        assert_eq!(inspect(&listening, arguments).await, expected);
    }
    assert!(setting.local.messages().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inspectors_call_is_gated() {
    let setting = Setting::new().await;
    let files = setting.files();
    let notes = files.join("notes.txt");
    let path = format!("path={}", notes.display());
    let write = ["--method", "tools/call", "--tool-name", "write_file", "--tool-arg", &path, "content=one"];
    let gated = setting.gated(&Server::files(&files), &format!("{NOW}{POLICY}")).await;

    let (_, asked) = inspect(&gated, &write).await;
    waiting(&asked, "write_file");
    assert!(!notes.exists());
    let link = setting.link(&approval_id(&asked)).await;
    setting.local.browser().decide(&link, Verdict::Approve, "").await;

    let (success, written) = inspect(&gated, &write).await;
    assert!(success && written["isError"] != true, "{written}");
    assert_eq!(std::fs::read_to_string(&notes).expect("a file"), "one");
}
