//! `sayso-gate verify`: for scripts that act themselves. Exit status 0 allows exactly this action, once.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use sayso_model::{CanonicalJson, MAX_BYTES};
use sayso_sdk::{Action, ApprovalToken, Permit, Refusal};
use thiserror::Error;

use crate::arguments::Verify;
use crate::clock;
use crate::terminal::{say, status};

/// Twice the length that a verifier accepts. A longer text is not a token, so the rest is not read.
const MAX_TOKEN_BYTES: u64 = 16 * 1024;

/// Why the action must not be executed.
#[derive(Debug, Error)]
enum VerifyError {
    /// The settings, the arguments or standard input cannot be used. The token was not checked.
    #[error("{0}")]
    Input(String),
    /// The gate or the issuer refused the token.
    #[error("{}: {refusal}", .refusal.reason())]
    Refused {
        #[from]
        refusal: Refusal,
    },
    /// The caller does not learn that it may act.
    #[error(
        "The approval is used up, and its receipt cannot be written ({0}): do not act, ask for a new approval."
    )]
    Receipt(io::Error),
}

/// Verifies, redeems and writes the receipt; returns the exit status.
pub(crate) fn verify(arguments: Verify) -> ExitCode {
    let verified = permit(arguments).and_then(|permit| {
        let receipt = permit.receipt().to_json();
        let mut out = io::stdout().lock();
        writeln!(out, "{receipt}").and_then(|()| out.flush()).map_err(VerifyError::Receipt)
    });
    match verified {
        Ok(()) => ExitCode::SUCCESS,
        Err(refused) => {
            say(&refused);
            match refused {
                VerifyError::Input(_) => status::USAGE,
                VerifyError::Refused { .. } | VerifyError::Receipt(_) => status::REFUSED,
            }
            .into()
        }
    }
}

fn permit(arguments: Verify) -> Result<Permit, VerifyError> {
    let invalid = |problem: String| VerifyError::Input(problem);
    let trust = arguments.trust.resolve("sayso-gate verify").map_err(|e| invalid(e.to_string()))?;
    let action = Action { tool: arguments.tool, arguments: canonical(&arguments.arguments)? };
    let gate = trust.gate().map_err(|e| invalid(e.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| invalid(format!("cannot start: {e}")))?;
    let token = token().map_err(|e| invalid(format!("standard input cannot be read: {e}")))?;
    Ok(runtime.block_on(gate.permit(&token, action, clock::now()))?)
}

/// Reads the arguments of the action from their file.
fn canonical(file: &Path) -> Result<CanonicalJson, VerifyError> {
    let shown = file.display();
    let most = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    let read = File::open(file).and_then(|file| file.take(most + 1).read_to_end(&mut bytes));
    read.map_err(|e| VerifyError::Input(format!("--arguments: {shown} cannot be read: {e}")))?;
    if bytes.len() > MAX_BYTES {
        return Err(VerifyError::Input(format!("--arguments: {shown} has more than {MAX_BYTES} bytes")));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| VerifyError::Input(format!("--arguments: {shown} is not UTF-8 text")))?;
    CanonicalJson::parse(&text)
        .map_err(|violation| VerifyError::Input(format!("--arguments: {shown}: {violation}")))
}

/// Reads the token without the line feed that `echo` and editors append. The gate refuses anything else.
fn token() -> io::Result<ApprovalToken> {
    let mut bytes = Vec::new();
    io::stdin().lock().take(MAX_TOKEN_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(ApprovalToken::from_text(text.strip_suffix('\n').unwrap_or(&text)))
}
