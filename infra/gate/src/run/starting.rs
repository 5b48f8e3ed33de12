//! Starts the very file that was hashed, whatever is at its path by then.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::fd::AsRawFd as _;

use rustix::io::FdFlags;

/// Whether this system can start a file by its descriptor, and make a copy that nobody can change.
pub(super) const SUPPORTED: bool = cfg!(target_os = "linux");

/// An open program that can be executed by its descriptor.
#[derive(Debug)]
pub(super) struct Startable {
    file: File,
}

impl Startable {
    /// Copies a script into sealed memory, because its interpreter reads it after the start. Any other program is executed by
    /// the descriptor of the file itself, so that it finds the files beside it.
    pub(super) fn new(mut program: File) -> io::Result<Self> {
        let mut magic = [0; 2];
        let is_script = program.read_exact(&mut magic).is_ok() && magic == *b"#!";
        program.seek(SeekFrom::Start(0))?;
        let file = if is_script { sealed(program)? } else { program };
        if is_script {
            // The interpreter opens it by this descriptor.
            rustix::io::fcntl_setfd(&file, FdFlags::empty())?;
        }
        Ok(Self { file })
    }

    /// The file that will start.
    pub(super) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// A path for `execve` that leads to the open file.
    pub(super) fn path(&self) -> OsString {
        format!("/proc/self/fd/{}", self.file.as_raw_fd()).into()
    }
}

#[cfg(target_os = "linux")]
fn sealed(mut file: File) -> io::Result<File> {
    use rustix::fs::{MemfdFlags, SealFlags};

    let memory = rustix::fs::memfd_create("sayso-gate", MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC)?;
    let mut memory = File::from(memory);
    io::copy(&mut file, &mut memory)?;
    rustix::fs::fcntl_add_seals(
        &memory,
        SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL,
    )?;
    memory.seek(SeekFrom::Start(0))?;
    Ok(memory)
}

#[cfg(not(target_os = "linux"))]
fn sealed(_: File) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}
