//! The arguments of the tool `shell`: what the human sees of a command, and all that the command is built from.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use sayso_sdk::{Action, CanonicalJson, Summary, ToolName};
use serde::{Deserialize, Serialize};

use super::env_file::{self, Variables};
use super::pins::{self, Changed, Checked, Pins};
use super::starting::Startable;
use super::{Stopped, lookup, starting};
use crate::arguments::{Run, is_variable};
use crate::terminal::status;

/// The tool's name in the action that is approved.
const TOOL: &str = "shell";

/// The variables that most commands need and that usually hold no secret.
const PASSED_ON: [&str; 10] =
    ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TERM", "TZ", "TMPDIR"];

/// The longest summary that is made from a command, in characters.
const MAX_SUMMARY: usize = 200;

/// A complete command: only the values of its variables are missing.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shell {
    /// The name that the program is called by, and its arguments.
    pub(super) argv: Vec<String>,
    /// The file that is executed.
    pub(super) program: PathBuf,
    /// The working directory.
    pub(super) cwd: PathBuf,
    /// The names of the variables that it gets from the environment.
    pub(super) environment: BTreeSet<String>,
    /// The file from which it gets more variables.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) env_file: Option<PathBuf>,
    /// The variables that this file may set although they change what programs load.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) env_file_allow: BTreeSet<String>,
    /// The pinned files; absent with `--no-pin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pinned: Option<Pins>,
    pub(super) stdin: StandardInput,
}

/// What the command can read.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum StandardInput {
    /// Nothing.
    None,
    /// The standard input of this program.
    Inherited,
}

impl Shell {
    /// The command that these arguments would run here and now.
    pub(super) fn describe(arguments: &Run) -> Result<Self, Stopped> {
        let cwd = std::env::current_dir()
            .map_err(|e| cannot_be_shown(&format!("cannot read the working directory: {e}")))?;
        let argv = arguments.command.iter().enumerate();
        let argv: Vec<String> =
            argv.map(|(index, word)| text(&format!("argument {index}"), word)).collect::<Result<_, _>>()?;
        let program = lookup::program(argv.first().map_or("", String::as_str), &cwd)?;
        // `join` keeps `..` in the path: the kernel resolves it.
        let env_file = arguments.env_file.as_ref().map(|file| cwd.join(file));
        for (what, path) in [
            ("the program's path", Some(&program)),
            ("the working directory", Some(&cwd)),
            ("--env-file", env_file.as_ref()),
        ] {
            path.map(|path| text(what, path.as_os_str())).transpose()?;
        }
        let stdin = if arguments.stdin { StandardInput::Inherited } else { StandardInput::None };
        let pinned = if arguments.no_pin {
            None
        } else if !starting::SUPPORTED {
            return Err(cannot_be_shown(&"only Linux can start the very file that was shown: use --no-pin"));
        } else {
            let words = argv.get(1..).unwrap_or_default();
            let pins = Pins::take(&program, words, &cwd, env_file.as_deref());
            Some(pins.map_err(|Changed(problem)| cannot_be_shown(&problem))?)
        };
        let env_file_allow = arguments.env_file_allow.iter().cloned().collect();
        // A file that would be refused after the approval is refused before it.
        if let Some(file) = env_file.as_ref().filter(|file| pinned.is_some() || file.exists()) {
            variables_in(file, &env_file_allow)
                .map_err(|why| Stopped::new(status::CONFIGURATION, format!("{why} Nothing was asked.")))?;
        }
        let environment = names_from_env(&arguments.env)?;
        Ok(Self { argv, program, cwd, environment, env_file, env_file_allow, pinned, stdin })
    }

    /// The action that the human is asked about.
    pub(super) fn to_action(&self) -> Result<Action, Stopped> {
        let arguments = serde_json::to_string(self).map_err(|e| cannot_be_shown(&e))?;
        let arguments = CanonicalJson::parse(&arguments).map_err(|violation| {
            cannot_be_shown(&format!("{violation}. Put long arguments into a script"))
        })?;
        let tool = ToolName::parse(TOOL).map_err(|e| cannot_be_shown(&e))?;
        Ok(Action { tool, arguments })
    }

    /// The command of an approved action; `None` if the action is not a command.
    pub(super) fn from_action(action: &Action) -> Option<Self> {
        let ours = action.tool.as_str() == TOOL;
        serde_json::from_str(action.arguments.as_str()).ok().filter(|_| ours)
    }

    /// Opens the approved files, before the approval is used up. The error names what has changed.
    pub(super) fn ready(&self) -> Result<Ready, Stopped> {
        let (program, env_file) = match &self.pinned {
            Some(pins) => {
                let Checked { program, env_file } = pins.check(&self.cwd).map_err(not_as_approved)?;
                let mut startable = Startable::new(program).map_err(|e| {
                    Stopped::new(
                        status::CANNOT_BE_EXECUTED,
                        format!("{} cannot be started ({e}). {NOT_USED}", self.program.display()),
                    )
                })?;
                // A script may have been written to while it was copied. From here on nothing can change the copy.
                if !pins::is_program(startable.file(), pins) {
                    return Err(not_as_approved(Changed("the program is being changed".to_owned())));
                }
                (Some(startable), env_file)
            }
            None => (None, None),
        };
        let allowed = &self.env_file_allow;
        let variables = match (env_file, &self.env_file) {
            (Some(bytes), _) => env_file::parse(bytes, allowed).map_err(|e| format!("--env-file: {e}.")),
            (None, Some(file)) => variables_in(file, allowed),
            (None, None) => Ok(Variables::new()),
        };
        let variables =
            variables.map_err(|why| Stopped::new(status::CONFIGURATION, format!("{why} {NOT_USED}")))?;
        Ok(Ready { program, variables })
    }

    /// The summary if the caller gave none. The human sees the whole command beside it.
    pub(super) fn summary(&self) -> Summary {
        let words = self.argv.join(" ");
        let line: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let short = line.char_indices().nth(MAX_SUMMARY).map(|(end, _)| format!("{} …", &line[..end]));
        let summary = format!("Run {}", short.unwrap_or(line));
        Summary::parse(&summary).unwrap_or_else(|_| unreachable!("one line, and not too long"))
    }
}

/// What is needed to run the approved command, checked.
#[derive(Debug)]
pub(super) struct Ready {
    /// `None` with `--no-pin`: then whatever is at the program's path starts.
    pub(super) program: Option<Startable>,
    /// From the file of `--env-file`.
    pub(super) variables: Variables,
}

const NOT_USED: &str = "Nothing ran, and the approval is not used up.";

/// Reads the file of `--env-file`. The error is a message.
fn variables_in(file: &Path, allowed: &BTreeSet<String>) -> Result<Variables, String> {
    let read = |file| pins::read_all(file).map_err(|e| Changed(format!("it cannot be read ({e})")));
    let bytes = pins::open_regular(file).and_then(read);
    let bytes = bytes.map_err(|Changed(problem)| format!("--env-file: {problem}."))?;
    let unusable = |unreadable| format!("--env-file {}: {unreadable}.", file.display());
    env_file::parse(bytes, allowed).map_err(unusable)
}

fn not_as_approved(Changed(problem): Changed) -> Stopped {
    let why = format!(
        "This is not what was approved: {problem}. {NOT_USED} Restore it and run the command again. If you do not restore it, the next run asks for approval of the new state."
    );
    Stopped::new(status::REFUSED, why)
}

fn cannot_be_shown(problem: &dyn ToString) -> Stopped {
    let why =
        format!("This command cannot be approved as it stands: {}. Nothing was asked.", problem.to_string());
    Stopped::new(status::CANNOT_BE_SHOWN, why)
}

/// JSON is Unicode, so everything that is hashed and shown must be.
fn text(what: &str, value: &OsStr) -> Result<String, Stopped> {
    let owned = value.to_str().map(str::to_owned);
    owned.ok_or_else(|| cannot_be_shown(&format!("{what} is not UTF-8 text: rename it")))
}

/// The usual variables that are set, and those that were named.
#[expect(clippy::disallowed_methods, reason = "the environment that is passed on")]
fn names_from_env(named: &[String]) -> Result<BTreeSet<String>, Stopped> {
    if let Some(unset) = named.iter().find(|name| std::env::var_os(name).is_none()) {
        return Err(cannot_be_shown(&format!("--env {unset}: it is not set")));
    }
    let set = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let usual = set
        .filter(|name| PASSED_ON.contains(&name.as_str()) || (name.starts_with("LC_") && is_variable(name)));
    Ok(usual.chain(named.iter().cloned()).collect())
}
