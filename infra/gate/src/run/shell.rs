//! The arguments of the tool `shell`: what a human is shown of a command, and all that it is built from.

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

/// The name under which it is approved.
const TOOL: &str = "shell";

/// What most commands need, and nothing that usually holds a secret.
const PASSED_ON: [&str; 10] =
    ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TERM", "TZ", "TMPDIR"];

/// The longest summary that is made from a command, in characters.
const MAX_SUMMARY: usize = 200;

/// A command, complete: who has this needs nothing else to run it but the values of the variables.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shell {
    /// As the program is told it was called, and its arguments.
    pub(super) argv: Vec<String>,
    /// What is executed.
    pub(super) program: PathBuf,
    /// Where.
    pub(super) cwd: PathBuf,
    /// The names of the variables that it gets from the environment.
    pub(super) environment: BTreeSet<String>,
    /// The file from which it gets more of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) env_file: Option<PathBuf>,
    /// The variables that this file may set although they change what programs load.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) env_file_allow: BTreeSet<String>,
    /// What the files are; absent where the human is asked about their names alone.
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
    /// What this program was given.
    Inherited,
}

impl Shell {
    /// What these arguments would run here and now.
    pub(super) fn describe(arguments: &Run) -> Result<Self, Stopped> {
        let cwd = std::env::current_dir()
            .map_err(|e| cannot_be_shown(&format!("the working directory is not to be had: {e}")))?;
        let argv = arguments.command.iter().enumerate();
        let argv: Vec<String> =
            argv.map(|(index, word)| text(&format!("argument {index}"), word)).collect::<Result<_, _>>()?;
        let program = lookup::program(argv.first().map_or("", String::as_str), &cwd)?;
        // Joining keeps what the path says: `..` is for the kernel to follow.
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
        // What will not do then does not do now.
        if let Some(file) = env_file.as_ref().filter(|file| pinned.is_some() || file.exists()) {
            variables_in(file, &env_file_allow)
                .map_err(|why| Stopped::new(status::CONFIGURATION, format!("{why} Nothing was asked.")))?;
        }
        let environment = names_from_env(&arguments.env)?;
        Ok(Self { argv, program, cwd, environment, env_file, env_file_allow, pinned, stdin })
    }

    /// What is asked for.
    pub(super) fn to_action(&self) -> Result<Action, Stopped> {
        let arguments = serde_json::to_string(self).map_err(|e| cannot_be_shown(&e))?;
        let arguments = CanonicalJson::parse(&arguments).map_err(|violation| {
            cannot_be_shown(&format!("{violation}. What does not fit into arguments fits into a script"))
        })?;
        let tool = ToolName::parse(TOOL).map_err(|e| cannot_be_shown(&e))?;
        Ok(Action { tool, arguments })
    }

    /// What was approved; nothing if that is no command of ours.
    pub(super) fn from_action(action: &Action) -> Option<Self> {
        let ours = action.tool.as_str() == TOOL;
        serde_json::from_str(action.arguments.as_str()).ok().filter(|_| ours)
    }

    /// Opens what was approved, before that is used up. The error names what is not as it was.
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
                // The copy of a script may hold what was written while it was made; from here on nothing changes it.
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

    /// In words, where the caller has none: the human sees the whole beside it.
    pub(super) fn summary(&self) -> Summary {
        let words = self.argv.join(" ");
        let line: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let short = line.char_indices().nth(MAX_SUMMARY).map(|(end, _)| format!("{} …", &line[..end]));
        let summary = format!("Run {}", short.unwrap_or(line));
        Summary::parse(&summary).unwrap_or_else(|_| unreachable!("one line, and not too long"))
    }
}

/// What is needed to run what was approved, and is as it was.
#[derive(Debug)]
pub(super) struct Ready {
    /// Absent where nothing is pinned: then it is whatever lies at the program's path.
    pub(super) program: Option<Startable>,
    /// From the file of `--env-file`.
    pub(super) variables: Variables,
}

const NOT_USED: &str = "Nothing ran, and the approval is not used up.";

/// What a file of `--env-file` holds now, or why it is of no use.
fn variables_in(file: &Path, allowed: &BTreeSet<String>) -> Result<Variables, String> {
    let read = |file| pins::read_all(file).map_err(|e| Changed(format!("it cannot be read ({e})")));
    let bytes = pins::open_regular(file).and_then(read);
    let bytes = bytes.map_err(|Changed(problem)| format!("--env-file: {problem}."))?;
    let unusable = |unreadable| format!("--env-file {}: {unreadable}.", file.display());
    env_file::parse(bytes, allowed).map_err(unusable)
}

fn not_as_approved(Changed(problem): Changed) -> Stopped {
    let why = format!(
        "What was approved is not what would run: {problem}. {NOT_USED} Put it back as it was and run the same again; otherwise the same command asks about it as it is now."
    );
    Stopped::new(status::REFUSED, why)
}

fn cannot_be_shown(problem: &dyn ToString) -> Stopped {
    let why =
        format!("This command cannot be approved as it stands: {}. Nothing was asked.", problem.to_string());
    Stopped::new(status::CANNOT_BE_SHOWN, why)
}

/// JSON, and so what is hashed and shown, is Unicode.
fn text(what: &str, value: &OsStr) -> Result<String, Stopped> {
    let owned = value.to_str().map(str::to_owned);
    owned.ok_or_else(|| cannot_be_shown(&format!("{what} is not UTF-8 text: rename it")))
}

/// The usual variables as far as they are set, and those that were named.
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
