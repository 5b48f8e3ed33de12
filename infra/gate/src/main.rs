//! `sayso-gate`: the lock as a program. It asks a human before it lets something run, and lets nothing run otherwise.

#![cfg_attr(windows, expect(dead_code, reason = "what only `run` uses, which is not there"))]

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

use arguments::{Arguments, Face};
use clap::Parser as _;
use terminal::{say, status};

fn main() -> ExitCode {
    if let Err(error) = credentials::take_from_env() {
        say(format_args!(
            "the credentials in the environment cannot be put out of sight ({error}): name a file with --agent-key-file"
        ));
        return status::CONFIGURATION.into();
    }
    match Arguments::parse().face {
        Face::Run(arguments) => run::run(arguments),
        Face::Mcp(arguments) => match arguments.resolve() {
            Ok(settings) => mcp::run(settings),
            Err(unusable) => {
                say(unusable);
                status::CONFIGURATION.into()
            }
        },
        Face::Verify(arguments) => verify::verify(arguments),
    }
}
