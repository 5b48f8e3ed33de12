//! The program `sayso-gate`: it holds a command or an MCP call until a human has approved it.

#![cfg_attr(windows, expect(dead_code, reason = "only `run` uses it, and Windows has no `run`"))]

mod approval;
mod arguments;
mod clock;
mod credentials;
mod interrupts;
mod mcp;
mod relay;
#[cfg_attr(windows, path = "run/windows.rs")]
mod run;
mod terminal;
mod verify;

use std::process::ExitCode;

use arguments::{Arguments, Command};
use clap::Parser as _;
use terminal::{say, status};

fn main() -> ExitCode {
    if let Err(error) = credentials::take_from_env() {
        say(format_args!(
            "cannot hide the credentials in the environment ({error}): name a file with --agent-key-file"
        ));
        return status::CONFIGURATION.into();
    }
    match Arguments::parse().command {
        Command::Run(arguments) => run::run(arguments),
        Command::Mcp(arguments) => match arguments.resolve() {
            Ok(settings) => mcp::run(settings),
            Err(problem) => {
                say(problem);
                status::CONFIGURATION.into()
            }
        },
        Command::Verify(arguments) => verify::verify(arguments),
    }
}
