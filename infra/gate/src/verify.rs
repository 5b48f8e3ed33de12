//! `sayso-gate verify`: for scripts that act themselves. Exit 0 means: this one time, and exactly this.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use sayso_model::{CanonicalJson, MAX_BYTES};
use sayso_sdk::{Action, ApprovalToken, Gate, Permit, Refusal};
use thiserror::Error;

use crate::arguments::Verify;
use crate::clock;
use crate::terminal::{say, status};

/// Twice what any verifier looks at: a longer token is no token, and need not be read to its end.
const MAX_TOKEN_BYTES: u64 = 16 * 1024;

/// Nothing may be executed.
#[derive(Debug, Error)]
enum NotVerified {
    /// Before anybody looked at the token.
    #[error("{0}")]
    Unusable(String),
    /// By the gate or the issuer.
    #[error("{}: {refusal}", .refusal.reason())]
    Refused {
        #[from]
        refusal: Refusal,
    },
    /// The caller does not know that it may act.
    #[error(
        "The approval is used up, and its receipt cannot be written ({0}): do not act, ask for a new approval."
    )]
    Unheard(io::Error),
}

/// Verifies, redeems and writes the receipt; returns the exit status.
pub(crate) fn verify(arguments: Verify) -> ExitCode {
    let verified = permit(arguments).and_then(|permit| {
        let receipt = permit.receipt().to_json();
        let mut out = io::stdout().lock();
        writeln!(out, "{receipt}").and_then(|()| out.flush()).map_err(NotVerified::Unheard)
    });
    match verified {
        Ok(()) => ExitCode::SUCCESS,
        Err(refused) => {
            say(&refused);
            match refused {
                NotVerified::Unusable(_) => status::USAGE,
                NotVerified::Refused { .. } | NotVerified::Unheard(_) => status::REFUSED,
            }
            .into()
        }
    }
}

fn permit(arguments: Verify) -> Result<Permit, NotVerified> {
    let unusable = |problem: String| NotVerified::Unusable(problem);
    let trust = arguments.trust.resolve("sayso-gate verify").map_err(|e| unusable(e.to_string()))?;
    let action = Action { tool: arguments.tool, arguments: canonical(&arguments.arguments)? };
    let gate = Gate::new(trust.issuer, trust.audience, trust.name).map_err(|e| unusable(e.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| unusable(format!("this machine gives no I/O: {e}")))?;
    let token = token().map_err(|e| unusable(format!("standard input cannot be read: {e}")))?;
    Ok(runtime.block_on(gate.permit(&token, action, clock::now()))?)
}

/// What is about to be executed, from its file.
fn canonical(file: &Path) -> Result<CanonicalJson, NotVerified> {
    let shown = file.display();
    let most = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    let read = File::open(file).and_then(|file| file.take(most + 1).read_to_end(&mut bytes));
    read.map_err(|e| NotVerified::Unusable(format!("--arguments: {shown} cannot be read: {e}")))?;
    if bytes.len() > MAX_BYTES {
        return Err(NotVerified::Unusable(format!("--arguments: {shown} has more than {MAX_BYTES} bytes")));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| NotVerified::Unusable(format!("--arguments: {shown} is not UTF-8 text")))?;
    CanonicalJson::parse(&text)
        .map_err(|violation| NotVerified::Unusable(format!("--arguments: {shown}: {violation}")))
}

/// What `echo` and editors put behind the token is no part of it; anything else is for the gate to refuse.
fn token() -> io::Result<ApprovalToken> {
    let mut bytes = Vec::new();
    io::stdin().lock().take(MAX_TOKEN_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(ApprovalToken::from_text(text.strip_suffix('\n').unwrap_or(&text)))
}
