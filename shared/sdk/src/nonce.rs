use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sayso_model::Nonce;

use crate::Refusal;

/// A nonce of 256 random bits. Only the holder of an attempt's nonce is given its receipt again.
#[expect(
    clippy::disallowed_methods,
    reason = "a gate links no AWS client, so not sayso-cloud: the one random value it needs is made here"
)]
pub(crate) fn fresh() -> Result<Nonce, Refusal> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| Refusal::NoRandomness)?;
    Nonce::parse(&URL_SAFE_NO_PAD.encode(bytes)).map_err(|_| Refusal::NoRandomness)
}
