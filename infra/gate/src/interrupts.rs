//! SIGINT, SIGTERM and SIGHUP, while there is a request to withdraw or a server to end. On Windows: Ctrl-C, Ctrl-Break, and
//! the closed console.

use crate::terminal::status;

#[cfg(unix)]
pub(crate) use unix::Interrupts;
#[cfg(windows)]
pub(crate) use windows::Interrupts;

/// How the program was asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// Ctrl-C.
    Interrupted,
    Terminated,
    /// The terminal or the session has gone.
    HungUp,
}

impl Interrupt {
    /// The exit status that a shell reports for it.
    pub(crate) fn status(self) -> u8 {
        match self {
            Self::Interrupted => status::INTERRUPTED,
            Self::Terminated => status::TERMINATED,
            Self::HungUp => status::HUNG_UP,
        }
    }
}

#[cfg(unix)]
mod unix {
    use std::io;

    use tokio::signal::unix::{Signal, SignalKind, signal};

    use super::Interrupt;

    /// The signals that ask this program to end.
    #[derive(Debug)]
    pub(crate) struct Interrupts {
        interrupt: Signal,
        terminate: Signal,
        /// `None` if the parent process had it ignored, as `nohup` does.
        hang_up: Option<Signal>,
    }

    impl Interrupts {
        /// From now on no signal ends this process by itself. A command that replaces it gets them as usual.
        pub(crate) fn listen() -> io::Result<Self> {
            Ok(Self {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
                hang_up: (!is_hang_up_ignored()).then(|| signal(SignalKind::hangup())).transpose()?,
            })
        }

        /// Waits for the next one. Dropping this loses none.
        pub(crate) async fn next(&mut self) -> Interrupt {
            tokio::select! {
                _ = self.interrupt.recv() => Interrupt::Interrupted,
                _ = self.terminate.recv() => Interrupt::Terminated,
                () = hung_up(&mut self.hang_up) => Interrupt::HungUp,
            }
        }
    }

    async fn hung_up(signal: &mut Option<Signal>) {
        match signal {
            Some(signal) => _ = signal.recv().await,
            None => std::future::pending().await,
        }
    }

    /// Linux says so in `/proc/self/status` (`proc_pid_status(5)`). On other systems the answer is no.
    fn is_hang_up_ignored() -> bool {
        const SIGHUP: u64 = 1;
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        ignored.is_some_and(|mask| mask & SIGHUP != 0)
    }
}

#[cfg(windows)]
mod windows {
    use std::io;

    use tokio::signal::windows::{CtrlBreak, CtrlC, CtrlClose, ctrl_break, ctrl_c, ctrl_close};

    use super::Interrupt;

    /// The console events that ask this program to end.
    #[derive(Debug)]
    pub(crate) struct Interrupts {
        interrupt: CtrlC,
        terminate: CtrlBreak,
        close: CtrlClose,
    }

    impl Interrupts {
        /// From now on no event ends this process by itself.
        pub(crate) fn listen() -> io::Result<Self> {
            Ok(Self { interrupt: ctrl_c()?, terminate: ctrl_break()?, close: ctrl_close()? })
        }

        /// Waits for the next one. Dropping this loses none.
        pub(crate) async fn next(&mut self) -> Interrupt {
            tokio::select! {
                _ = self.interrupt.recv() => Interrupt::Interrupted,
                _ = self.terminate.recv() => Interrupt::Terminated,
                _ = self.close.recv() => Interrupt::HungUp,
            }
        }
    }
}
