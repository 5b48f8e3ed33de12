//! The command line. Its doc comments are the `--help`, which is all that most people read.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use sayso_model::passkey::RequiredProof;
use sayso_model::{
    AgentName, ApprovalId, ApproverId, Audience, BaseUrl, EmailAddress, GateDescription, HourlyLimit, Mask,
    Overlap, Timestamp,
};

/// Operates a deployment of Sayso: who may ask, who decides, and what has been asked.
///
/// It uses the deployment's table with your AWS credentials, or a local host with --local.
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
    /// The stack's output McpUrl: for the client configuration that is printed, and for doctor
    #[arg(long, global = true, value_name = "URL", env = "SAYSO_MCP_URL", value_parser = BaseUrl::parse)]
    pub(crate) mcp_url: Option<BaseUrl>,
    /// The stack's output Issuer, whose keys verify approvals: for approvals, audit and doctor
    #[arg(long, global = true, value_name = "URL", env = "SAYSO_ISSUER", value_parser = BaseUrl::parse)]
    pub(crate) issuer: Option<BaseUrl>,
    /// The stack's output AuditKeyId, the key that signs audit exports
    #[arg(long, global = true, value_name = "ID", env = "SAYSO_AUDIT_KEY")]
    pub(crate) audit_key: Option<String>,
    /// The stack's output EnrolmentKeyId, the key that signs invitations and enrolled passkeys: for passkeys
    #[arg(long, global = true, value_name = "ID", env = "SAYSO_ENROLMENT_KEY")]
    pub(crate) enrolment_key: Option<String>,
    /// Trust the certificates in this file instead of the machine's
    #[arg(long, global = true, value_name = "FILE", env = "AWS_CA_BUNDLE", value_parser = clap::value_parser!(OsString))]
    pub(crate) ca_bundle: Option<OsString>,
    /// Use the sayso-local on this machine, at the port of its MCP endpoint (8787 if none is given)
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
    /// Check an AWS account before a deployment, and try a deployment in it
    #[command(subcommand)]
    Deploy(Deploy),
    #[command(flatten)]
    Deployed(Deployed),
    /// Export a signed record of what happened, and verify it
    #[command(subcommand)]
    Audit(Audits),
}

/// The commands that need a deployment's table.
#[derive(Subcommand)]
pub(crate) enum Deployed {
    /// Manage agents: who may ask
    #[command(subcommand)]
    Agent(Agents),
    /// Manage approvers: who decides
    #[command(subcommand)]
    Approver(Approvers),
    /// Manage gates: what approvals are for
    #[command(subcommand)]
    Gate(Gates),
    /// What has been asked, and how it stands
    #[command(subcommand)]
    Approvals(Approvals),
    /// Test the deployment end to end with a temporary agent
    Doctor(Doctor),
}

#[derive(Subcommand)]
pub(crate) enum Agents {
    /// Register an agent and print its key, once
    Add(AddAgent),
    /// List the agents and how many keys each has
    List,
    /// Create a new key for an agent and print it once. Old keys keep working for the overlap
    Rotate {
        /// The agent
        #[arg(value_parser = AgentName::parse)]
        name: AgentName,
        /// How long the old keys keep working: a number with s, m, h or d; 0 stops them at once
        #[arg(long, value_name = "TIME", default_value = "24h", value_parser = Overlap::parse)]
        overlap: Overlap,
    },
    /// Set what it takes to approve an agent's requests
    Proof {
        /// The agent
        #[arg(value_parser = AgentName::parse)]
        name: AgentName,
        /// email-link or passkey. If the gate takes more, that counts
        #[arg(value_parser = RequiredProof::parse)]
        proof: RequiredProof,
    },
    /// Stop every key of an agent at once
    Revoke {
        /// The agent
        #[arg(value_parser = AgentName::parse)]
        name: AgentName,
    },
}

#[derive(Args)]
pub(crate) struct AddAgent {
    /// The agent's name, as approvers will read it
    #[arg(value_parser = AgentName::parse)]
    pub(crate) name: AgentName,
    /// The approver who decides about its requests
    #[arg(long, value_name = "ID", value_parser = ApproverId::parse)]
    pub(crate) approver: ApproverId,
    /// A gate it may ask for (repeatable; the first is the default; may be omitted if only one gate is registered)
    #[arg(long, value_name = "AUDIENCE", value_parser = Audience::parse)]
    pub(crate) gate: Vec<Audience>,
}

#[derive(Subcommand)]
pub(crate) enum Approvers {
    /// Register an approver
    Add {
        /// A pseudonym: it appears in tokens and records, where the address never does
        #[arg(value_parser = ApproverId::parse)]
        id: ApproverId,
        /// The address that gets the requests
        #[arg(value_parser = EmailAddress::parse)]
        email: EmailAddress,
        /// Change the address of a registered approver, for its agents, too
        #[arg(long)]
        replace: bool,
    },
    /// List the approvers
    List {
        /// Show full addresses
        #[arg(long)]
        addresses: bool,
    },
    /// Mail an approver an invitation to enrol a passkey, and print the code that goes with it, once
    Invite(Invite),
    /// List the passkeys of an approver
    Passkeys {
        /// The approver
        #[arg(value_parser = ApproverId::parse)]
        id: ApproverId,
    },
    /// Remove a passkey from an approver at once
    RemovePasskey {
        /// The approver
        #[arg(value_parser = ApproverId::parse)]
        id: ApproverId,
        /// The passkey, as `approver passkeys` lists it
        #[arg(value_name = "PASSKEY", required_unless_present = "unsigned")]
        passkey: Option<String>,
        /// Remove the records that nobody enrolled: somebody else has written them
        #[arg(long, conflicts_with = "passkey")]
        unsigned: bool,
    },
    /// Remove an approver whom no agent asks any more, and their passkeys
    Remove {
        /// The approver
        #[arg(value_parser = ApproverId::parse)]
        id: ApproverId,
    },
}

#[derive(Args)]
pub(crate) struct Invite {
    /// The approver
    #[arg(value_parser = ApproverId::parse)]
    pub(crate) id: ApproverId,
    /// The stack's output PageUrl, the address that the passkey will belong to
    #[arg(long, value_name = "URL", env = "SAYSO_PAGE_URL", value_parser = BaseUrl::parse)]
    pub(crate) page_url: Option<BaseUrl>,
    /// Who the mail comes from: the stack's parameter SenderEmail
    #[arg(long, value_name = "EMAIL", env = "SAYSO_SENDER", value_parser = EmailAddress::parse)]
    pub(crate) sender: Option<EmailAddress>,
    /// Print the link, and mail nothing: for whoever has a better way to the approver than mail
    #[arg(long)]
    pub(crate) print: bool,
}

#[derive(Subcommand)]
pub(crate) enum Gates {
    /// Register a gate, by the audience of its tokens
    Add {
        /// The audience, as in the `aud` of a token
        #[arg(value_parser = Audience::parse)]
        audience: Audience,
        /// What the gate protects, in one line
        #[arg(long, value_name = "TEXT", value_parser = GateDescription::parse)]
        description: Option<GateDescription>,
        /// What it takes to approve what the gate is asked for: email-link or passkey
        #[arg(long, value_name = "PROOF", default_value = "email-link", value_parser = RequiredProof::parse)]
        proof: RequiredProof,
    },
    /// Set what it takes to approve what a gate is asked for
    Proof {
        /// The gate
        #[arg(value_parser = Audience::parse)]
        audience: Audience,
        /// email-link or passkey; if the agent needs more, that counts
        #[arg(value_parser = RequiredProof::parse)]
        proof: RequiredProof,
    },
    /// Set the arguments whose values are masked in mails, exports and `approvals show`. Replaces the previous list
    Mask {
        /// The gate
        #[arg(value_parser = Audience::parse)]
        audience: Audience,
        /// A JSON Pointer, like /login/password or /users/*/pin, or a glob over names, like '*token*'
        #[arg(value_name = "ARGUMENT", required_unless_present = "none", value_parser = Mask::parse)]
        masks: Vec<Mask>,
        /// Mask nothing
        #[arg(long, conflicts_with = "masks")]
        none: bool,
    },
    /// List the gates
    List,
}

#[derive(Subcommand)]
pub(crate) enum Approvals {
    /// List the requests, newest first
    List(Wanted),
    /// Show one approval: what was asked, who decided, how that was proven, and whether it was used
    Show {
        /// Its id
        #[arg(value_parser = ApprovalId::parse)]
        id: ApprovalId,
        /// Show the full address that a mail came back from
        #[arg(long)]
        addresses: bool,
        /// Show the arguments that the gate's masks hide
        #[arg(long)]
        unmasked: bool,
    },
}

#[derive(Args)]
pub(crate) struct Wanted {
    /// Only requests that can still be decided
    #[arg(long)]
    pub(crate) open: bool,
    /// Only requests of this agent
    #[arg(long, value_name = "NAME", value_parser = AgentName::parse)]
    pub(crate) agent: Option<AgentName>,
}

#[derive(Subcommand)]
pub(crate) enum Deploy {
    /// Check whether the account is ready, before or after a first deployment. Read-only
    Check(Check),
    /// Test a deployment on AWS, step by step. Asks you to approve one request
    Smoke(Smoke),
}

#[derive(Args)]
pub(crate) struct Smoke {
    /// Where the request is mailed: your own address, because you approve it
    #[arg(long, value_name = "EMAIL", value_parser = EmailAddress::parse)]
    pub(crate) email: EmailAddress,
    /// How long to wait for the decision: from 60s to 15m
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = wait)]
    pub(crate) wait: Duration,
}

#[derive(Args)]
pub(crate) struct Check {
    /// The sender of approval mails: the stack's parameter SenderEmail
    #[arg(long, value_name = "EMAIL", value_parser = EmailAddress::parse)]
    pub(crate) sender: Option<EmailAddress>,
    /// An approver's address (repeatable; with --table every registered approver is checked, too)
    #[arg(long, value_name = "EMAIL", value_parser = EmailAddress::parse)]
    pub(crate) approver: Vec<EmailAddress>,
    /// How many concurrent executions the deployment reserves: the sum of its …Concurrency parameters
    #[arg(long, value_name = "NUMBER", default_value_t = 48)]
    pub(crate) reserve: u16,
    /// How many checks of an agent may wait at a time: the parameter WaitsPerAgent
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) waits_per_agent: u8,
    /// How many requests an agent may make in an hour: the parameter RequestsPerAgentPerHour
    #[arg(long, value_name = "NUMBER", value_parser = HourlyLimit::parse, default_value = "20")]
    pub(crate) requests_per_agent: HourlyLimit,
    /// How many requests an approver may be mailed in an hour: the parameter MailsPerApproverPerHour
    #[arg(long, value_name = "NUMBER", value_parser = HourlyLimit::parse, default_value = "60")]
    pub(crate) mails_per_approver: HourlyLimit,
}

#[derive(Subcommand)]
pub(crate) enum Audits {
    /// Write what happened in a range of time to a signed file, in which each line names the digest of the one before
    Export(Export),
    /// Verify exports: detect entries that were removed, changed, added or reordered. Needs no deployment
    Verify(Verify),
    /// Print the public half of the audit key as a JSON Web Key Set. Save it for `verify --key`
    Keys,
}

#[derive(Args)]
pub(crate) struct Export {
    /// The file to write; it must not exist yet
    #[arg(long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Start of the range, like 2026-11-22 or 2026-11-22T12:00:00Z (default: where --previous ends, or the beginning)
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) from: Option<Timestamp>,
    /// End of the range, exclusive (default and maximum: ten minutes ago)
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) to: Option<Timestamp>,
    /// The export that this one continues. This one names it, so that `verify` notices if it is missing
    #[arg(long, value_name = "FILE")]
    pub(crate) previous: Option<PathBuf>,
    /// A key that may have signed --previous, besides the key that signs now: a file with what `audit keys` printed before the
    /// key was changed, or a thumbprint (repeatable)
    // One thumbprint in sixty-four begins with a hyphen.
    #[arg(long, value_name = "FILE|ID", allow_hyphen_values = true)]
    pub(crate) key: Vec<String>,
    /// A file with keys that the issuer no longer publishes, to verify the approvals that they signed (repeatable)
    #[arg(long, value_name = "FILE")]
    pub(crate) issuer_keys: Vec<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Verify {
    /// The exports, in the order of their ranges
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// A key to trust: a file with what `audit keys` printed, or a thumbprint (repeatable; default: the deployment's own
    /// audit key, by --audit-key or --local)
    // One thumbprint in sixty-four begins with a hyphen.
    #[arg(long, value_name = "FILE|ID", allow_hyphen_values = true)]
    pub(crate) key: Vec<String>,
    /// A file with the issuer's keys, to verify the approval tokens (repeatable; default: what --issuer publishes)
    #[arg(long, value_name = "FILE")]
    pub(crate) issuer_keys: Vec<PathBuf>,
}

fn moment(text: &str) -> Result<Timestamp, String> {
    let parsed = Timestamp::parse(text).or_else(|_| Timestamp::parse(&format!("{text}T00:00:00Z")));
    parsed.map_err(|_| "a time is written like 2026-11-22 or 2026-11-22T12:00:00Z, in UTC".to_owned())
}

#[derive(Args)]
pub(crate) struct Doctor {
    /// Where the request is mailed; with --local, doctor decides by itself
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
