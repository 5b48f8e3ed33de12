//! How a command ends.

use sayso_cloud::Failure;
use sayso_cloud::operator::{RegistryError, RegistryRefusal};
use serde_json::Value;

/// Exit statuses.
pub(crate) mod status {
    /// It was done.
    pub(crate) const DONE: u8 = 0;
    /// It was not done: refused, or something broke.
    pub(crate) const NOT_DONE: u8 = 1;
    /// These arguments or settings cannot be used; clap ends with the same.
    pub(crate) const USAGE: u8 = 2;
}

/// What a command found or did, for people and for scripts.
#[derive(Debug)]
pub(crate) struct Report {
    /// Lines for a terminal, each with a line feed. Invisible characters from outside are named.
    pub(crate) text: String,
    /// One document.
    pub(crate) json: Value,
    pub(crate) status: u8,
}

impl Report {
    pub(crate) fn done(text: String, json: Value) -> Self {
        Self { text, json, status: status::DONE }
    }
}

/// Why nothing was done, and what to do about it.
#[derive(Debug)]
pub(crate) struct Stopped {
    pub(crate) status: u8,
    pub(crate) message: String,
}

impl Stopped {
    pub(crate) fn usage(message: impl ToString) -> Self {
        Self { status: status::USAGE, message: message.to_string() }
    }

    pub(crate) fn not_done(message: impl ToString) -> Self {
        Self { status: status::NOT_DONE, message: message.to_string() }
    }
}

impl From<RegistryError> for Stopped {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::Refused(refused) => Self::not_done(match what_to_do(&refused) {
                Some(advice) => format!("{refused}: {advice}"),
                None => refused.to_string(),
            }),
            RegistryError::Failed(failure) => failure.into(),
        }
    }
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::not_done(match advice(&failure) {
            "" => failure.to_string(),
            advice => format!("{failure}: {advice}"),
        })
    }
}

/// What an operator can do about a change that the registry refuses, in this program's commands.
fn what_to_do(refused: &RegistryRefusal) -> Option<String> {
    Some(match refused {
        RegistryRefusal::AgentTaken(name) => {
            format!("choose another name, or create a new key for it with `sayso agent rotate {name}`")
        }
        RegistryRefusal::UnknownAgent(_) => "`sayso agent list` shows the registered agents".to_owned(),
        RegistryRefusal::AgentDiffers(name) => {
            format!("revoke it with `sayso agent revoke {name}` and add it again")
        }
        RegistryRefusal::TooManyKeys(_) => "revoke it and add it again".to_owned(),
        RegistryRefusal::UnknownApprover(id) => format!("`sayso approver add {id} EMAIL` registers one"),
        RegistryRefusal::ApproverTaken(_) => "to give it another address, add --replace".to_owned(),
        RegistryRefusal::ApproverDiffers(..) => "to change theirs, too, add --replace".to_owned(),
        RegistryRefusal::ApproverInUse(id, _) => format!(
            "revoke them first, or give the id to someone else with `sayso approver add {id} EMAIL --replace`"
        ),
        RegistryRefusal::UnknownPasskey(id) => format!("`sayso approver passkeys {id}` lists them"),
        RegistryRefusal::UnknownGate(audience) => format!("`sayso gate add {audience}` registers it"),
        RegistryRefusal::GateTaken(_) => return None,
        RegistryRefusal::NoGates => {
            "`sayso gate add AUDIENCE` registers one, then add --gate AUDIENCE".to_owned()
        }
        RegistryRefusal::WhichGate => "say which the agent may ask for, with --gate AUDIENCE".to_owned(),
        RegistryRefusal::Contended => "run it again".to_owned(),
    })
}

/// What an operator can do about a call that did not succeed.
pub(crate) fn advice(failure: &Failure) -> &'static str {
    let Failure::Call { code, .. } = failure else {
        return "Sayso does not write such rows; find out who can write to the table";
    };
    match code.as_str() {
        "AccessDeniedException" | "UnauthorizedOperation" => {
            "these credentials lack a permission: docs/operating.md lists what an operator needs"
        }
        "ResourceNotFoundException" => {
            "there is no such table in this region: compare --table and --region with the stack's output TableName"
        }
        "NotFoundException" => {
            "there is no such key in this region: compare --audit-key or --enrolment-key, and --region, with the stack's outputs"
        }
        "ExpiredTokenException" | "UnrecognizedClientException" | "InvalidSignatureException" => {
            "AWS rejects these credentials: log in again, or choose others with --profile"
        }
        "no connection" => {
            "check the network and --region; behind a proxy, HTTPS_PROXY and AWS_CA_BUNDLE; with --local, that sayso-local runs"
        }
        "unreadable answer" => {
            "Sayso cannot use AWS's answer: a signing key must be of type ECC_NIST_P256, for SIGN_VERIFY"
        }
        "request could not be built" => "this is a fault of this program: report it with this message",
        "timed out" => "check the network. It is not known whether it was done: list, and run it again",
        "ThrottlingException" | "ProvisionedThroughputExceededException" => "the table is busy: run it again",
        _ => "",
    }
}
