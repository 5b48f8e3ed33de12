//! What people read while the program works: on standard error, because standard output is the command's, the
//! protocol's or the receipt's.

use std::fmt::Display;
use std::io::{self, Write as _};

/// How the program ends when it has run nothing: by `sysexits.h` and as shells do, where they have a number for it.
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

/// Says it. Nobody may be there to read: what the program does, and does not, never hangs on that.
pub(crate) fn say(text: impl Display) {
    let lines = text.to_string().lines().map(|line| format!("sayso-gate: {line}\n")).collect::<String>();
    let _ = io::stderr().write_all(lines.as_bytes());
}
