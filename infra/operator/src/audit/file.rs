use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::path::Path;

use sayso_model::audit::{MAX_LINE, Verified, Verifier};
use tempfile::{Builder, NamedTempFile};

use crate::outcome::Stopped;
use crate::terminal::one_line;

/// A path as text for a person.
pub(super) fn named(path: &Path) -> String {
    one_line(&path.display().to_string())
}

/// Shows an export to the verifier, line by line.
pub(super) fn read(path: &Path, verifier: &mut Verifier) -> Result<Verified, Stopped> {
    let broken = |e: io::Error| Stopped::usage(format!("{} cannot be read: {e}", named(path)));
    let mut file = BufReader::new(File::open(path).map_err(broken)?);
    let most = u64::try_from(MAX_LINE).unwrap_or(u64::MAX).saturating_add(2);
    let (mut line, mut cut) = (Vec::new(), false);
    while file.by_ref().take(most).read_until(b'\n', &mut line).map_err(broken)? > 0 {
        cut = line.last() != Some(&b'\n');
        verifier.line(line.strip_suffix(b"\n").unwrap_or(&line));
        line.clear();
    }
    Ok(verifier.end_of_file(cut))
}

/// A file that is written completely or not at all: written beside its place, readable by nobody else, and moved at the end.
pub(super) struct Whole<'a> {
    path: &'a Path,
    file: BufWriter<NamedTempFile>,
}

impl<'a> Whole<'a> {
    pub(super) fn begin(path: &'a Path) -> Result<Self, Stopped> {
        if path.symlink_metadata().is_ok() {
            return Err(taken(path));
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let file = Builder::new().prefix(".sayso-audit-").tempfile_in(folder.unwrap_or(Path::new(".")));
        let file = file.map_err(|e| not_written(path, &e))?;
        Ok(Self { path, file: BufWriter::new(file) })
    }

    pub(super) fn line(&mut self, line: &str) -> Result<(), Stopped> {
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.write_all(b"\n"));
        written.map_err(|e| not_written(self.path, &e))
    }

    pub(super) fn end(self) -> Result<(), Stopped> {
        let path = self.path;
        let file = self.file.into_inner().map_err(|e| not_written(path, e.error()))?;
        file.as_file().sync_all().map_err(|e| not_written(path, &e))?;
        match file.persist_noclobber(path) {
            Ok(_) => Ok(()),
            Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => Err(taken(path)),
            Err(e) => Err(not_written(path, &e.error)),
        }
    }
}

fn taken(path: &Path) -> Stopped {
    Stopped::not_done(format!(
        "{} already exists, and exports are never overwritten: choose another name",
        named(path)
    ))
}

fn not_written(path: &Path, error: &io::Error) -> Stopped {
    Stopped::not_done(format!("{} cannot be written: {error}", named(path)))
}
