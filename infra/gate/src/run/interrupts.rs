//! SIGINT and SIGTERM, while there is something to take back.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::terminal::status;

/// Whoever wants this program to end.
#[derive(Debug)]
pub(super) struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

/// How it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interrupt {
    /// Ctrl-C.
    Interrupted,
    Terminated,
}

impl Interrupt {
    /// As a shell reports it.
    pub(super) fn status(self) -> u8 {
        match self {
            Self::Interrupted => status::INTERRUPTED,
            Self::Terminated => status::TERMINATED,
        }
    }
}

impl Interrupts {
    /// From now on neither of them ends this process by itself; the command that replaces it has them as usual.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// The next one. Nothing is lost when this is dropped.
    pub(super) async fn next(&mut self) -> Interrupt {
        tokio::select! {
            _ = self.interrupt.recv() => Interrupt::Interrupted,
            _ = self.terminate.recv() => Interrupt::Terminated,
        }
    }
}
