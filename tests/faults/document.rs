//! `docs/failures.md`: a row is executed, or the suite fails.

use std::collections::BTreeSet;

/// What everybody was told in the scenarios of a row.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) agent: BTreeSet<String>,
    pub(crate) approver: BTreeSet<String>,
    pub(crate) gate: BTreeSet<String>,
    /// What anybody is told who tries again once it is mended.
    pub(crate) next: BTreeSet<String>,
}

impl Told {
    pub(crate) fn add(&mut self, other: Self) {
        let Self { agent, approver, gate, next } = other;
        self.agent.extend(agent);
        self.approver.extend(approver);
        self.gate.extend(gate);
        self.next.extend(next);
    }
}

/// A row of the document's table of failures.
pub(crate) struct Row {
    name: String,
    agent: String,
    approver: String,
    gate: String,
    next: String,
}

fn document() -> String {
    let path = sayso_tests::workspace().join("docs/failures.md");
    std::fs::read_to_string(path).expect("docs/failures.md")
}

/// The cells of the rows under a heading of the document, without the table's own head.
pub(crate) fn table(heading: &str) -> Vec<Vec<String>> {
    let document = document();
    let section = document.split(&format!("\n## {heading}\n")).nth(1).expect("the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = |row: &str| {
        let row = row.trim_end_matches('|').replace("\\|", "/");
        row.split('|').map(|cell| cell.trim().trim_end_matches('`').to_owned()).collect()
    };
    rows.map(cells).collect()
}

fn rows() -> Vec<Row> {
    let rows = table("What breaks").into_iter().map(|cells| {
        let [name, _, agent, approver, gate, next] =
            cells.try_into().unwrap_or_else(|cells| panic!("not six cells: {cells:?}"));
        Row { name, agent, approver, gate, next }
    });
    rows.collect()
}

/// The row of this name.
pub(crate) fn row(name: &str) -> Row {
    rows().into_iter().find(|row| row.name == name).unwrap_or_else(|| panic!("no row {name}"))
}

/// The words between quotation marks.
fn quotes(cell: &str) -> Vec<&str> {
    cell.split('“').skip(1).map(|rest| rest.split('”').next().unwrap_or_default()).collect()
}

impl Row {
    /// Everything quoted was said to that party, and everything said to it holds something quoted. A party with a dash
    /// was told nothing out of the ordinary.
    pub(crate) fn is_what_was(&self, told: &Told) {
        let name = &self.name;
        for (party, cell, said) in [
            ("agent", &self.agent, &told.agent),
            ("approver", &self.approver, &told.approver),
            ("gate", &self.gate, &told.gate),
        ] {
            let quotes = quotes(cell);
            assert_eq!(quotes.is_empty(), cell.starts_with('–'), "{name}, {party}: {cell}");
            for quote in &quotes {
                assert!(
                    said.iter().any(|said| said.contains(quote)),
                    "{name}: the {party} was not told “{quote}”, but {said:#?}"
                );
            }
            for said in said {
                assert!(
                    quotes.iter().any(|quote| said.contains(quote)),
                    "{name}: nothing in {cell} is what the {party} was told: {said}"
                );
            }
        }
        let quotes = quotes(&self.next);
        assert!(!quotes.is_empty(), "{name}: nobody says anything next");
        for quote in quotes {
            let said = told.next.iter().any(|said| said.contains(quote));
            assert!(said, "{name}: next nobody is told “{quote}”, but {:#?}", told.next);
        }
    }
}

/// The scenarios stand in the sources as `row("…")`.
#[test]
fn every_row_of_the_document_is_played_and_nothing_else() {
    let written: Vec<String> = rows().into_iter().map(|row| row.name).collect();
    let documented: BTreeSet<String> = written.iter().cloned().collect();
    assert_eq!(written.len(), documented.len(), "a row stands there twice");
    let mut played = BTreeSet::new();
    for entry in std::fs::read_dir(sayso_tests::workspace().join("tests/faults")).expect("the suite") {
        let source = std::fs::read_to_string(entry.expect("a file").path()).expect("a source");
        let names = source.split("row(\"").skip(1).map(|rest| rest.split('"').next().unwrap_or_default());
        played.extend(names.filter(|name| !name.contains([' ', '…'])).map(str::to_owned));
    }
    assert!(!documented.is_empty());
    assert_eq!(documented, played);
}
