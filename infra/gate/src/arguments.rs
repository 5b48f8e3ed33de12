//! The program's flags, and the environment variables that stand in for them. The doc comments here are its `--help`.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args, Parser, Subcommand};
use sayso_model::passkey::RequiredProof;
use sayso_model::token::Issuer;
use sayso_model::{AgentKey, Audience, BaseUrl, ExpiresIn, GateName, Invalid, Reason, Summary, ToolName};
use sayso_sdk::{Gate, TlsError};
use thiserror::Error;

use crate::credentials::credential;

/// Runs a command or an MCP tool only after a human has approved it.
///
/// The operator of your Sayso deployment chose that human. Exactly what they approved runs, once.
///
/// It is a security boundary only if the agent cannot reach the credential behind it. If the agent could do
/// the same without asking, it is a guardrail.
#[derive(Parser)]
#[command(version, name = "sayso-gate", disable_help_subcommand = true, verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    Run(Run),
    Mcp(Mcp),
    Verify(Verify),
}

/// Run a command after a human has approved it
///
/// Asks for approval of exactly this command in this directory, waits, and runs it once. The human sees the
/// arguments, the program as it is found on PATH now, the directory, the names of the environment variables
/// that it gets, and whether it may read standard input.
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
    /// Also pass this variable to the command; the human sees its name, not its value (repeatable)
    #[arg(long, value_name = "NAME", value_parser = variable)]
    pub(crate) env: Vec<String>,
    /// Set the variables in this file (NAME=VALUE lines); the human sees its digest, not its contents
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,
    /// Let that file set this variable, although it changes what programs load (repeatable)
    #[arg(long, value_name = "NAME", value_parser = variable, requires = "env_file")]
    pub(crate) env_file_allow: Vec<String>,
    /// Do not pin file contents: files may change between approval and execution
    #[arg(long)]
    pub(crate) no_pin: bool,
    /// Let the command read standard input; without this it gets none
    #[arg(long)]
    pub(crate) stdin: bool,
    /// The command to run, after `--`; no shell interprets it unless you name one
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
}

const RUN_NOTES: &str = "\
The environment of the command:
  Those of PATH HOME USER LOGNAME SHELL LANG LANGUAGE LC_* TERM TZ TMPDIR that are set, the variables that
  --env names, and those in the file of --env-file. Nothing else, and never a SAYSO_ variable.

What is pinned, unless --no-pin:
  The program, its interpreter if it is a script, each regular file that an argument names (also behind the
  `=` of an option), and the file of --env-file: by path and SHA-256, and short texts (16 KiB together) in
  full. If one of them has changed since the human was asked, it is named, nothing runs, and the approval
  is not used up. A script runs from a copy: in it, $0 is not its path.

What the human does not see:
  The values of these variables, the contents of the file of --env-file, and what a program opens by
  itself: libraries, other files in the directory, and the programs that a script finds on PATH. The program
  opens the files that its arguments name once more. The human does not see either what arrives on --stdin,
  from the terminal, or through other files that sayso-gate was started with: do not approve those for a
  command that executes what it reads, such as a shell.

Exit status:
  The command's own, once it runs. Otherwise nothing has run, a line on standard error says why, and
  2    the arguments are wrong
  64   this command cannot be shown to a human as it stands
  75   nobody answered in time, the mail bounced, the request was withdrawn, or Sayso cannot be reached: the
       same command continues the same request, or asks again if that is over
  77   a human said no, the token is refused, the approval was used already, or what was approved has changed
  78   the settings are missing or wrong, or the file of --env-file cannot be used
  126  the program cannot be executed
  127  the program is not found
  130  Ctrl-C: the request is withdrawn; 143 when terminated, 129 when hung up

If sayso-gate dies in any other way, the same command finds the same request again, answered or not. What
was approved runs once or not at all: if it may have run already, the same command says so and does not run it.

Example:
  sayso-gate run --reason 'Nothing reads it any more.' -- dropdb --host db.internal orders_2019";

/// Stand in front of an MCP server, and ask a human before its tools run
///
/// Everything passes unchanged, except calls of tools that the policy gates. Such a call is forwarded only
/// after a human has approved exactly this tool with exactly these arguments. The agent does not need to know
/// about the gate: while nobody has answered, it is told to call again with the same arguments.
#[derive(Args)]
#[command(verbatim_doc_comment, override_usage = MCP_USAGE)]
#[command(group = ArgGroup::new("server").required(true).args(["upstream", "command"]))]
pub(crate) struct Mcp {
    /// Which tools are allowed, asked about or denied (TOML)
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// The MCP server behind the gate, over streamable HTTP [its Authorization header in env: SAYSO_UPSTREAM_AUTHORIZATION]
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// Serve over streamable HTTP on this address, such as 127.0.0.1:8080, instead of standard input and output
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Another host name, besides localhost, by which clients may reach --listen (repeatable)
    #[arg(long, value_name = "NAME", requires = "listen")]
    allowed_host: Vec<String>,
    /// Start the server's command as this user, with only the user's own group; the gate must run as root
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

/// [`Mcp`], validated.
#[derive(Debug)]
pub(crate) struct McpSettings {
    pub(crate) policy: PathBuf,
    pub(crate) upstream: UpstreamServer,
    /// Where to serve HTTP, instead of standard input and output.
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) allowed_hosts: Vec<String>,
    /// The user that the server's command runs as.
    pub(crate) user: Option<String>,
    pub(crate) connection: Connection,
}

/// The MCP server behind the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UpstreamServer {
    /// Over streamable HTTP. May contain a credential: never print it.
    Url(String),
    /// Over its standard input and output: the program and its arguments. Never empty.
    Command(Vec<OsString>),
}

impl Mcp {
    pub(crate) fn resolve(self) -> Result<McpSettings, SettingsError> {
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
/// Reads the token from standard input. For scripts and CI steps that act themselves: act only if this exits
/// with 0, only once, and exactly as FILE says.
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
  0    the action may be executed, this once; the receipt is on standard output (JSON)
  2    the settings or the arguments cannot be used; the token was not checked
  77   the token is refused: the reason is on standard error, and nothing is on standard output

The receipt has a digest, not the arguments: keep FILE where nobody can change it before you act.

Example:
  sayso-gate verify --tool deploy --arguments deploy.json < token.txt && ./deploy deploy.json";

/// How to reach Sayso, and with which key.
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
    /// Directory that remembers open requests across restarts [default: ~/.local/state/sayso-gate]
    #[arg(long, value_name = "DIR", env = "SAYSO_STATE", hide_env_values = true)]
    state: Option<PathBuf>,
}

/// Which issuer the gate trusts, and what the gate is called.
#[derive(Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct TrustArguments {
    /// The issuer whose tokens this gate accepts (the deployment's output Issuer)
    #[arg(long, value_name = "URL", env = "SAYSO_ISSUER", hide_env_values = true)]
    issuer: Option<String>,
    /// This gate's audience, as the operator registered it for the agent
    #[arg(long, value_name = "NAME", env = "SAYSO_AUDIENCE", hide_env_values = true)]
    audience: Option<String>,
    /// This gate's name in receipts [default: the program and its subcommand]
    #[arg(long, value_name = "TEXT", env = "SAYSO_GATE_NAME", hide_env_values = true)]
    name: Option<String>,
    /// What approvals must be proven by: email-link or passkey [default: email-link]
    #[arg(long, value_name = "PROOF", env = "SAYSO_REQUIRE_PROOF", hide_env_values = true)]
    require_proof: Option<String>,
}

/// [`TrustArguments`], validated.
#[derive(Debug, Clone)]
pub(crate) struct Trust {
    pub(crate) issuer: Issuer,
    pub(crate) audience: Audience,
    pub(crate) name: GateName,
    pub(crate) proof: RequiredProof,
}

impl Trust {
    /// The gate that has this trust.
    pub(crate) fn gate(self) -> Result<Gate, TlsError> {
        Ok(Gate::new(self.issuer, self.audience, self.name)?.require(self.proof))
    }
}

/// [`ConnectionArguments`], validated.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    pub(crate) mcp_url: BaseUrl,
    pub(crate) agent_key: AgentKey,
    pub(crate) trust: Trust,
    /// `None` is the default directory.
    pub(crate) state: Option<PathBuf>,
}

/// Settings that are missing or wrong, one per line: which one, what is wrong, how to fix it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", .0.join("\n"))]
pub(crate) struct SettingsError(Vec<String>);

impl TrustArguments {
    /// `name` is the gate's default name.
    pub(crate) fn resolve(self, name: &str) -> Result<Trust, SettingsError> {
        let mut problems = Vec::new();
        let trust = self.collect(name, &mut problems);
        trust.ok_or(SettingsError(problems))
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
        let required = Setting {
            names: "--require-proof or SAYSO_REQUIRE_PROOF",
            meaning: "what approvals must be proven by",
        };
        let proof = self.require_proof.as_deref().unwrap_or(RequiredProof::EmailLink.as_str());
        let proof = required.read(Some(proof), RequiredProof::parse, problems);
        Some(Trust { issuer: issuer?, audience: audience?, name: name?, proof: proof? })
    }
}

impl ConnectionArguments {
    /// Reads the agent key from its file or the environment. `name` is the gate's default name.
    pub(crate) fn resolve(self, name: &str) -> Result<Connection, SettingsError> {
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
        connection.ok_or(SettingsError(problems))
    }
}

/// A setting as error messages name it.
struct Setting {
    names: &'static str,
    meaning: &'static str,
}

impl Setting {
    /// Adds what is wrong to `problems`, without the value: that may be a key in the wrong place.
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

/// There is no flag for the key itself, because everyone on the machine can read a process's arguments.
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
    // The model's own message names a tool's argument.
    ExpiresIn::from_seconds(seconds).map_err(|_| "it must be 60 to 604800 (a minute to a week)".to_owned())
}

/// The name of a variable that may be passed on.
fn variable(text: &str) -> Result<String, String> {
    if !is_variable(text) {
        return Err("give a variable's name, of letters, digits and _; its value comes from the environment"
            .to_owned());
    }
    if text.starts_with("SAYSO_") {
        return Err("SAYSO_ variables are never passed on".to_owned());
    }
    Ok(text.to_owned())
}

/// Whether every shell accepts this as the name of a variable.
pub(crate) fn is_variable(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit())
}
