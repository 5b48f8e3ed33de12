use std::error::Error;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use serde_json::{Number, Value, json};
use sha2::{Digest as _, Sha256};

/// A number as it is written out; `None` if it is not an integer that is.
fn integer(number: &Number) -> Option<String> {
    let text = number.to_string();
    text.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit()).then_some(text)
}

fn has_large_integer(value: &Value) -> bool {
    let is_large =
        |number: &Number| number.as_f64().is_none_or(|double| double.abs() > 9_007_199_254_740_991.0);
    match value {
        Value::Number(number) => integer(number).is_some() && is_large(number),
        Value::Array(items) => items.iter().any(has_large_integer),
        Value::Object(members) => members.values().any(has_large_integer),
        _ => false,
    }
}

/// RFC 8785, but integers as they are written.
fn canonical(value: &Value) -> serde_json::Result<String> {
    Ok(match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_cached_key(|(name, _)| name.encode_utf16().collect::<Vec<_>>());
            let member = |(name, value): (&String, &Value)| {
                Ok(format!("{}:{}", serde_json_canonicalizer::to_string(name)?, canonical(value)?))
            };
            format!(
                "{{{}}}",
                members.into_iter().map(member).collect::<serde_json::Result<Vec<_>>>()?.join(",")
            )
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(canonical).collect::<serde_json::Result<Vec<_>>>()?.join(","))
        }
        Value::Number(number) => {
            integer(number).map_or_else(|| serde_json_canonicalizer::to_string(value), Ok)?
        }
        _ => serde_json_canonicalizer::to_string(value)?,
    })
}

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
    let mut action = json!({"arguments": arguments, "tool": tool});
    if has_large_integer(arguments) {
        action["integers"] = "exact".into();
    }
    let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(canonical(&action)?));
    let approved = json!([{"type": "sayso_action", "tool": tool, "digest": digest}]);
    if claims["aud"] != audience || claims["authorization_details"] != approved {
        return Err("it approves another action, or one elsewhere".into());
    }
    Ok(claims)
}
