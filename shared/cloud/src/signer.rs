use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{MessageType, SigningAlgorithmSpec};
use sayso_model::token::{PublicKey, Signature};

use crate::Failure;

/// The signing key in KMS, which never leaves it. Whether [`Signer::sign`] works is up to the function's policy.
#[derive(Clone)]
pub struct Signer {
    client: aws_sdk_kms::Client,
    key_id: String,
    public_key: PublicKey,
}

impl Signer {
    /// Asks KMS for the public key: once, when a process starts.
    pub async fn connect(client: aws_sdk_kms::Client, key_id: String) -> Result<Self, Failure> {
        let call = "kms:GetPublicKey";
        let answer =
            client.get_public_key().key_id(&key_id).send().await.map_err(|e| Failure::call(call, &e))?;
        let der = answer.public_key.unwrap_or_else(|| Blob::new([]));
        let public_key = PublicKey::from_spki_der(der.as_ref())
            .map_err(|e| Failure::corrupt("the signing key", "PublicKey", e))?;
        Ok(Self { client, key_id, public_key })
    }

    /// What tokens verify under.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
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
        Signature::from_der(der.as_ref()).map_err(|e| Failure::corrupt("KMS's answer", "Signature", e))
    }
}
