//! What is permitted, and nothing else, takes the place of this process.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use sayso_gate::Permit;

use super::Stopped;
use super::env_file::Variables;
use super::shell::{Shell, StandardInput};
use crate::terminal::status;

/// Everything that was waited for.
#[derive(Debug)]
pub(super) struct Permitted {
    pub(super) permit: Permit,
    /// From the file of `--env-file`.
    pub(super) variables: Variables,
}

/// Executes what was approved: there is no other source for what runs. Returns only if that cannot be executed.
pub(super) fn replace_process(permitted: Permitted) -> Stopped {
    let Some(mut command) = command(permitted) else {
        return used_up(status::CANNOT_BE_EXECUTED, "What was approved is no command.");
    };
    let error = command.exec();
    let problem = format!("{} cannot be executed: {error}.", command.get_program().display());
    let status = match error.kind() {
        io::ErrorKind::NotFound => status::NOT_FOUND,
        _ => status::CANNOT_BE_EXECUTED,
    };
    used_up(status, &problem)
}

fn used_up(status: u8, problem: &str) -> Stopped {
    Stopped::new(status, format!("{problem} The approval is used up, and nothing ran: it takes a new one."))
}

fn command(permitted: Permitted) -> Option<Command> {
    let action = permitted.permit.into_action();
    let Shell { argv, program, cwd, environment, env_file: _, stdin } = Shell::from_action(&action)?;
    let (name, arguments) = argv.split_first()?;
    let mut command = Command::new(program);
    command.arg0(name).args(arguments).current_dir(cwd).env_clear();
    command.envs(environment.into_iter().filter_map(value_from_env));
    command.envs(permitted.variables);
    if stdin == StandardInput::None {
        command.stdin(Stdio::null());
    }
    Some(command)
}

/// A variable that is passed on.
#[expect(clippy::disallowed_methods, reason = "the environment that is passed on")]
fn value_from_env(name: String) -> Option<(String, OsString)> {
    let value = std::env::var_os(&name)?;
    Some((name, value))
}
