//! Who owns the state directory, on Windows. Reading access control lists takes unsafe code, so the gate uses only the directory
//! that Windows itself keeps for the user: `%LOCALAPPDATA%`.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::StateDirError;

/// `%LOCALAPPDATA%\sayso-gate`.
#[expect(clippy::disallowed_methods, reason = "a from_env")]
pub(super) fn default_from_env() -> Result<PathBuf, StateDirError> {
    let local = std::env::var_os("LOCALAPPDATA").map(PathBuf::from).filter(|path| path.is_absolute());
    local
        .map(|local| local.join("sayso-gate"))
        .ok_or_else(|| StateDirError("there is no state directory (LOCALAPPDATA is not set)".to_owned()))
}

/// Refuses every other directory: whether others may write to it is not known.
pub(super) fn chosen(directory: PathBuf) -> Result<PathBuf, StateDirError> {
    let why = "on Windows only the default directory certainly belongs to the user alone: leave --state out";
    Err(StateDirError::because(&directory, why))
}

pub(super) fn create(directory: &Path) -> Result<(), StateDirError> {
    fs::create_dir_all(directory).map_err(|error| StateDirError::because(directory, error))
}

pub(super) fn check(_: &Path) -> Result<(), StateDirError> {
    Ok(())
}

pub(super) fn is_of_the_owner_of(_: &Metadata, _: &Path) -> Result<(), StateDirError> {
    Ok(())
}

/// Windows has no such call for a directory.
pub(super) fn sync(_: &Path) -> io::Result<()> {
    Ok(())
}
