use sayso_cloud::{Failure, verifies_rs256};
use sayso_model::Request;
use sayso_model::passkey::{Challenge, Passkey, PasskeyProof, WebAuthnError};

use crate::Deps;

/// Why a passkey's answer approves nothing.
pub(crate) enum PasskeyError {
    /// It does not hold: what the approver is told.
    Refused(String),
    /// Something broke.
    Failed(Failure),
}

impl From<Failure> for PasskeyError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<WebAuthnError> for PasskeyError {
    fn from(error: WebAuthnError) -> Self {
        Self::Refused(format!("Nothing was decided: {error}."))
    }
}

/// Verifies what a passkey answered, against what `enrol` has signed for this approver, and counts its use.
pub(crate) async fn prove(
    deps: &Deps,
    request: &Request,
    answer: &str,
) -> Result<PasskeyProof, PasskeyError> {
    let passkeys = deps.store.passkeys(&request.approver, &deps.enrolment_keys).await?;
    if passkeys.unsigned > 0 {
        let (approver, count) = (&request.approver, passkeys.unsigned);
        tracing::error!(%approver, count, "the table holds passkeys that enrol did not sign: somebody else wrote them");
    }
    if passkeys.enrolled.is_empty() {
        let problem = "Nothing was decided: no passkey of yours is enrolled. Ask the people who run this service for an invitation.";
        return Err(PasskeyError::Refused(problem.to_owned()));
    }
    let passkey = Passkey::of_answer(answer, &passkeys.enrolled)?;
    // Whoever has an old name of the page now could ask for the passkeys that belong to it.
    if deps.page_url.as_ref().is_some_and(|page| page.origin() != passkey.page.origin()) {
        return Err(WebAuthnError::OtherPage.into());
    }
    let counted = deps.store.sign_count(passkey).await?;
    let challenge = Challenge::to_approve(&request.fingerprint());
    let proof = passkey.prove(answer, challenge, &counted, verifies_rs256);
    let counts = match &proof {
        Ok(proof) => deps.store.count_signature(passkey, proof).await?,
        Err(WebAuthnError::CounterWentBack) => false,
        Err(error) => return Err((*error).into()),
    };
    if !counts {
        let (approver, passkey) = (&request.approver, passkey.credential.label());
        tracing::error!(%approver, passkey, "a passkey's counter went back: there may be a copy of it");
        return Err(WebAuthnError::CounterWentBack.into());
    }
    Ok(proof?)
}
