//! Credentials, taken out of this process's environment before anything else happens.
//!
//! **Threat.** What a process was started with stays in `/proc/<pid>/environ`, whatever it changes later. A server behind the
//! gate that reads files for the agent reads that, too.
//!
//! **Bindings.** On Linux the program executes itself anew without them, under the same process id, and gets them by memory
//! that it then empties. Before that it sees to it that nobody but root may look into it (`PR_SET_DUMPABLE`, `prctl(2)`).
//!
//! **Not done here.** Root reads everything, and so does anyone who can read where the credentials came from: the configuration
//! of the agent's host, or the environment of what started this. A server as another user is the answer to that.

use std::io;
use std::sync::OnceLock;

static TAKEN: OnceLock<Vec<(String, String)>> = OnceLock::new();

/// What one of these variables held when the program was started.
#[expect(clippy::disallowed_methods, reason = "a from_env, where nothing was taken")]
pub(crate) fn credential(name: &str) -> Option<String> {
    match TAKEN.get() {
        Some(taken) => taken.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()),
        None => std::env::var(name).ok(),
    }
}

/// Takes them. Comes back in a process that was started without any, or says why there is none.
#[cfg(target_os = "linux")]
pub(crate) fn take_from_env() -> io::Result<()> {
    linux::take_from_env()
}

/// Elsewhere they stay where they are: `docs/gate.md` says so.
#[cfg(not(target_os = "linux"))]
pub(crate) fn take_from_env() -> io::Result<()> {
    Ok(())
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
    use std::os::fd::AsRawFd as _;
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    use rustix::fs::MemfdFlags;
    use rustix::io::FdFlags;
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};

    use super::TAKEN;

    /// The variables that hold one.
    const NAMES: [&str; 2] = ["SAYSO_AGENT_KEY", "SAYSO_UPSTREAM_AUTHORIZATION"];

    /// Says by which descriptor they come.
    const DESCRIPTOR: &str = "SAYSO_CREDENTIALS_DESCRIPTOR";

    /// What the kernel calls the memory of that name.
    const MEMORY: &str = "/memfd:sayso-gate-credentials";

    /// No credential is nearly as long, in bytes.
    const LONGEST: u64 = 64 * 1024;

    #[expect(clippy::disallowed_methods, reason = "a from_env, and the first thing that the program does")]
    pub(super) fn take_from_env() -> io::Result<()> {
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
        if let Ok(descriptor) = std::env::var(DESCRIPTOR) {
            let _ = TAKEN.set(received(&descriptor)?);
            return Ok(());
        }
        let found = NAMES.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)));
        let found: Vec<(String, String)> = found.collect();
        if found.is_empty() {
            let _ = TAKEN.set(found);
            return Ok(());
        }
        Err(executed_anew(&found))
    }

    /// Reads them, and leaves nothing where they were.
    fn received(descriptor: &str) -> io::Result<Vec<(String, String)>> {
        let path = format!("/proc/self/fd/{}", descriptor.parse::<u32>().map_err(io::Error::other)?);
        // Another file is none of ours, and not to be emptied.
        if !std::fs::read_link(&path)?.to_string_lossy().starts_with(MEMORY) {
            return Err(io::Error::other(format!("{DESCRIPTOR} is set, and not by this program: unset it")));
        }
        let mut memory = File::options().read(true).write(true).open(path)?;
        let mut text = String::new();
        (&mut memory).take(LONGEST).read_to_string(&mut text)?;
        memory.set_len(0)?;
        let pairs = text.split('\0').filter_map(|line| line.split_once('='));
        Ok(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// Comes back only if that fails.
    fn executed_anew(credentials: &[(String, String)]) -> io::Error {
        let memory = || -> io::Result<File> {
            let memory = rustix::fs::memfd_create("sayso-gate-credentials", MemfdFlags::CLOEXEC)?;
            let mut memory = File::from(memory);
            for (name, value) in credentials {
                memory.write_all(format!("{name}={value}\0").as_bytes())?;
            }
            memory.seek(SeekFrom::Start(0))?;
            rustix::io::fcntl_setfd(&memory, FdFlags::empty())?;
            Ok(memory)
        };
        let memory = match memory() {
            Ok(memory) => memory,
            Err(error) => return error,
        };
        let mut arguments = std::env::args_os();
        let name = arguments.next().unwrap_or_default();
        let mut command = Command::new("/proc/self/exe");
        command.arg0(name).args(arguments).env(DESCRIPTOR, memory.as_raw_fd().to_string());
        for name in NAMES {
            command.env_remove(name);
        }
        command.exec()
    }
}
