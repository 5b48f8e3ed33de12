//! The story in the README: `cargo demo`.

use sayso_tests::{Program, binary};
use tokio::process::Command;

async fn told(decide: &str) -> String {
    let mut command = Command::new(binary("sayso-demo").await);
    command.args(["--decide", decide]);
    let mut story = Program::start(command);
    let status = story.exit().await;
    assert!(status.success(), "{}", story.output());
    story.output()
}

const INTACT: &str = "vol-production-database with 3 backups";

#[tokio::test]
async fn a_no_keeps_the_database_and_its_backups() {
    let story = told("deny").await;
    let parts: Vec<_> = story.split("  agent: ").collect();
    assert_eq!(parts.len(), 3, "asked, and told: {story}");
    assert!(parts[1].contains("Waiting for approval") && parts[1].contains(INTACT), "{story}");
    for shown in ["vol-production-database", "backup-2026-04-23", "backup-2026-04-24", "backup-2026-04-25"] {
        assert!(
            parts[1].split("──── the mail to").nth(1).expect("a mail").contains(shown),
            "{shown}: {story}"
        );
    }
    assert!(parts[2].contains("This is production.") && parts[2].contains(INTACT), "{story}");
}

#[tokio::test]
async fn a_yes_lets_that_call_through_once() {
    let story = told("approve").await;
    let parts: Vec<_> = story.split("  agent: ").collect();
    assert_eq!(parts.len(), 4, "asked, done, and asked again: {story}");
    assert!(parts[2].contains("backups_deleted") && !parts[2].contains(INTACT), "{story}");
    assert!(parts[3].contains("Waiting for approval"), "{story}");
}
