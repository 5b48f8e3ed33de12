//! The relying party's checks of what a browser answers (Web Authentication Level 3, sections 7.1 and 7.2), with attestation
//! `none`. Our own, because the kept crates either choose the challenge themselves or bring a second set of cryptography:
//! ARCHITECTURE.md says which were compared. Left out, because nothing here rests on them: `userHandle`, `type`, the key inside the
//! attested credential data, and the counter at registration.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::pkcs8::DecodePublicKey as _;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::{Challenge, CredentialId, Invitation, InvitationToken, Passkey, PasskeyName};
use crate::Timestamp;

/// User present, user verified, backup eligible, backup state, attested credential data (section 6.1).
const UP: u8 = 1;
const UV: u8 = 1 << 2;
const BE: u8 = 1 << 3;
const BS: u8 = 1 << 4;
const AT: u8 = 1 << 6;

/// An algorithm that passkeys sign with. Windows Hello has keys that sign with the second only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
}

impl Algorithm {
    /// Its number in COSE (RFC 9053, RFC 8812).
    pub(super) fn cose(self) -> i32 {
        match self {
            Self::Es256 => -7,
            Self::Rs256 => -257,
        }
    }

    pub(super) fn from_cose(number: i32) -> Option<Self> {
        [Self::Es256, Self::Rs256].into_iter().find(|known| known.cose() == number)
    }
}

/// Whether a `SubjectPublicKeyInfo` (DER) verifies a message's RS256 signature. RSA is not this crate's: it would bring a
/// library that no gate needs.
pub type VerifyRs256 = fn(public_key: &[u8], message: &[u8], signature: &[u8]) -> bool;

/// Why a browser's answer counts for nothing. The texts are for the person in front of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WebAuthnError {
    /// Not what a browser answers.
    #[error("the browser's answer cannot be read")]
    Malformed,
    /// Another page's origin or relying party, or a page within another's frame.
    #[error("the passkey was used on another page")]
    OtherPage,
    /// Another challenge: of another request, or of this one as it was before.
    #[error("the passkey was used for another request than the one on this page")]
    OtherChallenge,
    /// Nobody unlocked the authenticator.
    #[error("the passkey was used without a fingerprint, a face or a PIN")]
    NotVerified,
    /// This kind of key or algorithm is not accepted here.
    #[error("this kind of passkey cannot be used here")]
    UnknownAlgorithm,
    /// Another key signed, or something else was signed.
    #[error("the passkey's signature is not valid")]
    Signature,
    /// None of the approver's passkeys has this id.
    #[error("this passkey is not enrolled")]
    NotEnrolled,
    /// The authenticator has counted less than before: there may be a copy of it.
    #[error(
        "this passkey has counted less than at its last use. Use it once more. If this comes again, it may have been copied: tell the people who run this service"
    )]
    CounterWentBack,
}

use WebAuthnError::{
    CounterWentBack, Malformed, NotEnrolled, NotVerified, OtherChallenge, OtherPage, UnknownAlgorithm,
};

/// What the approver has shown for this very request: one of their passkeys, unlocked by them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyProof {
    credential: CredentialId,
    sign_count: SignCount,
}

/// What an authenticator has counted, and for which answer. The same answer may be sent again: its first sending may have been
/// lost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignCount {
    /// 0 where it does not count.
    pub count: u32,
    /// SHA-256 of the signature, in base64url.
    pub signature_sha256: String,
}

impl SignCount {
    /// Whether this may come after what was counted before. An authenticator that does not count always says 0: passkeys that
    /// are synced cannot count.
    fn follows(&self, before: &Self) -> bool {
        (self.count, before.count) == (0, 0) || self.count > before.count || self == before
    }
}

impl PasskeyProof {
    /// Which passkey.
    pub fn credential(&self) -> &CredentialId {
        &self.credential
    }

    /// What its authenticator has counted.
    pub fn sign_count(&self) -> &SignCount {
        &self.sign_count
    }
}

/// `RegistrationResponseJSON` (section 5.1.8), as far as it is looked at.
#[derive(Deserialize)]
struct Registration {
    id: String,
    response: RegistrationData,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RegistrationData {
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    authenticator_data: String,
    public_key: String,
    public_key_algorithm: i32,
}

/// `AuthenticationResponseJSON` (section 5.1.9), as far as it is looked at.
#[derive(Deserialize)]
struct Authentication {
    id: String,
    response: AuthenticationData,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthenticationData {
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    authenticator_data: String,
    signature: String,
}

/// `CollectedClientData` (section 5.8.1). Browsers may add members.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    r#type: String,
    challenge: String,
    origin: String,
    #[serde(default)]
    cross_origin: bool,
    #[serde(default)]
    top_origin: Option<String>,
}

impl Passkey {
    /// From a browser's answer to `navigator.credentials.create`. The key is taken from the answer's own `publicKey`
    /// (section 5.2.1.1), not from the attestation object: without attestation nothing vouches for either, and this one needs no
    /// CBOR. A key that is not the passkey's proves nothing later.
    pub fn from_registration(
        answer: &str,
        invitation: &Invitation,
        token: &InvitationToken,
        name: PasskeyName,
        now: Timestamp,
    ) -> Result<Self, WebAuthnError> {
        let Registration { id, response } = serde_json::from_str(answer).map_err(|_| Malformed)?;
        let (page, challenge) = (&invitation.page, Challenge::to_enrol(token));
        check_client(&decode(&response.client_data)?, "webauthn.create", challenge, page.origin())?;
        let data = decode(&response.authenticator_data)?;
        let data = AuthenticatorData::parse(&data)?;
        data.check(page.host())?;
        let credential = CredentialId::parse(&id).map_err(|_| Malformed)?;
        if data.credential().as_ref() != Some(&credential) {
            return Err(Malformed);
        }
        let algorithm = Algorithm::from_cose(response.public_key_algorithm).ok_or(UnknownAlgorithm)?;
        let public_key = decode(&response.public_key)?;
        let fits = match algorithm {
            Algorithm::Es256 => VerifyingKey::from_public_key_der(&public_key).is_ok(),
            // From 2,048 to 4,096 bits, in DER.
            Algorithm::Rs256 => (290..=560).contains(&public_key.len()),
        };
        if !fits {
            return Err(UnknownAlgorithm);
        }
        Ok(Self {
            approver: invitation.approver.clone(),
            credential,
            name,
            page: page.clone(),
            created_at: now,
            invitation: invitation.id.clone(),
            can_be_synced: data.has(BE),
            algorithm,
            public_key,
        })
    }

    /// Which passkey a browser's answer to `navigator.credentials.get` is of.
    pub fn of_answer<'a>(answer: &str, enrolled: &'a [Self]) -> Result<&'a Self, WebAuthnError> {
        let Authentication { id, .. } = serde_json::from_str(answer).map_err(|_| Malformed)?;
        enrolled.iter().find(|passkey| passkey.credential.to_string() == id).ok_or(NotEnrolled)
    }

    /// The approver's proof: this passkey, unlocked on its own page, for this challenge. `counted` is what its authenticator
    /// had counted when it was last used.
    pub fn prove(
        &self,
        answer: &str,
        challenge: Challenge,
        counted: &SignCount,
        rs256: VerifyRs256,
    ) -> Result<PasskeyProof, WebAuthnError> {
        let Authentication { id, response } = serde_json::from_str(answer).map_err(|_| Malformed)?;
        if id != self.credential.to_string() {
            return Err(NotEnrolled);
        }
        let client_data = decode(&response.client_data)?;
        check_client(&client_data, "webauthn.get", challenge, self.page.origin())?;
        let bytes = decode(&response.authenticator_data)?;
        let data = AuthenticatorData::parse(&bytes)?;
        data.check(self.page.host())?;
        if data.has(BE) != self.can_be_synced {
            return Err(Malformed);
        }
        let signed = [&bytes[..], &Sha256::digest(&client_data)[..]].concat();
        let signature = decode(&response.signature)?;
        if !self.verifies(&signed, &signature, rs256) {
            return Err(WebAuthnError::Signature);
        }
        let signature_sha256 = URL_SAFE_NO_PAD.encode(Sha256::digest(&signature));
        let sign_count = SignCount { count: data.sign_count, signature_sha256 };
        if !sign_count.follows(counted) {
            return Err(CounterWentBack);
        }
        Ok(PasskeyProof { credential: self.credential.clone(), sign_count })
    }

    fn verifies(&self, message: &[u8], signature: &[u8], rs256: VerifyRs256) -> bool {
        match self.algorithm {
            Algorithm::Es256 => {
                let key = VerifyingKey::from_public_key_der(&self.public_key).ok();
                let signature = Signature::from_der(signature).ok();
                key.zip(signature).is_some_and(|(key, signature)| key.verify(message, &signature).is_ok())
            }
            Algorithm::Rs256 => rs256(&self.public_key, message, signature),
        }
    }
}

fn decode(text: &str) -> Result<Vec<u8>, WebAuthnError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Malformed)
}

fn check_client(bytes: &[u8], kind: &str, challenge: Challenge, origin: &str) -> Result<(), WebAuthnError> {
    let client: ClientData = serde_json::from_slice(bytes).map_err(|_| Malformed)?;
    if client.r#type != kind || client.challenge != challenge.to_base64url() {
        return Err(OtherChallenge);
    }
    if client.origin != origin || client.cross_origin || client.top_origin.is_some() {
        return Err(OtherPage);
    }
    Ok(())
}

/// Section 6.1.
struct AuthenticatorData<'a> {
    relying_party: &'a [u8],
    flags: u8,
    sign_count: u32,
    rest: &'a [u8],
}

impl<'a> AuthenticatorData<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, WebAuthnError> {
        let (relying_party, rest) = bytes.split_at_checked(32).ok_or(Malformed)?;
        let (&[flags], rest) = rest.split_first_chunk().ok_or(Malformed)?;
        let (&count, rest) = rest.split_first_chunk().ok_or(Malformed)?;
        Ok(Self { relying_party, flags, sign_count: u32::from_be_bytes(count), rest })
    }

    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    fn check(&self, host: &str) -> Result<(), WebAuthnError> {
        if self.relying_party != &Sha256::digest(host)[..] {
            return Err(OtherPage);
        }
        if !self.has(UP) || !self.has(UV) {
            return Err(NotVerified);
        }
        // What is on other devices can be.
        if self.has(BS) && !self.has(BE) { Err(Malformed) } else { Ok(()) }
    }

    /// The id of the credential that was made (section 6.5.1): 16 bytes of AAGUID, the length, the id.
    fn credential(&self) -> Option<CredentialId> {
        let after = self.rest.get(16..).filter(|_| self.has(AT))?;
        let (&length, rest) = after.split_first_chunk()?;
        CredentialId::from_bytes(rest.get(..usize::from(u16::from_be_bytes(length)))?).ok()
    }
}
