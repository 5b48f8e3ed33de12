//! Ends a server together with everything that it has started. Ctrl-C at a terminal does not reach them: they end with the gate.
//! On Windows only the server itself is ended.

use std::time::Duration;

use tokio::process::{Child, Command};

/// How long a server may take to end after its input has ended.
pub(super) const GRACE: Duration = Duration::from_secs(3);

/// The process group that a server leads.
#[cfg(unix)]
pub(super) struct Group(rustix::process::Pid);

#[cfg(unix)]
impl Group {
    /// Makes `command` the leader of a new process group.
    pub(super) fn begin(command: &mut Command) {
        command.process_group(0);
    }

    /// The group of a child; `None` if the child has been waited for.
    pub(super) fn of(child: &Child) -> Option<Self> {
        let id = i32::try_from(child.id()?).ok()?;
        rustix::process::Pid::from_raw(id).map(Self)
    }

    /// Ends what is left of the group, first with SIGTERM, and some seconds later with SIGKILL.
    pub(super) async fn end(self, child: &mut Child) {
        use rustix::process::{Signal, kill_process_group, test_kill_process_group};

        use crate::clock;

        /// How often to check whether the whole group has ended.
        const LOOKS: u32 = 60;

        // It fails only if there is nothing left.
        if kill_process_group(self.0, Signal::TERM).is_err() {
            return;
        }
        for _ in 0..LOOKS {
            // An ended process counts until its parent has waited for it. For the server that happens here.
            let _ = child.try_wait();
            if test_kill_process_group(self.0).is_err() {
                return;
            }
            clock::sleep(GRACE / LOOKS).await;
        }
        let _ = kill_process_group(self.0, Signal::KILL);
    }
}

/// Windows has job objects instead, which take unsafe code.
#[cfg(windows)]
pub(super) struct Group;

#[cfg(windows)]
impl Group {
    pub(super) fn begin(_: &mut Command) {}

    pub(super) fn of(_: &Child) -> Option<Self> {
        None
    }

    pub(super) async fn end(self, _: &mut Child) {}
}
