use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Verifier as _;
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::key::{Jwks, Signature};
use super::{ApprovalToken, Claims, DETAIL_TYPE, Header, Issuer, LEEWAY_SECONDS, TYPE};
use crate::{
    Action, ActionDigest, ApprovalId, Audience, BaseUrl, Decision, ProvenBy, Request, Timestamp, check_text,
};

/// The longest token that is looked at, in bytes: ours are about 900.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// What a gate was configured with.
#[derive(Debug, Clone)]
pub struct Expectations {
    /// The one issuer it trusts.
    pub issuer: Issuer,
    /// Its own name.
    pub audience: Audience,
}

/// A token that permits the action it was verified with. Still to be redeemed: a signature can be shown twice.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedToken {
    /// The approval.
    pub id: ApprovalId,
    /// How the approver proved themselves.
    pub proven_by: ProvenBy,
    /// Everything the token says.
    pub claims: Claims,
}

/// Why a token does not permit an action here and now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TokenRefusal {
    /// Not a JWS in compact form whose parts are JSON of the expected shape.
    #[error("it is not an approval token: pass the approval_token exactly as check_approval returned it")]
    Malformed,
    /// `alg` is not ES256.
    #[error("its algorithm is not ES256: pass the approval_token exactly as check_approval returned it")]
    Algorithm,
    /// `typ` is not [`TYPE`].
    #[error("it is a token of another type: pass the approval_token exactly as check_approval returned it")]
    Type,
    /// `kid` names no key in the set.
    #[error(
        "it is signed with a key this issuer does not publish: compare the issuer that the gate was given with the one that signed"
    )]
    UnknownKey,
    /// The signature is not that key's over this text.
    #[error("its signature does not hold: pass the approval_token exactly as check_approval returned it")]
    Signature,
    /// `iss` is not the one expected, to the letter.
    #[error("it is from another issuer: compare the issuer that the gate was given with the one that signed")]
    Issuer,
    /// `aud` is not the one expected, to the letter.
    #[error("it is for another audience: ask for an approval for this gate's audience")]
    Audience,
    /// `nbf` is more than the leeway ahead.
    #[error("it is not valid yet: compare the clocks of issuer and gate")]
    NotYetValid,
    /// `exp` is more than the leeway behind.
    #[error("it has expired: ask for a new approval")]
    Expired,
    /// `authorization_details` names another tool, or another digest.
    #[error("it approves another action: what was approved must be executed exactly, or asked for anew")]
    Action,
    /// `amr` names no proof of this version's.
    #[error(
        "its approval was proven in a way that this version does not know, and is not used up: update the gate"
    )]
    Proof,
}

impl TokenRefusal {
    const ALL: [Self; 11] = [
        Self::Malformed,
        Self::Algorithm,
        Self::Type,
        Self::UnknownKey,
        Self::Signature,
        Self::Issuer,
        Self::Audience,
        Self::NotYetValid,
        Self::Expired,
        Self::Action,
        Self::Proof,
    ];

    /// Its name for programs: the `reason` of an issuer's answer.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "malformed_token",
            Self::Algorithm => "wrong_algorithm",
            Self::Type => "wrong_type",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "bad_signature",
            Self::Issuer => "wrong_issuer",
            Self::Audience => "wrong_audience",
            Self::NotYetValid => "not_yet_valid",
            Self::Expired => "expired",
            Self::Action => "wrong_digest",
            Self::Proof => "unknown_proof",
        }
    }

    /// From its name for programs.
    pub fn from_reason(reason: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| refusal.reason() == reason)
    }
}

/// Says whether `token` permits `action` at the gate that has these `expectations`.
pub fn verify(
    token: &ApprovalToken,
    jwks: &Jwks,
    expectations: &Expectations,
    action: &Action,
    now: Timestamp,
) -> Result<VerifiedToken, TokenRefusal> {
    let verified = verify_digest(token, jwks, expectations, &action.digest(), now)?;
    let [detail] = &verified.claims.authorization_details;
    // The digest covers the tool's name; the name beside it is for readers, and must not mislead them.
    if detail.tool == action.tool.as_str() { Ok(verified) } else { Err(TokenRefusal::Action) }
}

/// As [`verify`], for a caller that was told what is about to run only by its digest.
pub fn verify_digest(
    token: &ApprovalToken,
    jwks: &Jwks,
    expectations: &Expectations,
    digest: &ActionDigest,
    now: Timestamp,
) -> Result<VerifiedToken, TokenRefusal> {
    let claims = verify_signature(token, jwks)?;
    if claims.iss != expectations.issuer.as_str() {
        return Err(TokenRefusal::Issuer);
    }
    if claims.aud != expectations.audience.as_str() {
        return Err(TokenRefusal::Audience);
    }
    let now = now.as_unix_seconds();
    if claims.nbf.max(claims.iat) > now.saturating_add(LEEWAY_SECONDS) {
        return Err(TokenRefusal::NotYetValid);
    }
    if claims.exp.saturating_add(LEEWAY_SECONDS) <= now {
        return Err(TokenRefusal::Expired);
    }
    if !permits(&claims, digest) {
        return Err(TokenRefusal::Action);
    }
    // Before the token is used up: the receipt names the proof as well.
    let proven_by = ProvenBy::from_amr(&claims.amr).ok_or(TokenRefusal::Proof)?;
    let id = ApprovalId::parse(&claims.jti).map_err(|_| TokenRefusal::Malformed)?;
    Ok(VerifiedToken { id, proven_by, claims })
}

/// Says whether a stored token is the one signed for this stored request and decision: how every reader of the table
/// tells an approval from a row that merely says so. Whether it is still valid, and whose, is the gate's to judge; the
/// approver's note is in no token.
pub fn attests(
    token: &ApprovalToken,
    jwks: &Jwks,
    request: &Request,
    decision: &Decision,
) -> Result<(), TokenRefusal> {
    let claims = verify_signature(token, jwks)?;
    let issuer = BaseUrl::parse(&claims.iss).map_err(|_| TokenRefusal::Issuer)?;
    // Everything else a token says follows from the request and the decision.
    if claims == Claims::new(request, decision, &issuer) { Ok(()) } else { Err(TokenRefusal::Action) }
}

fn permits(claims: &Claims, digest: &ActionDigest) -> bool {
    let [detail] = &claims.authorization_details;
    detail.r#type == DETAIL_TYPE
        && ActionDigest::parse(&detail.digest).is_ok_and(|approved| approved == *digest)
}

/// The `kid` of a token that may be an approval token, unverified: for a gate to tell whether it has that key.
pub fn key_id(token: &ApprovalToken) -> Result<String, TokenRefusal> {
    Parts::of(token.expose(), TYPE).map(|parts| parts.kid)
}

/// A JWS taken apart: of the one algorithm and the type asked for, and not verified yet.
struct Parts<'a> {
    kid: String,
    signed: &'a str,
    claims: &'a str,
    signature: &'a str,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str, of_type: &str) -> Result<Self, TokenRefusal> {
        if text.len() > MAX_TOKEN_BYTES {
            return Err(TokenRefusal::Malformed);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(TokenRefusal::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenRefusal::Malformed)?;
        if claims.contains('.') {
            return Err(TokenRefusal::Malformed);
        }
        let Header { alg, typ, kid } = decode(header)?;
        if alg != "ES256" {
            return Err(TokenRefusal::Algorithm);
        }
        if typ != of_type {
            return Err(TokenRefusal::Type);
        }
        Ok(Self { kid, signed, claims, signature })
    }
}

fn verify_signature(token: &ApprovalToken, jwks: &Jwks) -> Result<Claims, TokenRefusal> {
    verify_jws(token.expose(), TYPE, jwks)
}

/// What a JWS of this type says, if one of these keys signed it. Whether what it says holds is for its reader.
pub(crate) fn verify_jws<T: DeserializeOwned>(
    text: &str,
    of_type: &str,
    jwks: &Jwks,
) -> Result<T, TokenRefusal> {
    let Parts { kid, signed, claims, signature } = Parts::of(text, of_type)?;
    // The key is looked up by an exact id in a set we hold; a `kid` is never a path or an address to fetch.
    let jwk = jwks.keys.iter().find(|jwk| jwk.kid == kid).ok_or(TokenRefusal::UnknownKey)?;
    let key = jwk.to_public_key().map_err(|_| TokenRefusal::UnknownKey)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenRefusal::Malformed)?;
    let signature = Signature::from_jws(&signature).ok_or(TokenRefusal::Signature)?;
    key.as_ecdsa().verify(signed.as_bytes(), signature.as_ecdsa()).map_err(|_| TokenRefusal::Signature)?;
    decode(claims)
}

/// Reads one part in the strict profile, so that a duplicated claim is refused whichever of the two a reader takes.
fn decode<T: DeserializeOwned>(part: &str) -> Result<T, TokenRefusal> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenRefusal::Malformed)?;
    let text = String::from_utf8(bytes).map_err(|_| TokenRefusal::Malformed)?;
    // A list would pass as a struct's fields in order.
    let value = check_text(&text).ok().filter(serde_json::Value::is_object).ok_or(TokenRefusal::Malformed)?;
    serde_json::from_value(value).map_err(|_| TokenRefusal::Malformed)
}
