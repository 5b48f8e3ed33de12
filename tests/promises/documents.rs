use std::path::{Path, PathBuf};

use sayso_tests::workspace;

/// What a document names between backquotes.
fn named(document: &str) -> impl Iterator<Item = &str> {
    document.split('`').skip(1).step_by(2)
}

fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let Ok(entry) = entry else { continue };
        let path = entry.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_dir() && !hidden && !path.ends_with("target") {
            files(&path, ending, found);
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
}

/// So that a document does not lead a newcomer to a file that has moved.
#[test]
fn every_source_that_a_document_names_is_there() {
    let root = workspace();
    let (mut documents, mut sources) = (Vec::new(), Vec::new());
    files(root, ".md", &mut documents);
    files(root, ".rs", &mut sources);
    let mut looked_at = 0;
    for document in documents {
        let text = std::fs::read_to_string(&document).expect("a document");
        for name in named(&text).filter(|name| name.ends_with(".rs") && !name.contains([' ', '*'])) {
            looked_at += 1;
            let there = sources.iter().any(|source| source.ends_with(name));
            assert!(there, "{} names {name}", document.display());
        }
    }
    assert!(looked_at > 50, "{looked_at} names");
}
