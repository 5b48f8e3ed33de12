//! How a command ends.

use sayso_cloud::Failure;
use sayso_cloud::operator::NotDone;
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
            NotDone::Refused(refused) => Self::not_done(refused),
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
        "timed out" => "check the network; whether it was done is not known: list, and run it again",
        "ThrottlingException" | "ProvisionedThroughputExceededException" => "the table is busy: run it again",
        _ => "",
    }
}
