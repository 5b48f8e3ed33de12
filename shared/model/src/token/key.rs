use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa;
use p256::pkcs8::DecodePublicKey as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::Invalid;

/// An ES256 signature. KMS answers ASN.1 DER, a JWS carries `r ‖ s` (RFC 7518 section 3.4).
#[derive(Debug, Clone)]
pub struct Signature(ecdsa::Signature);

impl Signature {
    /// From KMS's DER.
    pub fn from_der(der: &[u8]) -> Result<Self, Invalid> {
        ecdsa::Signature::from_der(der)
            .map(Self)
            .map_err(|_| Invalid::new("not an ECDSA P-256 signature in DER"))
    }

    pub(crate) fn from_jws(bytes: &[u8]) -> Option<Self> {
        ecdsa::Signature::from_slice(bytes).ok().map(Self)
    }

    /// The 64 bytes `r ‖ s`.
    pub fn to_bytes(&self) -> [u8; 64] {
        self.0.to_bytes().into()
    }

    /// The one of the two forms `s` and `n − s`, which hold alike, whose `s` is the low one.
    pub(crate) fn low_s(&self) -> Self {
        Self(self.0.normalize_s())
    }

    pub(crate) fn as_ecdsa(&self) -> &ecdsa::Signature {
        &self.0
    }
}

/// A key's id: its JWK thumbprint (RFC 7638), so that it follows from the key and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyId(String);

impl KeyId {
    /// From its text, to compare a key with.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match URL_SAFE_NO_PAD.decode(text) {
            Ok(bytes) if bytes.len() == 32 => Ok(Self(text.to_owned())),
            _ => Err(Invalid::new("a key's id is its RFC 7638 thumbprint: 43 characters of base64url")),
        }
    }

    /// The 43 characters of base64url.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A P-256 public key that tokens verify under.
#[derive(Debug, Clone)]
pub struct PublicKey(ecdsa::VerifyingKey);

impl PublicKey {
    /// From a SubjectPublicKeyInfo in DER, as KMS's `GetPublicKey` answers.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, Invalid> {
        let key = ecdsa::VerifyingKey::from_public_key_der(der);
        key.map(Self)
            .map_err(|_| Invalid::new("not a P-256 public key in SPKI DER: create the key as ECC_NIST_P256"))
    }

    /// Its RFC 7638 thumbprint.
    pub fn id(&self) -> KeyId {
        let (x, y) = self.coordinates();
        let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        KeyId(URL_SAFE_NO_PAD.encode(Sha256::digest(members.as_bytes())))
    }

    /// As a JWK for publication.
    pub fn to_jwk(&self) -> Jwk {
        let (x, y) = self.coordinates();
        Jwk {
            kty: "EC".to_owned(),
            crv: "P-256".to_owned(),
            x,
            y,
            alg: "ES256".to_owned(),
            r#use: "sig".to_owned(),
            kid: self.id().0,
        }
    }

    fn coordinates(&self) -> (String, String) {
        let point = self.0.to_sec1_point(false);
        let encode = |coordinate: Option<&_>| {
            coordinate.map(|c: &p256::FieldBytes| URL_SAFE_NO_PAD.encode(c)).unwrap_or_default()
        };
        (encode(point.x()), encode(point.y()))
    }

    pub(crate) fn as_ecdsa(&self) -> &ecdsa::VerifyingKey {
        &self.0
    }
}

/// One public key in a JWKS (RFC 7517). Read without a JOSE library: only keys of these very members count, and a gate would carry
/// the library for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "RFC 7517 and RFC 7518 section 6.2 name the members")]
pub struct Jwk {
    pub kty: String,
    pub crv: String,
    pub x: String,
    pub y: String,
    pub alg: String,
    pub r#use: String,
    pub kid: String,
}

impl Jwk {
    /// The key, if this is a P-256 signing key.
    pub fn to_public_key(&self) -> Result<PublicKey, Invalid> {
        let named = self.kty == "EC" && self.crv == "P-256" && self.alg == "ES256" && self.r#use == "sig";
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| bytes.len() == 32);
        let point = decode(&self.x).zip(decode(&self.y)).filter(|_| named);
        let key = point
            .and_then(|(x, y)| ecdsa::VerifyingKey::from_sec1_bytes(&[&[4], &x[..], &y[..]].concat()).ok());
        key.map(PublicKey).ok_or_else(|| Invalid::new("not an ES256 signing key on P-256"))
    }
}

/// The keys an issuer signs with (RFC 7517 section 5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwks {
    /// The current key, and one that is being rotated out.
    pub keys: Vec<Jwk>,
}

impl Jwks {
    /// A set of one.
    pub fn of(key: &PublicKey) -> Self {
        Self::of_all([key])
    }

    /// These keys, the one that signs first.
    pub fn of_all<'a>(keys: impl IntoIterator<Item = &'a PublicKey>) -> Self {
        Self { keys: keys.into_iter().map(PublicKey::to_jwk).collect() }
    }
}

impl From<&PublicKey> for Jwks {
    fn from(key: &PublicKey) -> Self {
        Self::of(key)
    }
}
