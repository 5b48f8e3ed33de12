//! Who owns the state directory. Whoever can write to it can make a repeated call find an approval of their choice.

use std::fs::{self, DirBuilder, File, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::StateDirError;

/// In a directory with this bit, as in `/tmp`, only its owner may replace an entry.
const STICKY: u32 = 0o1000;

/// Follows the XDG base directory specification: a relative path in `XDG_STATE_HOME` is ignored.
#[expect(clippy::disallowed_methods, reason = "a from_env")]
pub(super) fn default_from_env() -> Result<PathBuf, StateDirError> {
    let directory = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || directory("HOME").map(|home| home.join(".local").join("state"));
    let state = directory("XDG_STATE_HOME").or_else(home);
    state.map(|state| state.join("sayso-gate")).ok_or_else(|| {
        StateDirError("there is no state directory (neither XDG_STATE_HOME nor HOME is set)".to_owned())
    })
}

/// A directory that the operator names. [`check`] decides whether it can be used.
pub(super) fn chosen(directory: PathBuf) -> Result<PathBuf, StateDirError> {
    Ok(directory)
}

/// Creates it, for its owner only, if it does not exist.
pub(super) fn create(directory: &Path) -> Result<(), StateDirError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|error| StateDirError::because(directory, error))
}

/// Refuses a directory that others may write to or replace.
pub(super) fn check(directory: &Path) -> Result<(), StateDirError> {
    let cannot = |error: io::Error| StateDirError::because(directory, error);
    let found = fs::metadata(directory).map_err(cannot)?;
    if found.permissions().mode() & 0o022 != 0 {
        return Err(StateDirError::because(directory, "others may write to it: chmod 700 it"));
    }
    // Whoever may rename a directory above it can put another in its place.
    let resolved = fs::canonicalize(directory).map_err(cannot)?;
    for above in resolved.ancestors().skip(1).chain(directory.ancestors().skip(1)) {
        let mode = fs::metadata(above).map_err(cannot)?.permissions().mode();
        if mode & 0o002 != 0 && mode & STICKY == 0 {
            let why = format!("everybody may write to {}, which it is in", above.display());
            return Err(StateDirError::because(directory, why));
        }
    }
    Ok(())
}

/// Refuses a directory whose owner is not the owner of a file that this process has just made in it.
pub(super) fn is_of_the_owner_of(ours: &Metadata, directory: &Path) -> Result<(), StateDirError> {
    let found = fs::metadata(directory).map_err(|error| StateDirError::because(directory, error))?;
    if ours.uid() == found.uid() {
        return Ok(());
    }
    Err(StateDirError::because(directory, "it belongs to another user"))
}

/// Writes the names of its files to the disk.
pub(super) fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
