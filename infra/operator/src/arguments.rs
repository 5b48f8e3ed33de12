//! What the program is told. The `--help` here is what most people read of it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use sayso_model::{
    AgentName, ApprovalId, ApproverId, Audience, BaseUrl, EmailAddress, GateDescription, HourlyLimit, Mask,
    Overlap, Timestamp,
};

/// Operates a deployment of Sayso: who may ask, who decides, and what has been asked.
///
/// It talks to the deployment's table by AWS's ordinary credentials, or to a local host with --local.
///
/// Exit status: 0 it was done; 1 it was not, and standard error says why; 2 these arguments or settings
/// cannot be used.
#[derive(Parser)]
#[command(version, name = "sayso", disable_help_subcommand = true, verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Args)]
pub(crate) struct Connection {
    /// The deployment's table: the stack's output TableName
    #[arg(long, global = true, value_name = "NAME", env = "SAYSO_TABLE", conflicts_with = "local")]
    pub(crate) table: Option<String>,
    /// The deployment's AWS region, if it is not the profile's
    #[arg(long, global = true, value_name = "REGION", conflicts_with = "local")]
    pub(crate) region: Option<String>,
    /// The AWS profile whose credentials to use
    #[arg(long, global = true, value_name = "PROFILE", conflicts_with = "local")]
    pub(crate) profile: Option<String>,
    /// The stack's output McpUrl: for what to paste into a client, and for doctor
    #[arg(long, global = true, value_name = "URL", env = "SAYSO_MCP_URL", value_parser = BaseUrl::parse)]
    pub(crate) mcp_url: Option<BaseUrl>,
    /// The stack's output Issuer, whose keys approvals must verify under: for approvals, audit and doctor
    #[arg(long, global = true, value_name = "URL", env = "SAYSO_ISSUER", value_parser = BaseUrl::parse)]
    pub(crate) issuer: Option<BaseUrl>,
    /// The stack's output AuditKeyId, the key that signs audit exports
    #[arg(long, global = true, value_name = "ID", env = "SAYSO_AUDIT_KEY")]
    pub(crate) audit_key: Option<String>,
    /// Trust the certificates in this file, and not the machine's
    #[arg(long, global = true, value_name = "FILE", env = "AWS_CA_BUNDLE", value_parser = clap::value_parser!(OsString))]
    pub(crate) ca_bundle: Option<OsString>,
    /// Talk to the sayso-local on this machine, by the port of its MCP endpoint (8787 if none is given)
    #[arg(
        long,
        global = true,
        value_name = "PORT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "8787"
    )]
    pub(crate) local: Option<u16>,
    /// Print one JSON document instead of tables
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Whether an AWS account is ready for Sayso, and whether a deployment works in it
    #[command(subcommand)]
    Deploy(Deploy),
    #[command(flatten)]
    Deployed(Deployed),
    /// Keep what happened for longer than the table does, so that nobody can change it unseen
    #[command(subcommand)]
    Audit(Audits),
}

/// What needs a deployment to do it with.
#[derive(Subcommand)]
pub(crate) enum Deployed {
    /// Who may ask
    #[command(subcommand)]
    Agent(Agents),
    /// Who decides
    #[command(subcommand)]
    Approver(Approvers),
    /// What approvals are for
    #[command(subcommand)]
    Gate(Gates),
    /// What has been asked, and how it stands
    #[command(subcommand)]
    Approvals(Approvals),
    /// Ask, decide and redeem from end to end, as an agent that exists for a few minutes
    Doctor(Doctor),
}

#[derive(Subcommand)]
pub(crate) enum Agents {
    /// Register an agent, and print its key: once
    Add(AddAgent),
    /// Every agent, and how many keys it has
    List,
    /// Make an agent a new key, and print it: once; the old ones go on for the overlap
    Rotate {
        /// The agent
        #[arg(value_parser = AgentName::parse)]
        name: AgentName,
        /// How long the old keys go on: a number with s, m, h or d; 0 stops them at once
        #[arg(long, value_name = "TIME", default_value = "24h", value_parser = Overlap::parse)]
        overlap: Overlap,
    },
    /// Stop every key of an agent, at once
    Revoke {
        /// The agent
        #[arg(value_parser = AgentName::parse)]
        name: AgentName,
    },
}

#[derive(Args)]
pub(crate) struct AddAgent {
    /// What approvers will read as its name
    #[arg(value_parser = AgentName::parse)]
    pub(crate) name: AgentName,
    /// Who decides about what it asks
    #[arg(long, value_name = "ID", value_parser = ApproverId::parse)]
    pub(crate) approver: ApproverId,
    /// A gate it may ask for (repeatable; the first is meant when it names none; default: the only one there is)
    #[arg(long, value_name = "AUDIENCE", value_parser = Audience::parse)]
    pub(crate) gate: Vec<Audience>,
}

#[derive(Subcommand)]
pub(crate) enum Approvers {
    /// Register an approver
    Add {
        /// A pseudonym: it is in tokens and records, where the address never is
        #[arg(value_parser = ApproverId::parse)]
        id: ApproverId,
        /// Where the questions go
        #[arg(value_parser = EmailAddress::parse)]
        email: EmailAddress,
        /// Give an id that is there already this address, and tell its agents' rows
        #[arg(long)]
        replace: bool,
    },
    /// Every approver
    List {
        /// Show whole addresses
        #[arg(long)]
        addresses: bool,
    },
    /// Take an approver away that no agent has any more
    Remove {
        /// The approver
        #[arg(value_parser = ApproverId::parse)]
        id: ApproverId,
    },
}

#[derive(Subcommand)]
pub(crate) enum Gates {
    /// Register a gate, by the audience of its tokens
    Add {
        /// As in the `aud` of a token
        #[arg(value_parser = Audience::parse)]
        audience: Audience,
        /// What it stands in front of, in a line
        #[arg(long, value_name = "TEXT", value_parser = GateDescription::parse)]
        description: Option<GateDescription>,
    },
    /// Name the arguments whose values mails, exports and `approvals show` mask, in the place of those named before
    Mask {
        /// The gate
        #[arg(value_parser = Audience::parse)]
        audience: Audience,
        /// A JSON Pointer, like /login/password or /users/*/pin, or a glob over names, like '*token*'
        #[arg(value_name = "ARGUMENT", required_unless_present = "none", value_parser = Mask::parse)]
        masks: Vec<Mask>,
        /// Mask nothing any more
        #[arg(long, conflicts_with = "masks")]
        none: bool,
    },
    /// Every gate
    List,
}

#[derive(Subcommand)]
pub(crate) enum Approvals {
    /// What has been asked, newest first
    List(Wanted),
    /// One approval: what was asked, who decided, how that was proven, and whether it was used
    Show {
        /// Its id
        #[arg(value_parser = ApprovalId::parse)]
        id: ApprovalId,
        /// Show whole the address that a mail came back from
        #[arg(long)]
        addresses: bool,
        /// Show the arguments that the gate's masks hide
        #[arg(long)]
        unmasked: bool,
    },
}

#[derive(Args)]
pub(crate) struct Wanted {
    /// Only what somebody may still decide
    #[arg(long)]
    pub(crate) open: bool,
    /// Only what this agent asked
    #[arg(long, value_name = "NAME", value_parser = AgentName::parse)]
    pub(crate) agent: Option<AgentName>,
}

#[derive(Subcommand)]
pub(crate) enum Deploy {
    /// Look whether the account is ready, before a first deployment or after it: reads only, says what to do
    Check(Check),
    /// Try a deployment once, step by step, with what only AWS can show: asks you to approve one request
    Smoke(Smoke),
}

#[derive(Args)]
pub(crate) struct Smoke {
    /// Whose mailbox the question goes to: yours, because you approve it
    #[arg(long, value_name = "EMAIL", value_parser = EmailAddress::parse)]
    pub(crate) email: EmailAddress,
    /// How long to wait for the decision: from 60s to 15m
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = wait)]
    pub(crate) wait: Duration,
}

#[derive(Args)]
pub(crate) struct Check {
    /// Who approval mails come from: the stack's parameter SenderEmail
    #[arg(long, value_name = "EMAIL", value_parser = EmailAddress::parse)]
    pub(crate) sender: Option<EmailAddress>,
    /// Who will decide (repeatable; with --table also every registered approver)
    #[arg(long, value_name = "EMAIL", value_parser = EmailAddress::parse)]
    pub(crate) approver: Vec<EmailAddress>,
    /// How many concurrent executions the deployment is to reserve: its parameters …Concurrency together
    #[arg(long, value_name = "NUMBER", default_value_t = 46)]
    pub(crate) reserve: u16,
    /// How many checks of an agent may wait at a time: the parameter WaitsPerAgent
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) waits_per_agent: u8,
    /// How many requests an agent may make in an hour: the parameter RequestsPerAgentPerHour
    #[arg(long, value_name = "NUMBER", value_parser = HourlyLimit::parse, default_value = "20")]
    pub(crate) requests_per_agent: HourlyLimit,
    /// How many an approver may be mailed in an hour: the parameter MailsPerApproverPerHour
    #[arg(long, value_name = "NUMBER", value_parser = HourlyLimit::parse, default_value = "60")]
    pub(crate) mails_per_approver: HourlyLimit,
}

#[derive(Subcommand)]
pub(crate) enum Audits {
    /// Write what happened in a range of time into a file, each line bound to the one before, and sign it
    Export(Export),
    /// Find whatever was removed, changed, added or reordered since: needs the files and the key's public half, no deployment
    Verify(Verify),
    /// Print the public half of the audit key, as a JSON Web Key Set, to be kept for `verify --key`
    Keys,
}

#[derive(Args)]
pub(crate) struct Export {
    /// The file to write; it must not be there yet
    #[arg(long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// The first moment, like 2026-11-22 or 2026-11-22T12:00:00Z (default: where --previous ends, or the beginning)
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) from: Option<Timestamp>,
    /// The first moment after it (default, and at the latest: ten minutes ago, when no earlier fact can still come)
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) to: Option<Timestamp>,
    /// The export that this one continues: it is named, so that its absence shows
    #[arg(long, value_name = "FILE")]
    pub(crate) previous: Option<PathBuf>,
    /// Who may have signed --previous besides the key that signs now: what `audit keys` printed before the key was changed, as
    /// a file, or a key's thumbprint (repeatable)
    // One thumbprint in sixty-four begins with a hyphen.
    #[arg(long, value_name = "FILE|ID", allow_hyphen_values = true)]
    pub(crate) key: Vec<String>,
    /// Keys that the issuer no longer publishes, as a file, for the approvals that they signed (repeatable)
    #[arg(long, value_name = "FILE")]
    pub(crate) issuer_keys: Vec<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Verify {
    /// The exports, in the order of their ranges
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Whose signature counts: what `audit keys` printed, as a file, or a key's thumbprint (repeatable; default: the
    /// deployment's own audit key, by --audit-key or --local)
    // One thumbprint in sixty-four begins with a hyphen.
    #[arg(long, value_name = "FILE|ID", allow_hyphen_values = true)]
    pub(crate) key: Vec<String>,
    /// The issuer's keys, as a file, to verify the approval tokens with (repeatable; default: what --issuer publishes)
    #[arg(long, value_name = "FILE")]
    pub(crate) issuer_keys: Vec<PathBuf>,
}

fn moment(text: &str) -> Result<Timestamp, String> {
    let parsed = Timestamp::parse(text).or_else(|_| Timestamp::parse(&format!("{text}T00:00:00Z")));
    parsed.map_err(|_| "a time is written like 2026-11-22 or 2026-11-22T12:00:00Z, in UTC".to_owned())
}

#[derive(Args)]
pub(crate) struct Doctor {
    /// Whose mailbox the question goes to; with --local, doctor decides by itself
    #[arg(long, value_name = "EMAIL", value_parser = EmailAddress::parse)]
    pub(crate) email: Option<EmailAddress>,
    /// How long to wait for the decision: from 60s to 15m
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = wait)]
    pub(crate) wait: Duration,
}

fn wait(text: &str) -> Result<Duration, String> {
    let within = |wait: &Duration| (60..=900).contains(&wait.as_secs());
    let wait = Overlap::parse(text).ok().map(Overlap::duration).filter(within);
    wait.ok_or_else(|| "a wait is written like 60s or 10m, from 60s to 15m".to_owned())
}
