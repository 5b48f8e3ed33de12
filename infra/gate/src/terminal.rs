//! Messages to people. They go to standard error: standard output belongs to the command, the protocol or the receipt.

use std::fmt::Display;
use std::io::{self, Write as _};

/// The exit statuses when nothing ran, as in `sysexits.h` and as shells use them.
pub(crate) mod status {
    pub(crate) const USAGE: u8 = 2;
    pub(crate) const CANNOT_BE_SHOWN: u8 = 64;
    pub(crate) const TRY_AGAIN: u8 = 75;
    pub(crate) const REFUSED: u8 = 77;
    pub(crate) const CONFIGURATION: u8 = 78;
    pub(crate) const CANNOT_BE_EXECUTED: u8 = 126;
    pub(crate) const NOT_FOUND: u8 = 127;
    pub(crate) const HUNG_UP: u8 = 129;
    pub(crate) const INTERRUPTED: u8 = 130;
    pub(crate) const TERMINATED: u8 = 143;
}

/// Prints a message. A failure is ignored: whether somebody reads it must not change what the program does.
pub(crate) fn say(text: impl Display) {
    let lines = text.to_string().lines().map(|line| format!("sayso-gate: {line}\n")).collect::<String>();
    let _ = io::stderr().write_all(lines.as_bytes());
}
