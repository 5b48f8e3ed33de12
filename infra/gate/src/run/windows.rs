//! `sayso-gate run` does not exist on Windows.
//!
//! A command is approved together with its program and files, and replaces the gate in one step (`execve`). Windows has no such
//! step and cannot start a program by a descriptor, so another program than the approved one could start.

use std::process::ExitCode;

use crate::arguments::Run;
use crate::terminal::{say, status};

/// Prints why, and fails. Nothing runs, and nobody is asked.
pub(crate) fn run(_: Run) -> ExitCode {
    say(
        "sayso-gate run is not available on Windows: nothing ran. Windows cannot guarantee that exactly the approved program starts. Run it in WSL or on Linux or macOS, or use `sayso-gate mcp` or `sayso-gate verify`",
    );
    status::CONFIGURATION.into()
}
