//! Removes the credentials from this process's environment before anything else happens.
//!
//! **Threat.** The environment that a process was started with stays readable in `/proc/<pid>/environ`, whatever the process
//! changes later. A server behind the gate that reads files for the agent can read it.
//!
//! **Bindings.** On Linux the program executes itself again without them, under the same process id. It gets them through a
//! memory file, which it then empties. First it forbids everybody but root to inspect it (`PR_SET_DUMPABLE`, `prctl(2)`).
//!
//! **Not done here.** Root can read everything. So can anyone who can read where the credentials came from: the configuration
//! of the agent's host, or the environment of the parent process. Against that, run the server as another user (`--user`).

use std::io;
use std::sync::OnceLock;

static TAKEN: OnceLock<Vec<(String, String)>> = OnceLock::new();

/// The value that this variable had when the program was started.
#[expect(clippy::disallowed_methods, reason = "a from_env, where nothing was taken")]
pub(crate) fn credential(name: &str) -> Option<String> {
    match TAKEN.get() {
        Some(taken) => taken.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()),
        None => std::env::var(name).ok(),
    }
}

/// Takes the credentials. Returns in a process that was started without them, or fails.
#[cfg(target_os = "linux")]
pub(crate) fn take_from_env() -> io::Result<()> {
    linux::take_from_env()
}

/// On other systems they stay in the environment, as `docs/gate.md` says.
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

    /// The variables that hold a credential.
    const NAMES: [&str; 2] = ["SAYSO_AGENT_KEY", "SAYSO_UPSTREAM_AUTHORIZATION"];

    /// The variable that names the memory file's descriptor.
    const DESCRIPTOR: &str = "SAYSO_CREDENTIALS_DESCRIPTOR";

    /// What the kernel calls the memory file.
    const MEMORY: &str = "/memfd:sayso-gate-credentials";

    /// Far above the length of any credentials.
    const MAX_MEMORY_BYTES: u64 = 64 * 1024;

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
        Err(execute_again(&found))
    }

    /// Reads the credentials, and empties the memory file.
    fn received(descriptor: &str) -> io::Result<Vec<(String, String)>> {
        let path = format!("/proc/self/fd/{}", descriptor.parse::<u32>().map_err(io::Error::other)?);
        // Nobody else's file may be emptied.
        if !std::fs::read_link(&path)?.to_string_lossy().starts_with(MEMORY) {
            return Err(io::Error::other(format!("{DESCRIPTOR} is set, and not by this program: unset it")));
        }
        let mut memory = File::options().read(true).write(true).open(path)?;
        let mut text = String::new();
        (&mut memory).take(MAX_MEMORY_BYTES).read_to_string(&mut text)?;
        memory.set_len(0)?;
        let pairs = text.split('\0').filter_map(|line| line.split_once('='));
        Ok(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// Replaces this process by itself, without the credentials in its environment. Returns only if that fails.
    fn execute_again(credentials: &[(String, String)]) -> io::Error {
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
