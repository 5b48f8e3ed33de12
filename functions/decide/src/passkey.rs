use sayso_cloud::{Failure, verifies_rs256};
use sayso_model::passkey::{Challenge, Passkey, PasskeyProof, WebAuthnError};
use sayso_model::{BaseUrl, Request};

use crate::Deps;

/// What the hosts of Function URLs and of HTTP APIs end in: where the page has no name of its own.
const HOSTS_OF_AWS: [&str; 3] = [".on.aws", ".amazonaws.com", ".amazonaws.com.cn"];

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
        tracing::error!(%approver, count, "the table holds passkeys that are not signed with the present enrolment key");
    }
    if passkeys.enrolled.is_empty() {
        let problem = "Nothing was decided: you have no passkey here yet. Ask the people who run this service for an invitation.";
        return Err(PasskeyError::Refused(problem.to_owned()));
    }
    let passkey = Passkey::of_answer(answer, &passkeys.enrolled)?;
    if !belongs(&passkey.page, deps.page_url.as_ref()) {
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

/// Whether a passkey's page can be the one there is now. Whoever has an old name of the page could ask for the passkeys that belong
/// to it; AWS gives its own hosts to nobody else.
fn belongs(enrolled: &BaseUrl, page_url: Option<&BaseUrl>) -> bool {
    match page_url {
        Some(page) => page.origin() == enrolled.origin(),
        None => HOSTS_OF_AWS.iter().any(|suffix| enrolled.host().ends_with(suffix)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passkeys_of_a_name_that_was_given_up_count_no_more() {
        let url = |text| BaseUrl::parse(text).unwrap();
        let own = url("https://abc.lambda-url.eu-west-1.on.aws");
        let (old, new) = (url("https://old.example.com"), url("https://new.example.com"));
        for (enrolled, now, counts) in [
            (&new, Some(&new), true),
            (&old, Some(&new), false),
            (&own, Some(&new), false),
            (&old, None, false),
            (&own, None, true),
            (&url("https://abc.execute-api.eu-west-1.amazonaws.com"), None, true),
            (&url("https://amazonaws.com.example"), None, false),
            (&url("https://xon.aws"), None, false),
        ] {
            assert_eq!(belongs(enrolled, now), counts, "{enrolled} {now:?}");
        }
    }
}
