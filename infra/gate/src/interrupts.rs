//! SIGINT, SIGTERM and SIGHUP, while there is something to take back or to end. On Windows: Ctrl-C, and the closed console.

use crate::terminal::status;

#[cfg(unix)]
pub(crate) use unix::Interrupts;
#[cfg(windows)]
pub(crate) use windows::Interrupts;

/// How it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// Ctrl-C.
    Interrupted,
    Terminated,
    /// The terminal or the session has gone.
    HungUp,
}

impl Interrupt {
    /// As a shell reports it.
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
        /// Absent where the parent process has it ignored, as `nohup` does.
        hang_up: Option<Signal>,
    }

    impl Interrupts {
        /// From now on none of them ends this process by itself; a command that replaces it has them as usual.
        pub(crate) fn listen() -> io::Result<Self> {
            Ok(Self {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
                hang_up: (!is_hang_up_ignored()).then(|| signal(SignalKind::hangup())).transpose()?,
            })
        }

        /// The next one. Nothing is lost when this is dropped.
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

    /// As Linux says of this process (`proc_pid_status(5)`); elsewhere it is not known, and taken for no.
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
        /// From now on none of them ends this process by itself.
        pub(crate) fn listen() -> io::Result<Self> {
            Ok(Self { interrupt: ctrl_c()?, terminate: ctrl_break()?, close: ctrl_close()? })
        }

        /// The next one. Nothing is lost when this is dropped.
        pub(crate) async fn next(&mut self) -> Interrupt {
            tokio::select! {
                _ = self.interrupt.recv() => Interrupt::Interrupted,
                _ = self.terminate.recv() => Interrupt::Terminated,
                _ = self.close.recv() => Interrupt::HungUp,
            }
        }
    }
}
