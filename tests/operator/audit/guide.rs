//! The verifier of `docs/audit.md`, as it stands there, and what the page says of the format.

use sayso_tests::{Program, workspace};
use tokio::process::Command;

use super::{History, parsed};

fn page() -> String {
    std::fs::read_to_string(workspace().join("docs/audit.md")).expect("the page")
}

fn script() -> String {
    let page = page();
    let block = page.split("\n```python\n").nth(1).and_then(|rest| rest.split("\n```").next());
    format!("{}\n", block.expect("a script"))
}

impl History {
    /// Runs it, and gives back its exit status and what it printed.
    async fn python(&self, export: &str) -> (i32, String) {
        let python = workspace().join("target/python/bin/python");
        assert!(python.exists(), "{} is missing: run tests/run once", python.display());
        self.write("verify_audit.py", script());
        let mut command = Command::new(python);
        command.args(["verify_audit.py", "audit-keys.json", export]).current_dir(self.operated.folder.path());
        let mut program = Program::start(command);
        let status = program.exit().await.code().unwrap_or(-1);
        (status, program.output())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_verifier_finds_what_sayso_finds() {
    let history = History::new().await;
    history.keys().await;
    let lines = history.exported("genuine", &[]).await;
    let (status, printed) = history.python("genuine").await;
    assert_eq!(status, 0, "{printed}");
    let head: serde_json::Value = serde_json::from_str(&printed).expect("JSON");
    let table = history.operated.world.backends.table.as_str();
    assert_eq!((&head["entries"], &head["table"]), (&(lines.len() - 2).into(), &table.into()));

    let whole = |lines: &[String]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let early = history.exported("early", &["--to", &history.middle.to_string()]).await;
    let mut rows = vec![
        whole(&lines).replacen("Not on a Friday", "Not on a Sunday", 1),
        whole(&lines[..lines.len() - 1]),
        whole(&lines).trim_end().to_owned(),
        whole(&[&lines[..lines.len() - 1], &early[early.len() - 1..]].concat()),
    ];
    for at in 0..lines.len() {
        let mut removed = lines.clone();
        removed.remove(at);
        rows.push(whole(&removed));
    }
    for row in rows.iter().step_by(3).chain(&rows[..4]) {
        history.write("changed", row);
        let (status, printed) = history.python("changed").await;
        assert_ne!(status, 0, "{printed}");
        history.finds(&["changed"], "").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_names_every_member_there_is() {
    let history = History::new().await;
    let page = page();
    for line in parsed(&history.exported("genuine", &[]).await) {
        let inner = line.get("fact").and_then(|fact| fact.as_object()).into_iter().flatten();
        for (name, _) in line.as_object().expect("an object").iter().chain(inner) {
            assert!(page.contains(&format!("`{name}`")), "docs/audit.md does not say what {name} is");
        }
    }
}
