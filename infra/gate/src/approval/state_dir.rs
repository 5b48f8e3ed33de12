//! Saves the requested approvals, each in its own file, so that a repeated call finds its approval, also from a later process.
//! Nothing here is secret: an id names an approval and cannot decide it.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sayso_sdk::{Action, ApprovalId, Audience, BaseUrl, PendingApproval, Timestamp, ToolName};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

#[cfg_attr(windows, path = "state_dir/ownership_windows.rs")]
mod ownership;

/// How long after its deadline an approval is useless for certain: a token lives for a day at most.
const LONG_OVER: Duration = Duration::from_secs(8 * 86_400);

/// Far above any honest file, in bytes.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// The prefix of a file's name until the file is complete.
const UNFINISHED: &str = ".sayso-gate-";

const EXTENSION: &str = "json";

/// The extension of a saved answer, beside its approval.
const ANSWER_EXTENSION: &str = "answer";

/// The longest answer that is saved, in bytes.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// How long an answer is saved for the same call.
const ANSWER_KEPT: Duration = Duration::from_secs(600);

/// The directory with the saved approvals.
#[derive(Debug)]
pub(crate) struct StateDir {
    directory: PathBuf,
}

/// What a saved approval is found by: its scope and its action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    name: String,
    scope: Scope,
}

impl Key {
    pub(super) fn new(mcp_url: &BaseUrl, audience: &Audience, scope: &str, action: &Action) -> Self {
        let [url, gate] = [mcp_url.as_str().as_bytes(), audience.as_str().as_bytes()];
        Self {
            name: hash(&[url, gate, scope.as_bytes(), action.digest().as_bytes()]),
            scope: Scope::new(mcp_url, audience, scope),
        }
    }
}

/// The deployment, the gate's audience and the part of the program that an approval was requested for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scope(String);

impl Scope {
    pub(super) fn new(mcp_url: &BaseUrl, audience: &Audience, scope: &str) -> Self {
        Self(hash(&[mcp_url.as_str().as_bytes(), audience.as_str().as_bytes(), scope.as_bytes()]))
    }
}

fn hash(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        // With its length, so that no text can move from one part to the next.
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    base16ct::lower::encode_string(&hash.finalize())
}

/// An approval that was requested, and whose outcome has not been delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SavedApproval {
    pub(crate) id: ApprovalId,
    /// The approver's masked address.
    pub(crate) approver: String,
    pub(crate) closes_at: Timestamp,
    pub(crate) status_url: String,
    pub(crate) tool: ToolName,
    /// The fingerprint of the tool's definition when this was requested.
    pub(crate) definition: Option<String>,
    /// `None` if an earlier version saved it.
    scope: Option<String>,
    file: PathBuf,
}

/// A server's answer to an approved call whose client had given up.
#[derive(Debug, Clone)]
pub(crate) struct SavedAnswer {
    pub(crate) approval: SavedApproval,
    /// The message that was given to [`SavedApproval::keep_answer`].
    pub(crate) message: String,
}

#[derive(Serialize, Deserialize)]
struct KeptJson {
    approval_id: String,
    approver: String,
    closes_at: String,
    status_url: String,
    tool: String,
    definition: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
}

/// The state directory cannot be used.
#[derive(Debug, Error)]
#[error("{0}: choose another with --state DIR")]
pub(crate) struct StateDirError(String);

impl StateDirError {
    fn because(directory: &Path, why: impl Display) -> Self {
        Self(format!("the state directory {} cannot be used ({why})", directory.display()))
    }
}

impl StateDir {
    /// Opens the directory, or the default one: `$XDG_STATE_HOME/sayso-gate`, else `$HOME/.local/state/sayso-gate`. Creates it
    /// if it does not exist, and removes files that are long over.
    pub(crate) fn open(directory: Option<PathBuf>) -> Result<Self, StateDirError> {
        let directory = directory.map_or_else(ownership::default_from_env, ownership::chosen)?;
        let cannot = |error: io::Error| StateDirError::because(&directory, error);
        // A later change of the working directory must not move it.
        let directory = std::path::absolute(&directory).map_err(cannot)?;
        ownership::create(&directory)?;
        ownership::check(&directory)?;
        let kept = Self { directory };
        // A write that fails should fail now. And the owner of a file that we make is the user we run as.
        let ours = kept.unfinished().and_then(|file| file.as_file().metadata());
        let ours = ours.map_err(|error| StateDirError::because(&kept.directory, error))?;
        ownership::is_of_the_owner_of(&ours, &kept.directory)?;
        kept.remove_what_is_over(crate::clock::now());
        Ok(kept)
    }

    /// The approval that is saved under this key. A file that cannot be read as one does not count.
    pub(super) fn find(&self, key: &Key) -> Option<SavedApproval> {
        read(&self.directory.join(format!("{}.{EXTENSION}", key.name)))
    }

    /// The saved approvals of this scope that are still open, the newest first.
    pub(super) fn of_scope(&self, scope: &Scope, now: Timestamp) -> Vec<SavedApproval> {
        let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let files = entries.map(|entry| entry.path()).filter(|path| is_ours(path, EXTENSION));
        let kept = files.filter_map(|path| read(&path));
        let mut kept: Vec<_> = kept
            .filter(|kept| kept.scope.as_deref() == Some(scope.0.as_str()) && now < kept.closes_at)
            .collect();
        kept.sort_by_key(|kept| std::cmp::Reverse(kept.id));
        kept
    }

    /// The saved answer to the call of this key.
    pub(super) fn answer(&self, key: &Key, now: Timestamp) -> Option<SavedAnswer> {
        let approval = self.find(key)?;
        let file = approval.file.with_extension(ANSWER_EXTENSION);
        let text = read_text(&file, u64::try_from(MAX_ANSWER_BYTES).ok()?)?;
        let (id, message) = text.split_once('\n')?;
        if id != approval.id.to_string() || written_at(&file)?.until(now) > ANSWER_KEPT {
            return None;
        }
        Some(SavedAnswer { message: message.to_owned(), approval })
    }

    /// Saves an approval under this key, and replaces an older one.
    pub(super) fn keep(
        &self,
        key: &Key,
        requested: &PendingApproval,
        tool: &ToolName,
        definition: Option<&str>,
    ) -> Result<SavedApproval, StateDirError> {
        let kept = SavedApproval {
            id: requested.id,
            approver: requested.approver.clone(),
            closes_at: requested.closes_at,
            status_url: requested.status_url.clone(),
            tool: tool.clone(),
            definition: definition.map(str::to_owned),
            scope: Some(key.scope.0.clone()),
            file: self.directory.join(format!("{}.{EXTENSION}", key.name)),
        };
        self.write(&kept).map_err(|error| StateDirError::because(&self.directory, error))?;
        Ok(kept)
    }

    /// Writes all of it or nothing, even if the process or the machine stops.
    fn write(&self, kept: &SavedApproval) -> io::Result<()> {
        let json = KeptJson {
            approval_id: kept.id.to_string(),
            approver: kept.approver.clone(),
            closes_at: kept.closes_at.to_string(),
            status_url: kept.status_url.clone(),
            tool: kept.tool.as_str().to_owned(),
            definition: kept.definition.clone(),
            scope: kept.scope.clone(),
        };
        let mut file = self.unfinished()?;
        file.write_all(&serde_json::to_vec(&json)?)?;
        file.as_file().sync_all()?;
        file.persist(&kept.file)?;
        ownership::sync(&self.directory)
    }

    /// A new file, for its owner only.
    fn unfinished(&self) -> io::Result<tempfile::NamedTempFile> {
        tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(&self.directory)
    }

    /// Removes only the gate's own files: somebody may have chosen a directory with other files in it.
    fn remove_what_is_over(&self, now: Timestamp) {
        let Ok(entries) = fs::read_dir(&self.directory) else { return };
        for entry in entries.flatten() {
            let (name, path) = (entry.file_name(), entry.path());
            let Some(name) = name.to_str() else { continue };
            let answer = is_ours(&path, ANSWER_EXTENSION);
            if !answer && !is_ours(&path, EXTENSION) && !name.starts_with(UNFINISHED) {
                continue;
            }
            let ended = match read(&path) {
                Some(kept) => kept.closes_at,
                None => written_at(&path).unwrap_or(now),
            };
            if ended.until(now) > if answer { ANSWER_KEPT } else { LONG_OVER } {
                // A file that cannot be removed does no harm.
                let _ = fs::remove_file(&path);
            }
        }
    }
}

impl SavedApproval {
    /// Removes the file if it still holds this approval, so that the next call for the same action asks again. If that fails,
    /// the next call gets the same outcome again. What was used up stays used up.
    pub(crate) fn forget(self) {
        if read(&self.file).is_some_and(|there| there.id == self.id) {
            let _ = fs::remove_file(self.file.with_extension(ANSWER_EXTENSION));
            let _ = fs::remove_file(&self.file);
        }
    }

    /// Saves the server's answer for the same call, for ten minutes. If that fails, or the answer is too long, the approval
    /// stays saved, and the same call is told that it was used.
    pub(crate) fn keep_answer(&self, message: &str) {
        let text = format!("{}\n{message}", self.id);
        let (Some(directory), true) = (self.file.parent(), text.len() < MAX_ANSWER_BYTES) else { return };
        let write = || -> io::Result<()> {
            let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(directory)?;
            file.write_all(text.as_bytes())?;
            file.persist(self.file.with_extension(ANSWER_EXTENSION))?;
            Ok(())
        };
        let _ = write();
    }
}

/// Whether a file's name is that of a saved approval, or of its answer.
fn is_ours(path: &Path, extension: &str) -> bool {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let is_key = stem.len() == 64 && stem.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_key && path.extension().is_some_and(|there| there == extension)
}

/// A file's text, if it is shorter than `longest` bytes.
fn read_text(path: &Path, longest: u64) -> Option<String> {
    let mut text = String::new();
    let read = File::open(path).ok()?.take(longest).read_to_string(&mut text).ok()?;
    u64::try_from(read).is_ok_and(|read| read < longest).then_some(text)
}

fn read(path: &Path) -> Option<SavedApproval> {
    let text = read_text(path, MAX_FILE_BYTES)?;
    let json: KeptJson = serde_json::from_str(&text).ok()?;
    Some(SavedApproval {
        id: ApprovalId::parse(&json.approval_id).ok()?,
        approver: json.approver,
        closes_at: Timestamp::parse(&json.closes_at).ok()?,
        status_url: json.status_url,
        tool: ToolName::parse(&json.tool).ok()?,
        definition: json.definition,
        scope: json.scope,
        file: path.to_owned(),
    })
}

fn written_at(path: &Path) -> Option<Timestamp> {
    let since_epoch =
        fs::symlink_metadata(path).ok()?.modified().ok()?.duration_since(SystemTime::UNIX_EPOCH);
    Timestamp::from_unix_seconds(i64::try_from(since_epoch.ok()?.as_secs()).ok()?).ok()
}

#[cfg(test)]
mod tests;
