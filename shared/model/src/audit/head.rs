use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::{Header, LineDigest, Range, TYPE};
use crate::Timestamp;
use crate::token::{Issuer, Jwks, KeyId, Signature, TokenRefusal, UnsignedJws, verify_jws};

/// What the head's JWS says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HeadClaims {
    issuer: String,
    table: String,
    from: Option<String>,
    to: String,
    entries: u64,
    /// The digest of the line before the head.
    last: String,
    exported_at: String,
}

/// What a head attests, once its signature holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) issuer: Issuer,
    pub(super) table: String,
    pub(super) range: Range,
    pub(super) entries: u64,
    pub(super) last: LineDigest,
    pub(super) exported_at: Timestamp,
}

impl Head {
    pub(super) fn new(header: &Header, entries: u64, last: LineDigest, exported_at: Timestamp) -> Self {
        let Header { issuer, table, range, .. } = header.clone();
        Self { issuer, table, range, entries, last, exported_at }
    }

    pub(super) fn unsigned(&self, key: &KeyId) -> UnsignedJws {
        let claims = HeadClaims {
            issuer: self.issuer.as_str().to_owned(),
            table: self.table.clone(),
            from: self.range.from().map(|from| from.to_string()),
            to: self.range.to().to_string(),
            entries: self.entries,
            last: self.last.to_string(),
            exported_at: self.exported_at.to_string(),
        };
        UnsignedJws::new(TYPE, key, &claims)
    }

    /// From its JWS, if one of these keys signed it.
    pub(super) fn verify(jws: &str, keys: &Jwks) -> Result<Self, &'static str> {
        let claims: HeadClaims = verify_jws(jws, TYPE, keys).map_err(|refusal| match refusal {
            TokenRefusal::Algorithm => "the head is not signed with ES256",
            TokenRefusal::Type => "what is in the head's place was signed as something else",
            TokenRefusal::UnknownKey => "the head is signed by another key",
            TokenRefusal::Signature => "the head's signature does not hold",
            _ => "the head is not a JWS as an export has it",
        })?;
        if !has_low_s(jws) {
            return Err("the head's signature was changed into its other form");
        }
        Self::parse(&claims).ok_or("the head's JWS does not say what a head says")
    }

    fn parse(claims: &HeadClaims) -> Option<Self> {
        let from = claims.from.as_deref().map(Timestamp::parse).transpose().ok()?;
        Some(Self {
            issuer: Issuer::parse(&claims.issuer).ok()?,
            table: claims.table.clone(),
            range: Range::new(from, Timestamp::parse(&claims.to).ok()?).ok()?,
            entries: claims.entries,
            last: LineDigest::parse(&claims.last)?,
            exported_at: Timestamp::parse(&claims.exported_at).ok()?,
        })
    }
}

/// Whether the signature is of the one form that an export has: `n − s` would hold as well as `s`.
fn has_low_s(jws: &str) -> bool {
    let bytes = jws.rsplit('.').next().and_then(|signature| URL_SAFE_NO_PAD.decode(signature).ok());
    let signature = bytes.as_deref().and_then(Signature::from_jws);
    signature.is_some_and(|signature| signature.low_s().to_bytes() == signature.to_bytes())
}
