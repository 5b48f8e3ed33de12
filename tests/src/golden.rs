use std::fs;
use std::path::Path;

use crate::workspace;

/// Compares `shown` with a file, whose path is given below `tests/`. On a difference it leaves `shown` in `target/transcripts` and
/// panics: read that file, and copy it over the golden one if it is right.
pub fn expect_golden(golden: &str, shown: &str) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(golden);
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    if expected != shown {
        let folder = workspace().join("target/transcripts");
        fs::create_dir_all(&folder).expect("a directory");
        let kept = folder.join(golden.file_name().expect("a file name"));
        fs::write(&kept, shown).expect("a file");
        panic!("not as {}; see {}:\n{shown}", golden.display(), kept.display());
    }
}
