//! The approvals that are being asked for, in files of their own: what lets a repeated call find its approval, also from a
//! later process. Nothing here is secret: an id locates an approval and decides nothing.

use std::path::PathBuf;

use sayso_gate::{ApprovalId, Timestamp, ToolName};
use thiserror::Error;

/// A directory of approvals.
#[derive(Debug)]
pub(crate) struct Kept {
    directory: PathBuf,
}

/// An approval that was asked for and whose outcome has not been delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeptApproval {
    pub(crate) id: ApprovalId,
    /// Who was asked, masked.
    pub(crate) approver: String,
    pub(crate) closes_at: Timestamp,
    pub(crate) status_url: String,
    pub(crate) tool: ToolName,
    /// Of the tool's definition, as it was when this was asked.
    pub(crate) definition: Option<String>,
    file: PathBuf,
}

/// The state directory cannot be used.
#[derive(Debug, Error)]
#[error("{0}")]
pub(crate) struct CannotKeep(String);

impl Kept {
    /// Opens the directory, or the default one: `$XDG_STATE_HOME/sayso-gate`, else `$HOME/.local/state/sayso-gate`. Made if
    /// it is not there; what is long over in it is removed.
    pub(crate) fn open(directory: Option<PathBuf>) -> Result<Self, CannotKeep> {
        let _ = directory;
        todo!()
    }
}

impl KeptApproval {
    /// Removes the file, if it still holds this approval: the next call for the same action asks anew. When that fails,
    /// the next call is given the same outcome again, and what was used stays used.
    pub(crate) fn forget(self) {
        todo!()
    }
}
