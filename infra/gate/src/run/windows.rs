//! `sayso-gate run` on Windows: not there.
//!
//! A command is approved with the program and the files that it is made of, and replaces the gate in one step (`execve`). Windows
//! has neither that step nor descriptors to start a program by, so what was approved could be another program when it starts.

use std::process::ExitCode;

use crate::arguments::Run;
use crate::terminal::{say, status};

/// Says what is missing. Nothing runs, and nobody is asked.
pub(crate) fn run(_: Run) -> ExitCode {
    say(
        "sayso-gate run is not available on Windows: nothing ran. Windows cannot replace a process by exactly the program that was approved. Run it in WSL or on Linux or macOS, or use `sayso-gate mcp` or `sayso-gate verify`",
    );
    status::CONFIGURATION.into()
}
