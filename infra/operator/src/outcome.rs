//! How a command ends.

use sayso_cloud::Failure;
use sayso_cloud::operator::{NotDone, Refused};
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
    /// Lines for a terminal, in which everything from outside is visible; each ends in a line feed.
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

impl From<NotDone> for Stopped {
    fn from(error: NotDone) -> Self {
        match error {
            NotDone::Refused(refused) => Self::not_done(match what_to_do(&refused) {
                Some(advice) => format!("{refused}: {advice}"),
                None => refused.to_string(),
            }),
            NotDone::Failed(failure) => failure.into(),
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
fn what_to_do(refused: &Refused) -> Option<String> {
    Some(match refused {
        Refused::AgentTaken(name) => {
            format!("choose another name, or make it a new key with `sayso agent rotate {name}`")
        }
        Refused::UnknownAgent(_) => "`sayso agent list` shows who is".to_owned(),
        Refused::AgentDiffers(name) => {
            format!("revoke it with `sayso agent revoke {name}` and add it again")
        }
        Refused::TooManyKeys(_) => "revoke it and add it again".to_owned(),
        Refused::UnknownApprover(id) => format!("`sayso approver add {id} EMAIL` registers one"),
        Refused::ApproverTaken(_) => "to give it another address, add --replace".to_owned(),
        Refused::ApproverDiffers(..) => "to change theirs, too, add --replace".to_owned(),
        Refused::ApproverInUse(id, _) => format!(
            "revoke them first, or give the id to someone else with `sayso approver add {id} EMAIL --replace`"
        ),
        Refused::UnknownGate(audience) => format!("`sayso gate add {audience}` registers it"),
        Refused::GateTaken(_) => return None,
        Refused::NoGates => "`sayso gate add AUDIENCE` registers one, then add --gate AUDIENCE".to_owned(),
        Refused::WhichGate => "say which the agent may ask for, with --gate AUDIENCE".to_owned(),
        Refused::Contended => "run it again".to_owned(),
    })
}

/// What an operator can do about a call that did not succeed.
pub(crate) fn advice(failure: &Failure) -> &'static str {
    let Failure::Call { code, .. } = failure else {
        return "nothing of Sayso's writes such a row; find out who may write to the table";
    };
    match code.as_str() {
        "AccessDeniedException" | "UnauthorizedOperation" => {
            "these credentials lack a permission: docs/operating.md lists what an operator needs"
        }
        "ResourceNotFoundException" => {
            "there is no such table in this region: compare --table and --region with the stack's output TableName"
        }
        "NotFoundException" => {
            "there is no such key in this region: compare --audit-key and --region with the stack's output AuditKeyId"
        }
        "ExpiredTokenException" | "UnrecognizedClientException" | "InvalidSignatureException" => {
            "AWS does not take these credentials: log in again, or choose others with --profile"
        }
        "no connection" => {
            "check the network and --region; behind a proxy, HTTPS_PROXY and AWS_CA_BUNDLE; with --local, that sayso-local runs"
        }
        "unreadable answer" => {
            "AWS's answer is not one that Sayso can use: a signing key has to be of the type ECC_NIST_P256, for SIGN_VERIFY"
        }
        "request could not be built" => "this is a fault of this program: report it with this message",
        "timed out" => "check the network; whether it was done is not known: list, and run it again",
        "ThrottlingException" | "ProvisionedThroughputExceededException" => "the table is busy: run it again",
        _ => "",
    }
}
