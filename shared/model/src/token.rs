//! The approval token: a JWT (RFC 7519) in JWS compact form, ES256, signed at the moment of approval.
//!
//! It permits one action, once, at one gate. Bindings: the action's digest, the gate's `aud`, the issuer, the
//! times, the approval's id. A verifier accepts one algorithm, one `typ`, a key it already has, and reads every
//! part in a profile without duplicate or unknown header fields. Not done here: single use, which is the
//! issuer's record, not a property of a signature.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

mod key;
mod verify;

pub use key::{Jwk, Jwks, KeyId, PublicKey, Signature};
pub(crate) use verify::verify_jws;
pub use verify::{Expectations, TokenRefusal, VerifiedToken, attests, key_id, verify, verify_digest};

use crate::{BaseUrl, Decision, Request};

/// The `typ` of the header (RFC 8725 section 3.11): no other JWT can be taken for an approval.
pub const TYPE: &str = "sayso-approval+jwt";

/// The `type` of the one entry of `authorization_details` (RFC 9396).
pub const DETAIL_TYPE: &str = "sayso_action";

/// The most a clock of issuer and gate may differ, in seconds.
pub const LEEWAY_SECONDS: i64 = 30;

/// An issuer is named by the URL of the gate-facing function: `iss`, and where `/.well-known/jwks.json` is found.
pub type Issuer = BaseUrl;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

/// What a token says. Times are seconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The issuer's URL.
    pub iss: String,
    /// The approval's id.
    pub jti: String,
    /// `agent:<name>`.
    pub sub: String,
    /// One gate, as a string.
    pub aud: String,
    /// When it was signed.
    pub iat: i64,
    /// Not valid before.
    pub nbf: i64,
    /// Not valid from this moment on.
    pub exp: i64,
    /// When the approver proved themselves.
    pub auth_time: i64,
    /// How the approver proved themselves.
    pub amr: Vec<String>,
    /// The approver's pseudonymous id.
    pub approver: String,
    /// What is permitted: exactly one entry.
    pub authorization_details: [AuthorizationDetail; 1],
}

/// What is permitted (RFC 9396).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationDetail {
    /// [`DETAIL_TYPE`].
    pub r#type: String,
    /// The tool's name.
    pub tool: String,
    /// The action's digest.
    pub digest: String,
}

impl Claims {
    pub(crate) fn new(request: &Request, decision: &Decision, issuer: &Issuer) -> Self {
        let at = decision.at.as_unix_seconds();
        Self {
            iss: issuer.as_str().to_owned(),
            jti: request.id.to_string(),
            sub: format!("agent:{}", request.agent),
            aud: request.audience.as_str().to_owned(),
            iat: at,
            nbf: at,
            exp: decision.at.plus(request.token_lifetime.duration()).as_unix_seconds(),
            auth_time: at,
            amr: decision.proven_by.amr(),
            approver: request.approver.as_str().to_owned(),
            authorization_details: [AuthorizationDetail {
                r#type: DETAIL_TYPE.to_owned(),
                tool: request.action.tool.as_str().to_owned(),
                digest: request.action.digest().to_string(),
            }],
        }
    }
}

/// A token's header and claims, encoded and ready to sign.
#[derive(Debug)]
pub(crate) struct UnsignedToken(UnsignedJws);

impl UnsignedToken {
    pub(crate) fn new(key: &KeyId, claims: &Claims) -> Self {
        Self(UnsignedJws::new(TYPE, key, claims))
    }

    pub(crate) fn digest(&self) -> [u8; 32] {
        self.0.digest()
    }

    pub(crate) fn signed(self, signature: &Signature) -> ApprovalToken {
        ApprovalToken(self.0.signed(signature))
    }
}

/// The signing input of a JWS in compact form (RFC 7515 section 5.1).
#[derive(Debug)]
pub(crate) struct UnsignedJws(String);

impl UnsignedJws {
    pub(crate) fn new(of_type: &str, key: &KeyId, claims: &impl Serialize) -> Self {
        let header =
            Header { alg: "ES256".to_owned(), typ: of_type.to_owned(), kid: key.as_str().to_owned() };
        Self(format!("{}.{}", encode(&header), encode(claims)))
    }

    pub(crate) fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }

    pub(crate) fn signed(self, signature: &Signature) -> String {
        format!("{}.{}", self.0, URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }
}

/// Strings, numbers and lists of them always serialise.
#[expect(clippy::expect_used, reason = "a struct of strings and integers cannot fail to serialise")]
fn encode(part: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(part).expect("a struct of strings and integers"))
}

/// A signed token as text. Whether the signature holds is for [`verify()`] to say. `Debug` is redacted.
#[derive(Clone, PartialEq, Eq)]
pub struct ApprovalToken(String);

impl ApprovalToken {
    /// A token as stored or received, unverified.
    pub fn from_text(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The JWS compact form.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Its SHA-256, in base64url: tells which token it was, and permits nothing.
    pub fn sha256(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.0.as_bytes()))
    }
}

impl fmt::Debug for ApprovalToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApprovalToken(…)")
    }
}
