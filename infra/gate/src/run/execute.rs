//! Replaces this process by the approved command.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use sayso_sdk::Permit;

use super::Stopped;
use super::shell::{Ready, Shell, StandardInput};
use super::starting::Startable;
use crate::terminal::status;

/// The permit, and what is needed to act on it.
#[derive(Debug)]
pub(super) struct Permitted {
    pub(super) permit: Permit,
    /// Kept open until the command has started.
    pub(super) ready: Ready,
}

/// Executes what the permit allows, and takes it from nowhere else. Returns only if that cannot be executed.
pub(super) fn replace_process(permitted: Permitted) -> Stopped {
    let Permitted { permit, ready } = permitted;
    let Some((program, mut command)) = command(permit, &ready) else {
        return used_up(status::CANNOT_BE_EXECUTED, "What was approved is not a command.");
    };
    let error = command.exec();
    let problem = format!("{} cannot be executed: {error}.", program.display());
    let status = match error.kind() {
        io::ErrorKind::NotFound => status::NOT_FOUND,
        _ => status::CANNOT_BE_EXECUTED,
    };
    used_up(status, &problem)
}

fn used_up(status: u8, problem: &str) -> Stopped {
    Stopped::new(status, format!("{problem} Nothing ran, but the approval is used up. Ask for a new one."))
}

fn command(permit: Permit, ready: &Ready) -> Option<(PathBuf, Command)> {
    let action = permit.into_action();
    let Shell { argv, program, cwd, environment, stdin, .. } = Shell::from_action(&action)?;
    let (name, arguments) = argv.split_first()?;
    let executed = ready.program.as_ref().map_or_else(|| program.clone().into_os_string(), Startable::path);
    let mut command = Command::new(executed);
    command.arg0(name).args(arguments).current_dir(cwd).env_clear();
    command.envs(environment.into_iter().filter_map(value_from_env));
    command.envs(&ready.variables);
    if stdin == StandardInput::None {
        command.stdin(Stdio::null());
    }
    Some((program, command))
}

/// A variable that is passed on.
#[expect(clippy::disallowed_methods, reason = "the environment that is passed on")]
fn value_from_env(name: String) -> Option<(String, OsString)> {
    let value = std::env::var_os(&name)?;
    Some((name, value))
}
