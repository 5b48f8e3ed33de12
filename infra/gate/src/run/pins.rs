//! Pins the contents of a command's files when the human is asked: their digests, and short texts in full, so that the human
//! reads the script itself and not only its name.
//!
//! **Threat.** Between the mail and the answer, somebody with write access replaces the program, a script, the target of a
//! link, the whole directory, or the file of `--env-file`.
//!
//! **Bindings.** Everything pinned is part of the action. Before the approval is used up, all of it is opened and hashed again.
//! The program that starts has the bytes that were hashed: it is executed by its descriptor, a script from a sealed copy.
//!
//! **Not done here.** What a program opens by itself: libraries, its configuration, other files in the directory, and the
//! files that its arguments name, which it opens again by path.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::lookup;

/// The largest file that can be pinned, in bytes.
const MAX_FILE_BYTES: u64 = 256 * 1024 * 1024;

/// How many files can be pinned.
const MAX_FILES: usize = 64;

/// How much text is shown, in bytes, over all files.
const MAX_TEXT_BYTES: usize = 16 * 1024;

/// Far above the first line of any script, in bytes (Linux reads 256).
const FIRST_LINE: usize = 512;

/// A file as it was when the human was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pin {
    /// Its path, with all links resolved.
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    /// In hexadecimal.
    pub(super) sha256: String,
    /// Its contents, if they are short plain text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<String>,
}

/// Everything that is pinned for a command.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pins {
    /// The program, then its interpreter, if it is a script, then the files that arguments name.
    pub(super) files: Vec<Pin>,
    /// The directory's device and inode.
    pub(super) cwd: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) env_file: Option<Pin>,
}

/// A file cannot be pinned, or is not what was pinned. The text names it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Changed(pub(super) String);

/// What was checked. It stays open until the command starts.
#[derive(Debug)]
pub(super) struct Checked {
    /// The program, rewound to its beginning.
    pub(super) program: File,
    pub(super) env_file: Option<Vec<u8>>,
}

impl Pins {
    /// Pins this program, started with these arguments in this directory, as its files are now.
    pub(super) fn take(
        program: &Path,
        arguments: &[String],
        cwd: &Path,
        env_file: Option<&Path>,
    ) -> Result<Self, Changed> {
        let (program_pin, head) = pin(program)?;
        let mut files = vec![program_pin];
        for path in interpreters(&head, cwd) {
            files.push(pin(&path)?.0);
        }
        for path in arguments.iter().flat_map(|argument| named_files(argument, cwd)) {
            if files.len() >= MAX_FILES {
                let why = "its arguments name more than 64 files: name a directory or a list of them, or use --no-pin";
                return Err(Changed(why.to_owned()));
            }
            let (pin, _) = pin(&path)?;
            if !files.iter().any(|known| known.path == pin.path) {
                files.push(pin);
            }
        }
        let mut room = MAX_TEXT_BYTES;
        for pin in &mut files {
            pin.text = text(pin, room);
            room -= pin.text.as_ref().map_or(0, String::len);
        }
        let env_file = env_file.map(pin_only).transpose()?;
        Ok(Self { files, cwd: identity(cwd)?, env_file })
    }

    /// Opens and hashes everything again. The error names the first thing that has changed.
    pub(super) fn check(&self, cwd: &Path) -> Result<Checked, Changed> {
        if identity(cwd)? != self.cwd {
            return Err(Changed(format!(
                "the directory {} was replaced since the human was asked",
                cwd.display()
            )));
        }
        let mut opened = self.files.iter().map(unchanged).collect::<Result<Vec<_>, _>>()?;
        let env_file = self.env_file.as_ref().map(unchanged).transpose()?;
        let env_file = env_file.map(read_all).transpose();
        let env_file =
            env_file.map_err(|e| Changed(format!("the file of --env-file cannot be read ({e})")))?;
        // Only bytes that were hashed are used, not what was written in between.
        let same = |(bytes, pin): (&Vec<u8>, &Pin)| sha256(bytes) == pin.sha256;
        if !env_file.as_ref().zip(self.env_file.as_ref()).is_none_or(same) {
            return Err(Changed("the file of --env-file has changed since the human was asked".to_owned()));
        }
        if opened.is_empty() {
            return Err(Changed("no program is pinned".to_owned()));
        }
        let program = opened.swap_remove(0);
        if program.metadata().map_or(0, |metadata| metadata.mode()) & 0o111 == 0 {
            return Err(Changed("the program is not executable any more".to_owned()));
        }
        Ok(Checked { program, env_file })
    }
}

/// Opens a regular file, and nothing that could block.
pub(super) fn open_regular(path: &Path) -> Result<File, Changed> {
    let cannot = |problem: &dyn ToString| Changed(format!("{} {}", path.display(), problem.to_string()));
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = File::options().read(true).custom_flags(nonblocking).open(path);
    let file = file.map_err(|e| cannot(&format!("cannot be read ({e})")))?;
    let metadata = file.metadata().map_err(|e| cannot(&format!("cannot be read ({e})")))?;
    if !metadata.is_file() {
        return Err(cannot(&"is not a regular file"));
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(cannot(&"has more than 256 MiB: use --no-pin"));
    }
    Ok(file)
}

pub(super) fn read_all(mut file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Returns a file's pin and its first bytes.
fn pin(path: &Path) -> Result<(Pin, Vec<u8>), Changed> {
    let resolved = path.canonicalize();
    let path = resolved.map_err(|e| Changed(format!("{} cannot be read ({e})", path.display())))?;
    if path.to_str().is_none() {
        return Err(Changed(format!("{} is not UTF-8 text: rename it", path.display())));
    }
    let mut file = open_regular(&path)?;
    let (sha256, bytes, head) =
        digest(&mut file).map_err(|e| Changed(format!("{} cannot be read ({e})", path.display())))?;
    Ok((Pin { path, bytes, sha256, text: None }, head))
}

fn pin_only(path: &Path) -> Result<Pin, Changed> {
    pin(path).map(|(pin, _)| pin)
}

/// Opens a pinned file again, if it still has the same bytes.
fn unchanged(pin: &Pin) -> Result<File, Changed> {
    let changed = || Changed(format!("{} has changed since the human was asked", pin.path.display()));
    // A new link in the path leads elsewhere.
    if pin.path.canonicalize().ok().as_ref() != Some(&pin.path) {
        return Err(changed());
    }
    let mut file = open_regular(&pin.path)?;
    match digest(&mut file) {
        Ok((sha256, bytes, _)) if sha256 == pin.sha256 && bytes == pin.bytes => {}
        _ => return Err(changed()),
    }
    file.seek(SeekFrom::Start(0)).map_err(|_| changed())?;
    Ok(file)
}

fn sha256(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(&Sha256::digest(bytes))
}

/// Whether an open program has the bytes that were pinned.
pub(super) fn is_program(file: &mut File, pins: &Pins) -> bool {
    let same =
        digest(file).is_ok_and(|(sha256, ..)| pins.files.first().is_some_and(|pin| pin.sha256 == sha256));
    same && file.seek(SeekFrom::Start(0)).is_ok()
}

fn digest(file: &mut File) -> io::Result<(String, u64, Vec<u8>)> {
    let (mut hash, mut bytes, mut head) = (Sha256::new(), 0_u64, Vec::new());
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = file.read(&mut buffer)?;
        let Some(part) = buffer.get(..read).filter(|part| !part.is_empty()) else { break };
        if head.len() < FIRST_LINE {
            head.extend(part.iter().take(FIRST_LINE));
        }
        hash.update(part);
        bytes += part.len() as u64;
    }
    Ok((base16ct::lower::encode_string(&hash.finalize()), bytes, head))
}

/// The text of a file, if it is plain text and there is room for all of it.
fn text(pin: &Pin, room: usize) -> Option<String> {
    if usize::try_from(pin.bytes).ok()? > room {
        return None;
    }
    let text = String::from_utf8(read_all(open_regular(&pin.path).ok()?).ok()?).ok()?;
    // Only text that was hashed is shown, not what was written in between.
    let hashed = base16ct::lower::encode_string(&Sha256::digest(&text));
    let plain = !text.contains('\0');
    (plain && hashed == pin.sha256).then_some(text)
}

/// A script's interpreter from its first line, and with `env` also the program that `env` looks up.
fn interpreters(head: &[u8], cwd: &Path) -> Vec<PathBuf> {
    let line = head.strip_prefix(b"#!").and_then(|rest| rest.split(|byte| *byte == b'\n').next());
    let line = line.and_then(|line| str::from_utf8(line).ok()).unwrap_or_default();
    let mut words = line.split_whitespace();
    let Some(interpreter) = words.next() else { return Vec::new() };
    let mut found = vec![cwd.join(interpreter)];
    if Path::new(interpreter).file_name().is_some_and(|name| name == "env") {
        let named = words.find(|word| !word.starts_with('-') && !word.contains('='));
        found.extend(named.and_then(|name| lookup::program(name, cwd).ok()));
    }
    found
}

/// The regular files that an argument names: with all of it, or behind the `=` of an option.
fn named_files(argument: &str, cwd: &Path) -> Vec<PathBuf> {
    let value = argument.strip_prefix('-').and_then(|option| option.split_once('=')).map(|(_, value)| value);
    let names = [Some(argument), value].into_iter().flatten().filter(|name| !name.is_empty());
    names.map(|name| cwd.join(name)).filter(|path| path.is_file() && File::open(path).is_ok()).collect()
}

fn identity(directory: &Path) -> Result<String, Changed> {
    let metadata = directory.metadata();
    let metadata =
        metadata.map_err(|e| Changed(format!("the directory {} is not there ({e})", directory.display())))?;
    Ok(format!("device {} inode {}", metadata.dev(), metadata.ino()))
}
