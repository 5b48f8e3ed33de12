use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{MessageType, SigningAlgorithmSpec};
use sayso_model::token::{Jwks, PublicKey, Signature};

use crate::{Failure, VariableError, optional, required};

/// The signing keys, as KMS knows them.
#[derive(Debug, Clone)]
pub struct KeyIds {
    /// The one that signs.
    pub signing: String,
    /// One whose tokens are accepted all the same: the key that is to sign next, or the one that signed before.
    pub other: Option<String>,
}

impl KeyIds {
    /// From `SIGNING_KEY_ID` and, while keys are rotated, `OTHER_SIGNING_KEY_ID`.
    pub fn from_env() -> Result<Self, VariableError> {
        let text = |value: &str| Ok::<_, std::convert::Infallible>(value.to_owned());
        Ok(Self {
            signing: required("SIGNING_KEY_ID", text)?,
            other: optional("OTHER_SIGNING_KEY_ID", text)?,
        })
    }
}

impl KeyIds {
    /// From `ENROLMENT_KEY_ID`: the key that signs invitations and enrolled passkeys.
    pub fn enrolment_from_env() -> Result<Self, VariableError> {
        required("ENROLMENT_KEY_ID", |id| Ok::<_, std::convert::Infallible>(Self::from(id.to_owned())))
    }
}

impl From<String> for KeyIds {
    fn from(signing: String) -> Self {
        Self { signing, other: None }
    }
}

/// The public halves of the signing keys: all that a function needs which may not sign.
#[derive(Debug, Clone)]
pub struct PublicKeys {
    signing: PublicKey,
    other: Option<PublicKey>,
}

impl PublicKeys {
    /// Asks KMS for them: once, when a process starts, and for both at once, because Lambda gives a start ten seconds.
    pub async fn fetch(client: &aws_sdk_kms::Client, keys: &KeyIds) -> Result<Self, Failure> {
        let other = async {
            match &keys.other {
                Some(id) => public_key_of(client, id).await.map(Some),
                None => Ok(None),
            }
        };
        let (signing, other) = tokio::try_join!(public_key_of(client, &keys.signing), other)?;
        Ok(Self { signing, other })
    }

    /// What every accepted token verifies under: two keys while they are rotated.
    pub fn jwks(&self) -> Jwks {
        Jwks::of_all([&self.signing].into_iter().chain(&self.other))
    }
}

/// The signing key in KMS, which never leaves it. Whether [`Signer::sign`] works is up to the function's policy.
#[derive(Clone)]
pub struct Signer {
    client: aws_sdk_kms::Client,
    key_id: String,
    keys: PublicKeys,
}

impl Signer {
    /// As [`PublicKeys::fetch`], to sign with the first of the keys.
    pub async fn connect(client: aws_sdk_kms::Client, keys: impl Into<KeyIds>) -> Result<Self, Failure> {
        let ids = keys.into();
        let keys = PublicKeys::fetch(&client, &ids).await?;
        Ok(Self { client, key_id: ids.signing, keys })
    }

    /// What new tokens verify under.
    pub fn public_key(&self) -> &PublicKey {
        &self.keys.signing
    }

    /// What every accepted token verifies under: two keys while they are rotated.
    pub fn keys(&self) -> Jwks {
        self.keys.jwks()
    }

    /// Signs a SHA-256 digest.
    pub async fn sign(&self, digest: [u8; 32]) -> Result<Signature, Failure> {
        let call = "kms:Sign";
        let answer = self
            .client
            .sign()
            .key_id(&self.key_id)
            .message(Blob::new(digest))
            .message_type(MessageType::Digest)
            .signing_algorithm(SigningAlgorithmSpec::EcdsaSha256)
            .send()
            .await
            .map_err(|e| Failure::call(call, &e))?;
        let der = answer.signature.unwrap_or_else(|| Blob::new([]));
        Signature::from_der(der.as_ref()).map_err(|_| Failure::unreadable(call))
    }
}

async fn public_key_of(client: &aws_sdk_kms::Client, key_id: &str) -> Result<PublicKey, Failure> {
    let call = "kms:GetPublicKey";
    let answer = client.get_public_key().key_id(key_id).send().await.map_err(|e| Failure::call(call, &e))?;
    let der = answer.public_key.unwrap_or_else(|| Blob::new([]));
    PublicKey::from_spki_der(der.as_ref()).map_err(|_| Failure::unreadable(call))
}

/// Whether an RSA key (`SubjectPublicKeyInfo`, DER) verifies a message's RS256 signature: some passkeys sign with one. By
/// the library that also does TLS.
pub fn verifies_rs256(public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public_key).verify(message, signature).is_ok()
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};

    use super::verifies_rs256;

    #[test]
    fn an_rsa_signature_counts_under_its_own_key_and_for_its_own_message() {
        let [own, other] = [(); 2].map(|()| KeyPair::generate(KeySize::Rsa2048).unwrap());
        let spki = |key: &KeyPair| -> Vec<u8> {
            let der: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
            der.as_ref().to_vec()
        };
        let mut signature = vec![0; own.public_modulus_len()];
        own.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), b"message", &mut signature).unwrap();
        assert!(verifies_rs256(&spki(&own), b"message", &signature));
        assert!(!verifies_rs256(&spki(&own), b"another", &signature));
        assert!(!verifies_rs256(&spki(&other), b"message", &signature));
        assert!(!verifies_rs256(&spki(&own), b"message", &signature[1..]));
        assert!(!verifies_rs256(b"no key", b"message", &signature));
        // What enrolling takes for the length of one, from 2,048 to 4,096 bits.
        assert_eq!(spki(&own).len(), 294);
    }
}
