//! What the program is told: flags, and the environment where flags are silent. The `--help` here is what most people
//! read of it.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args, Parser, Subcommand};
use sayso_model::token::Issuer;
use sayso_model::{AgentKey, Audience, BaseUrl, ExpiresIn, GateName, Invalid, Reason, Summary, ToolName};
use thiserror::Error;

use crate::credentials::credential;

/// Lets a command, or an MCP server's tool, run only after a human has approved exactly that.
///
/// The human is the one that the operator of your Sayso deployment chose. What runs is what was approved,
/// to the letter, once.
///
/// It is a boundary where the credential is on this side of it, out of the agent's reach. Beside an agent
/// that could do the same without asking, it is a guardrail.
#[derive(Parser)]
#[command(version, name = "sayso-gate", disable_help_subcommand = true, verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) face: Face,
}

#[derive(Subcommand)]
pub(crate) enum Face {
    Run(Run),
    Mcp(Mcp),
    Verify(Verify),
}

/// Run a command after a human has approved it
///
/// Asks for approval of exactly this command in this directory, waits, and runs it once. The human is shown
/// the arguments, the program that they start as it is found on PATH now, the directory, the names of the
/// environment variables that it gets, and whether it may read this standard input.
#[derive(Args)]
#[command(after_long_help = RUN_NOTES, verbatim_doc_comment)]
pub(crate) struct Run {
    /// What this does, in one line, for the human (default: the command)
    #[arg(long, value_name = "TEXT", value_parser = Summary::parse)]
    pub(crate) summary: Option<Summary>,
    /// Why it is needed, for the human
    #[arg(long, value_name = "TEXT", value_parser = Reason::parse)]
    pub(crate) reason: Option<Reason>,
    /// How long the human may take, from 60 to 604800
    #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = expires_in)]
    pub(crate) expires_in: ExpiresIn,
    /// Pass this variable on, too; its value is not shown (repeatable)
    #[arg(long, value_name = "NAME", value_parser = variable)]
    pub(crate) env: Vec<String>,
    /// Set the variables in this file (NAME=VALUE lines); the human sees its digest, and nothing of it
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,
    /// Let that file set this variable, which changes what programs load (repeatable)
    #[arg(long, value_name = "NAME", value_parser = variable, requires = "env_file")]
    pub(crate) env_file_allow: Vec<String>,
    /// Ask about the names of files alone: what is in them may change before the command runs
    #[arg(long)]
    pub(crate) no_pin: bool,
    /// Let the command read this standard input; otherwise it gets none
    #[arg(long)]
    pub(crate) stdin: bool,
    /// What to run, after `--`; no shell reads it unless you name one
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
}

const RUN_NOTES: &str = "\
The environment of the command:
  PATH HOME USER LOGNAME SHELL LANG LANGUAGE LC_* TERM TZ TMPDIR as far as they are set, what --env
  names, and what the file of --env-file has. Nothing else, and never a SAYSO_ variable.

What is pinned, unless --no-pin:
  The program, what its first line runs it by, each regular file that an argument names (or names behind the
  `=` of an option), and the file of --env-file: by path and SHA-256, and short texts (16 KiB together) as
  they stand. What has changed by the time of the yes is named, nothing runs, and nothing is used up. A
  script runs from a copy: in it, $0 is not its path.

What the human does not see:
  The values of these variables, the file of --env-file, and what a program opens by itself: libraries,
  other files in the directory, and with PATH which programs a script finds. Files that arguments name are
  opened again by the program. And what comes in with --stdin, from the terminal, or by other open files that this was started with: do
  not approve it for a command that executes what it reads, such as a shell.

Exit status:
  The command's own, once it runs. Otherwise nothing has run, a line on standard error says why, and
  2    these arguments are not understood
  64   this command cannot be shown to a human as it stands
  75   nobody answered in time, the request was withdrawn, or Sayso cannot be reached: the same command
       goes on with the same request, or asks again if that is over
  77   a human said no; or the token is refused, or the approval was used already
  78   the settings are missing or wrong, or the file of --env-file cannot be used
  126  the program cannot be executed
  127  the program is not found
  130  Ctrl-C: the request is withdrawn; 143 when terminated, 129 when hung up

If it dies otherwise, the same command finds the same request again, answered or not. What was approved
runs once or not at all: where it may have been run, the same command says so and does not run.

Example:
  sayso-gate run --reason 'Nothing reads it any more.' -- dropdb --host db.internal orders_2019";

/// Stand in front of an MCP server, and let a human decide about its tools' calls
///
/// Everything passes as it is, except that a call of a tool that the policy gates is not forwarded until a
/// human has approved exactly this tool with exactly these arguments. The agent needs to know nothing of it:
/// while nobody has answered, it is told to call again with the same arguments.
#[derive(Args)]
#[command(verbatim_doc_comment, override_usage = MCP_USAGE)]
#[command(group = ArgGroup::new("server").required(true).args(["upstream", "command"]))]
pub(crate) struct Mcp {
    /// Which tools are allowed, asked for or denied (TOML)
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// The MCP server behind the gate, over streamable HTTP [its Authorization header in env: SAYSO_UPSTREAM_AUTHORIZATION]
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// Serve over streamable HTTP on this address, such as 127.0.0.1:8080, instead of standard input and output
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// A host name under which clients may reach --listen, beside localhost (repeatable)
    #[arg(long, value_name = "NAME", requires = "listen")]
    allowed_host: Vec<String>,
    /// Start the server's command as this user, in the user's own group alone; the gate must run as root
    #[arg(long, value_name = "NAME", requires = "command")]
    user: Option<String>,
    /// The MCP server behind the gate, as a command that speaks over its standard input and output, after `--`
    #[arg(last = true, value_name = "UPSTREAM COMMAND")]
    command: Vec<OsString>,
    #[command(flatten)]
    connection: ConnectionArguments,
}

const MCP_USAGE: &str = "\
sayso-gate mcp --policy <FILE> [OPTIONS] --upstream <URL>
       sayso-gate mcp --policy <FILE> [OPTIONS] -- <UPSTREAM COMMAND>...";

/// [`Mcp`], complete and well-formed.
#[derive(Debug)]
pub(crate) struct McpSettings {
    pub(crate) policy: PathBuf,
    pub(crate) upstream: UpstreamServer,
    /// Over HTTP here, instead of our own standard input and output.
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) allowed_hosts: Vec<String>,
    /// As whom the server's command is started.
    pub(crate) user: Option<String>,
    pub(crate) connection: Connection,
}

/// The MCP server behind the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UpstreamServer {
    /// Over streamable HTTP. May hold a credential: not to be shown.
    Url(String),
    /// Over its standard input and output: the program and its arguments, one at least.
    Command(Vec<OsString>),
}

impl Mcp {
    pub(crate) fn resolve(self) -> Result<McpSettings, Unusable> {
        Ok(McpSettings {
            policy: self.policy,
            upstream: self.upstream.map_or(UpstreamServer::Command(self.command), UpstreamServer::Url),
            listen: self.listen,
            allowed_hosts: self.allowed_host,
            user: self.user,
            connection: self.connection.resolve("sayso-gate mcp")?,
        })
    }
}

/// Check an approval token for an action, and use it up
///
/// Reads the token from standard input. For scripts and CI steps that act themselves: act if and only if this
/// exits with 0, once, and exactly as FILE says.
#[derive(Args)]
#[command(after_long_help = VERIFY_NOTES, verbatim_doc_comment)]
pub(crate) struct Verify {
    /// The tool that is about to be executed
    #[arg(long, value_name = "NAME", value_parser = ToolName::parse)]
    pub(crate) tool: ToolName,
    /// File with the arguments that are about to be executed: a JSON object
    #[arg(long, value_name = "FILE")]
    pub(crate) arguments: PathBuf,
    #[command(flatten)]
    pub(crate) trust: TrustArguments,
}

const VERIFY_NOTES: &str = "\
Exit status:
  0    this is the one time that this action may be executed; the receipt is on standard output (JSON)
  2    the settings or the arguments cannot be used; the token was not looked at
  77   the token is refused: the reason is on standard error, and nothing is on standard output

The receipt names the digest, so keep FILE where nobody can change it between this and the act.

Example:
  sayso-gate verify --tool deploy --arguments deploy.json < token.txt && ./deploy deploy.json";

/// Where Sayso is, and who we are there.
#[derive(Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArguments {
    /// The MCP endpoint of the Sayso deployment (its output McpUrl)
    #[arg(long, value_name = "URL", env = "SAYSO_MCP_URL", hide_env_values = true)]
    mcp_url: Option<String>,
    /// File that holds the agent key and nothing else [or the key itself in env: SAYSO_AGENT_KEY]
    #[arg(long, value_name = "FILE")]
    agent_key_file: Option<PathBuf>,
    #[command(flatten)]
    trust: TrustArguments,
    /// Directory that keeps which requests are open, across restarts [default: ~/.local/state/sayso-gate]
    #[arg(long, value_name = "DIR", env = "SAYSO_STATE", hide_env_values = true)]
    state: Option<PathBuf>,
}

/// Whose word counts, and under which name.
#[derive(Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct TrustArguments {
    /// The issuer of the tokens, the one whose word counts (the deployment's output Issuer)
    #[arg(long, value_name = "URL", env = "SAYSO_ISSUER", hide_env_values = true)]
    issuer: Option<String>,
    /// The audience that tokens for this gate are made out to, as the operator registered it for the agent
    #[arg(long, value_name = "NAME", env = "SAYSO_AUDIENCE", hide_env_values = true)]
    audience: Option<String>,
    /// What receipts call this gate [default: the program and its subcommand]
    #[arg(long, value_name = "TEXT", env = "SAYSO_GATE_NAME", hide_env_values = true)]
    name: Option<String>,
}

/// [`TrustArguments`], complete and well-formed.
#[derive(Debug, Clone)]
pub(crate) struct Trust {
    pub(crate) issuer: Issuer,
    pub(crate) audience: Audience,
    pub(crate) name: GateName,
}

/// [`ConnectionArguments`], complete and well-formed.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    pub(crate) mcp_url: BaseUrl,
    pub(crate) agent_key: AgentKey,
    pub(crate) trust: Trust,
    /// Or the default directory.
    pub(crate) state: Option<PathBuf>,
}

/// Settings that are missing or wrong, a line each: which, what is wrong, how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", .0.join("\n"))]
pub(crate) struct Unusable(Vec<String>);

impl TrustArguments {
    /// `name` is what the gate is called if it was not told.
    pub(crate) fn resolve(self, name: &str) -> Result<Trust, Unusable> {
        let mut problems = Vec::new();
        let trust = self.collect(name, &mut problems);
        trust.ok_or(Unusable(problems))
    }

    fn collect(self, name: &str, problems: &mut Vec<String>) -> Option<Trust> {
        let issuer = Setting {
            names: "--issuer or SAYSO_ISSUER",
            meaning: "the URL of the deployment's issuer (its output Issuer)",
        };
        let audience = Setting {
            names: "--audience or SAYSO_AUDIENCE",
            meaning: "the audience that the operator registered for the agent (the deployment's output Audience)",
        };
        let named =
            Setting { names: "--name or SAYSO_GATE_NAME", meaning: "what receipts are to call this gate" };
        let issuer = issuer.read(self.issuer.as_deref(), BaseUrl::parse, problems);
        let audience = audience.read(self.audience.as_deref(), Audience::parse, problems);
        let name = named.read(Some(self.name.as_deref().unwrap_or(name)), GateName::parse, problems);
        Some(Trust { issuer: issuer?, audience: audience?, name: name? })
    }
}

impl ConnectionArguments {
    /// With the agent key from its file or the environment. `name` is what the gate is called if it was not told.
    pub(crate) fn resolve(self, name: &str) -> Result<Connection, Unusable> {
        let mut problems = Vec::new();
        let mcp_url = Setting {
            names: "--mcp-url or SAYSO_MCP_URL",
            meaning: "the MCP endpoint of the deployment (its output McpUrl)",
        };
        let mcp_url = mcp_url.read(self.mcp_url.as_deref(), BaseUrl::parse, &mut problems);
        let agent_key = agent_key(self.agent_key_file.as_deref(), &mut problems);
        let trust = self.trust.collect(name, &mut problems);
        let state = self.state.filter(|state| !state.as_os_str().is_empty());
        let connection =
            (|| Some(Connection { mcp_url: mcp_url?, agent_key: agent_key?, trust: trust?, state }))();
        connection.ok_or(Unusable(problems))
    }
}

/// A setting as messages speak of it.
struct Setting {
    names: &'static str,
    meaning: &'static str,
}

impl Setting {
    /// What is wrong is added to `problems`; it never repeats the value, which may be a key in the wrong place.
    fn read<T>(
        &self,
        value: Option<&str>,
        parse: impl Fn(&str) -> Result<T, Invalid>,
        problems: &mut Vec<String>,
    ) -> Option<T> {
        let Self { names, meaning } = self;
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            problems.push(format!("{names} is missing: give {meaning}"));
            return None;
        };
        parse(value).map_err(|invalid| problems.push(format!("{names}: {invalid}; give {meaning}"))).ok()
    }
}

/// A key in a process's arguments can be read by everyone on the machine, so there is no flag for the key itself.
fn agent_key(file: Option<&Path>, problems: &mut Vec<String>) -> Option<AgentKey> {
    let meaning = "the key that was printed when the operator registered the agent";
    let Some(file) = file else {
        let setting = Setting { names: "SAYSO_AGENT_KEY (or --agent-key-file FILE)", meaning };
        return setting.read(credential("SAYSO_AGENT_KEY").as_deref(), AgentKey::parse, problems);
    };
    let setting = Setting { names: "--agent-key-file", meaning };
    match std::fs::read_to_string(file) {
        Ok(text) => setting.read(Some(text.trim_end_matches(['\r', '\n'])), AgentKey::parse, problems),
        Err(error) => {
            problems.push(format!(
                "--agent-key-file: {} cannot be read ({error}): name a file that holds {meaning}",
                file.display()
            ));
            None
        }
    }
}

fn expires_in(text: &str) -> Result<ExpiresIn, String> {
    let seconds = text.parse().map_err(|_| "it must be a whole number of seconds".to_owned())?;
    // The model names the agent's argument.
    ExpiresIn::from_seconds(seconds).map_err(|_| "it must be 60 to 604800 (a minute to a week)".to_owned())
}

/// A name that may be passed on.
fn variable(text: &str) -> Result<String, String> {
    if !is_variable(text) {
        return Err("give a variable's name, of letters, digits and _; its value comes from the environment"
            .to_owned());
    }
    if text.starts_with("SAYSO_") {
        return Err("what is Sayso's own is never passed on".to_owned());
    }
    Ok(text.to_owned())
}

/// Whether it is the name of an environment variable as every shell has it.
pub(crate) fn is_variable(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit())
}
