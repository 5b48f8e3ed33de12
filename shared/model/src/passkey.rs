//! Passkeys: how an approver gets one, and what one proves (Web Authentication Level 3).
//!
//! Threat: somebody who reads the approver's mail, who has taken over `mcp`, or who writes rows of the table. Bindings: the
//! operator signs an [`Invitation`]; it is of no use without a code that never travels by mail. `enrol` signs the
//! [`Passkey`] that came of it, so a row that nobody signed is no passkey. An approval's challenge is made from everything
//! the page showed, so what was signed for one request approves no other. The origin is the one that was enrolled, never
//! what a request says. Not done here: a passkey that was removed cannot be told from one that was not, if somebody puts its
//! row back.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::invalid::check_prose;
use crate::text::text_traits;
use crate::token::{Jwks, KeyId, Signature, TokenRefusal, UnsignedJws, verify_jws};
use crate::{ApproverId, BaseUrl, Invalid, ProvenBy, RequestFingerprint, Timestamp};

mod invitation;
mod webauthn;

use webauthn::Algorithm;

pub use invitation::{INVITATION_LIFETIME, Invitation, InvitationCode, InvitationId, InvitationToken};
pub use webauthn::{PasskeyProof, SignCount, VerifyRs256, WebAuthnError};

/// The `typ` of the header of an enrolled passkey's JWS.
const TYPE: &str = "sayso-passkey+jwt";

/// What a page and the browser sign or make a passkey for: 32 bytes that stand for one request or one invitation, each of which
/// counts once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Challenge([u8; 32]);

impl Challenge {
    /// To approve this very request, as its page shows it. An approval is decided once, so it is of no use a second time; and
    /// nothing that was signed for it can deny, or enrol.
    pub fn to_approve(shown: &RequestFingerprint) -> Self {
        let hash = Sha256::new().chain_update(b"sayso passkey approves\0").chain_update(shown.as_bytes());
        Self(hash.finalize().into())
    }

    /// To enrol by this invitation, which can be done once. The page's script makes it as well: it is SHA-256 of the text.
    pub fn to_enrol(invitation: &InvitationToken) -> Self {
        Self(Sha256::digest(invitation.expose()).into())
    }

    /// Base64url, as the browser takes it and repeats it.
    pub fn to_base64url(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

/// A credential's id, which its authenticator chose: 16 to 1,023 bytes. Its text is base64url.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CredentialId(String);

impl CredentialId {
    /// From its text.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| (16..=1_023).contains(&bytes.len()));
        let refuse = || Invalid::new("a credential's id is 16 to 1,023 bytes in base64url");
        bytes.map(|_| Self(text.to_owned())).ok_or_else(refuse)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, Invalid> {
        Self::parse(&URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The first eight digits of its SHA-256, in hexadecimal: what people call it.
    pub fn label(&self) -> String {
        base16ct::lower::encode_string(&Sha256::digest(&self.0)[..4])
    }

    /// The 64 hexadecimal digits of its SHA-256: a fixed-size part of a table key.
    pub fn hash(&self) -> String {
        base16ct::lower::encode_string(&Sha256::digest(&self.0))
    }
}

impl fmt::Display for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_traits!(CredentialId);

/// What the approver calls a passkey: 1 to 60 characters on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyName(String);

impl PasskeyName {
    /// From its text.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        check_prose("name", text, 60, &[])?;
        Ok(Self(text.to_owned()))
    }

    /// The text, as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A passkey that its approver has enrolled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passkey {
    /// Whose it is.
    pub approver: ApproverId,
    /// What its authenticator calls it.
    pub credential: CredentialId,
    /// What the approver calls it.
    pub name: PasskeyName,
    /// The page that it works on. Its host is the relying party's id.
    pub page: BaseUrl,
    /// When it was enrolled.
    pub created_at: Timestamp,
    /// By which invitation.
    pub invitation: InvitationId,
    /// Whether its owner's other devices can have it as well: flag BE, which never changes.
    pub can_be_synced: bool,
    algorithm: Algorithm,
    /// A `SubjectPublicKeyInfo` in DER.
    public_key: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    /// The credential's id.
    jti: CredentialId,
    /// The approver's id.
    sub: String,
    /// The page's URL.
    aud: String,
    iat: i64,
    name: String,
    invitation: InvitationId,
    can_be_synced: bool,
    /// As in COSE (RFC 9053).
    alg: i32,
    /// `SubjectPublicKeyInfo`, DER in base64url.
    key: String,
}

/// An invitation or an enrolled passkey that lacks the enrolment key's signature.
#[derive(Debug)]
pub struct EnrolmentToSign(UnsignedJws);

impl EnrolmentToSign {
    /// SHA-256 of the JWS signing input: what the key signs.
    pub fn digest(&self) -> [u8; 32] {
        self.0.digest()
    }

    /// What is recorded.
    pub fn signed(self, signature: &Signature) -> String {
        self.0.signed(signature)
    }
}

impl Passkey {
    /// To be signed with the enrolment key.
    pub fn to_sign(&self, key: &KeyId) -> EnrolmentToSign {
        let claims = Claims {
            jti: self.credential.clone(),
            sub: self.approver.to_string(),
            aud: self.page.to_string(),
            iat: self.created_at.as_unix_seconds(),
            name: self.name.as_str().to_owned(),
            invitation: self.invitation.clone(),
            can_be_synced: self.can_be_synced,
            alg: self.algorithm.cose(),
            key: URL_SAFE_NO_PAD.encode(&self.public_key),
        };
        EnrolmentToSign(UnsignedJws::new(TYPE, key, &claims))
    }

    /// From what is recorded, if one of these enrolment keys signed it, and for this approver.
    pub fn verify(record: &str, approver: &ApproverId, keys: &Jwks) -> Result<Self, TokenRefusal> {
        let claims: Claims = verify_jws(record, TYPE, keys)?;
        if claims.sub != approver.as_str() {
            return Err(TokenRefusal::Audience);
        }
        Self::read(claims, approver).ok_or(TokenRefusal::Malformed)
    }

    fn read(claims: Claims, approver: &ApproverId) -> Option<Self> {
        Some(Self {
            approver: approver.clone(),
            credential: claims.jti,
            name: PasskeyName::parse(&claims.name).ok()?,
            page: BaseUrl::parse(&claims.aud).ok()?,
            created_at: Timestamp::from_unix_seconds(claims.iat).ok()?,
            invitation: claims.invitation,
            can_be_synced: claims.can_be_synced,
            algorithm: Algorithm::from_cose(claims.alg)?,
            public_key: URL_SAFE_NO_PAD.decode(&claims.key).ok()?,
        })
    }
}

/// What it takes to approve. To deny, the mailed link and its code are always enough.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum RequiredProof {
    /// The mailed link and the code of its page.
    #[default]
    EmailLink,
    /// The mailed link and one of the approver's passkeys.
    Passkey,
}

impl RequiredProof {
    /// The name in rows and on the command line: that of the [`ProvenBy`] it takes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EmailLink => "email-link",
            Self::Passkey => "passkey",
        }
    }

    /// Whether this proof is as much, or more.
    pub fn is_met_by(self, proof: ProvenBy) -> bool {
        match self {
            Self::EmailLink => true,
            Self::Passkey => proof == ProvenBy::Passkey,
        }
    }

    /// From its name.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match text {
            "email-link" => Ok(Self::EmailLink),
            "passkey" => Ok(Self::Passkey),
            _ => Err(Invalid::new("a proof is `email-link` or `passkey`")),
        }
    }
}

impl fmt::Display for RequiredProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

text_traits!(RequiredProof);
