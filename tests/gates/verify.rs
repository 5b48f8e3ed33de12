use std::error::Error;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// What the token says, if it permits `tool` with `arguments` here and now. `keys` is `ISSUER/.well-known/jwks.json`.
pub fn verify(
    token: &str,
    keys: &JwkSet,
    issuer: &str,
    audience: &str,
    tool: &str,
    arguments: &Value,
) -> Result<Value, Box<dyn Error>> {
    let header = decode_header(token)?;
    if header.typ.as_deref() != Some("sayso-approval+jwt") {
        return Err("not an approval token".into());
    }
    let key = header.kid.as_deref().and_then(|kid| keys.find(kid)).ok_or("an unknown key")?;
    let mut rules = Validation::new(Algorithm::ES256);
    rules.set_required_spec_claims(&["exp", "nbf", "iss", "aud"]);
    rules.set_issuer(&[issuer]);
    rules.set_audience(&[audience]);
    rules.validate_nbf = true;
    rules.leeway = 30;
    let claims = decode::<Value>(token, &DecodingKey::from_jwk(key)?, &rules)?.claims;
    let canonical = serde_json_canonicalizer::to_vec(&json!({"arguments": arguments, "tool": tool}))?;
    let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(canonical));
    let approved = json!([{"type": "sayso_action", "tool": tool, "digest": digest}]);
    if claims["aud"] != audience || claims["authorization_details"] != approved {
        return Err("it approves another action, or one elsewhere".into());
    }
    Ok(claims)
}
