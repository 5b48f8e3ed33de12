use std::collections::BTreeSet;
use std::path::Path;

/// The quotes stand in the sources as `// Promise: …`, on one line.
#[test]
fn the_documentation_and_the_tests_promise_the_same() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("../docs/promises.md")).expect("the promises");
    let section = page
        .split("\n## Promises\n")
        .nth(1)
        .and_then(|rest| rest.split("\n## ").next())
        .expect("the section");
    let promised: BTreeSet<String> =
        section.lines().filter_map(|line| line.strip_prefix("- ")).map(str::to_owned).collect();
    let mut tested = BTreeSet::new();
    for suite in ["promises", "fronted", "program", "passkeys"] {
        for entry in std::fs::read_dir(root.join(suite)).expect("the suite") {
            let source = std::fs::read_to_string(entry.expect("a file").path()).expect("a source");
            let quotes = source.lines().filter_map(|line| line.trim().strip_prefix("// Promise: "));
            tested.extend(quotes.map(str::to_owned));
        }
    }
    assert!(!promised.is_empty());
    assert_eq!(promised, tested);
}
