//! Finds the file that a command's name stands for, as `execvp` would.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::Stopped;
use crate::terminal::status;

/// The program's absolute path: found on PATH, or from `cwd` if the name contains a slash.
pub(super) fn program(name: &str, cwd: &Path) -> Result<PathBuf, Stopped> {
    if name.contains('/') {
        return find(name, [cwd.join(name)].into_iter());
    }
    let path = path_from_env().unwrap_or_default();
    // An empty entry is the working directory. A relative one starts there.
    find(name, std::env::split_paths(&path).map(|directory| cwd.join(directory).join(name)))
}

fn find(name: &str, mut candidates: impl Iterator<Item = PathBuf>) -> Result<PathBuf, Stopped> {
    let mut forbidden = None;
    let found = candidates.find(|candidate| match candidate.metadata() {
        Ok(metadata) if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 => true,
        Ok(metadata) => {
            forbidden.get_or_insert((candidate.clone(), metadata.is_dir()));
            false
        }
        Err(_) => false,
    });
    found.ok_or_else(|| match forbidden {
        Some((file, false)) => Stopped::new(
            status::CANNOT_BE_EXECUTED,
            format!(
                "{} is not executable: chmod +x it, or name what runs it. Nothing was asked.",
                file.display()
            ),
        ),
        _ => Stopped::new(
            status::NOT_FOUND,
            format!(
                "{name:?} is not found: give the name of a program on PATH, or its path. Nothing was asked."
            ),
        ),
    })
}

#[expect(clippy::disallowed_methods, reason = "the directories of programs")]
fn path_from_env() -> Option<OsString> {
    std::env::var_os("PATH")
}
