//! AWS KMS, as far as it is used: P-256 keys that sign, answering `Sign` and `GetPublicKey`.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use p256::ecdsa::signature::{Signer as _, hazmat::PrehashSigner};
use p256::ecdsa::{DerSignature, SigningKey};
use p256::pkcs8::EncodePublicKey;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::engine::{Engine, EngineError, random};
use crate::outbox::guard;

/// The names of the keys among the host's notes, each its id (16 bytes), then its secret scalar (32 bytes): the one that
/// signs, the one that could take its place, the one that signs audit exports, and the one that signs invitations and passkeys.
const NOTES: [&str; 4] = ["signing-key", "spare-signing-key", "audit-key", "enrolment-key"];
const ID_BYTES: usize = 16;
/// What `Sign` takes with `MessageType: RAW`.
const MAX_RAW_MESSAGE: usize = 4096;
const ALGORITHM: &str = "ECDSA_SHA_256";
/// The algorithms that are KMS's own, but not for a P-256 key.
const OTHER_ALGORITHMS: [&str; 12] = [
    "RSASSA_PSS_SHA_256",
    "RSASSA_PSS_SHA_384",
    "RSASSA_PSS_SHA_512",
    "RSASSA_PKCS1_V1_5_SHA_256",
    "RSASSA_PKCS1_V1_5_SHA_384",
    "RSASSA_PKCS1_V1_5_SHA_512",
    "ECDSA_SHA_384",
    "ECDSA_SHA_512",
    "SM2DSA",
    "ML_DSA_SHAKE_256",
    "ED25519_SHA_512",
    "ED25519_PH_SHA_512",
];

/// Why there is no signer.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// The key cannot be read or kept.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The machine gives no randomness to make a key from.
    #[error("no randomness for a signing key: {0}")]
    Randomness(#[from] getrandom::Error),
    /// What is kept is not a key.
    #[error("the kept signing key is damaged")]
    Damaged,
}

/// The local stand-in for KMS, holding four ECC_NIST_P256 SIGN_VERIFY keys. Cheap to clone, and without `Debug`: nothing
/// that prints it can print the key.
#[derive(Clone)]
pub struct Signer(Arc<[Held; 4]>);

struct Held {
    key: SigningKey,
    arn: String,
    public_key: Vec<u8>,
}

impl Signer {
    /// Takes up the keys kept in the engine's database, made there at the first start.
    pub fn open(engine: &Engine) -> Result<Self, SignerError> {
        let [key, spare, audit, enrolment] = NOTES;
        Ok(Self(Arc::new([
            Held::open(engine, key)?,
            Held::open(engine, spare)?,
            Held::open(engine, audit)?,
            Held::open(engine, enrolment)?,
        ])))
    }

    /// The key that signs, as it is kept: its id, then its secret scalar. For tests that take the table elsewhere.
    pub fn kept(engine: &Engine) -> Result<Option<Vec<u8>>, SignerError> {
        let [key, ..] = NOTES;
        Ok(engine.notes().get(key)?)
    }

    /// Keeps a key that was kept elsewhere, before the first [`Signer::open`] makes one: for a table that brings its tokens.
    pub fn adopt(engine: &Engine, kept: &[u8]) -> Result<(), SignerError> {
        let [key, ..] = NOTES;
        Ok(engine.notes().add(key, kept)?)
    }

    /// The key's name for the functions: the same at every start on the same file.
    pub fn key_arn(&self) -> &str {
        let [key, ..] = &*self.0;
        &key.arn
    }

    /// The name of the key that could take its place.
    pub fn spare_key_arn(&self) -> &str {
        let [_, spare, ..] = &*self.0;
        &spare.arn
    }

    /// The name of the key that signs audit exports, and nothing else.
    pub fn audit_key_arn(&self) -> &str {
        let [.., audit, _] = &*self.0;
        &audit.arn
    }

    /// The name of the key that signs invitations and enrolled passkeys.
    pub fn enrolment_key_arn(&self) -> &str {
        let [.., enrolment] = &*self.0;
        &enrolment.arn
    }

    /// The KMS endpoint.
    pub fn router(&self) -> Router {
        Router::new().route("/", post(answer)).layer(guard::for_clients()).with_state(self.clone())
    }

    fn sign(&self, body: &[u8]) -> Result<Value, Refusal> {
        let request: Sign = read(body)?;
        let held = self.held(&request.key_id)?;
        self.check_algorithm(&request.signing_algorithm)?;
        let message = BASE64
            .decode(&request.message)
            .map_err(|_| Refusal("SerializationException", "Message is not base64".to_owned()))?;
        if message.is_empty() {
            return Err(invalid(
                "1 validation error detected: Value at 'message' failed to satisfy constraint: \
                                Member must have length greater than or equal to 1",
            ));
        }
        let signature: DerSignature = match request.message_type.as_deref().unwrap_or("RAW") {
            "RAW" if message.len() <= MAX_RAW_MESSAGE => held.key.sign(&message),
            "RAW" => {
                return Err(invalid(
                    "Message must be 4096 bytes or less with MessageType RAW; hash it first",
                ));
            }
            "DIGEST" if message.len() == 32 => held
                .key
                .sign_prehash(&message)
                .map_err(|_| Refusal("KMSInternalException", "the digest could not be signed".to_owned()))?,
            "DIGEST" => return Err(invalid("Digest is invalid length for algorithm ECDSA_SHA_256.")),
            other => return Err(invalid(&format!("MessageType {other} does not fit a P-256 key"))),
        };
        if request.dry_run {
            let would = "The request would have succeeded, but the DryRun option is set.".to_owned();
            return Err(Refusal("DryRunOperationException", would));
        }
        Ok(json!({
            "KeyId": held.arn,
            "Signature": BASE64.encode(signature.as_bytes()),
            "SigningAlgorithm": ALGORITHM,
        }))
    }

    fn get_public_key(&self, body: &[u8]) -> Result<Value, Refusal> {
        let request: GetPublicKey = read(body)?;
        let held = self.held(&request.key_id)?;
        Ok(json!({
            "KeyId": held.arn,
            "PublicKey": BASE64.encode(&held.public_key),
            "CustomerMasterKeySpec": "ECC_NIST_P256",
            "KeySpec": "ECC_NIST_P256",
            "KeyUsage": "SIGN_VERIFY",
            "SigningAlgorithms": [ALGORITHM],
        }))
    }

    fn held(&self, id: &str) -> Result<&Held, Refusal> {
        let is_it =
            |held: &&Held| id == held.arn || held.arn.rsplit_once('/').is_some_and(|(_, own)| id == own);
        let found = self.0.iter().find(is_it);
        found.ok_or_else(|| Refusal("NotFoundException", format!("Key '{id}' does not exist")))
    }

    fn check_algorithm(&self, algorithm: &str) -> Result<(), Refusal> {
        if algorithm == ALGORITHM {
            return Ok(());
        }
        if OTHER_ALGORITHMS.contains(&algorithm) {
            let why = format!("Algorithm {algorithm} is incompatible with key spec ECC_NIST_P256.");
            return Err(Refusal("InvalidKeyUsageException", why));
        }
        Err(invalid(&format!("Value '{algorithm}' at 'signingAlgorithm' is no signing algorithm")))
    }
}

impl Held {
    fn open(engine: &Engine, note: &str) -> Result<Self, SignerError> {
        if engine.notes().get(note)?.is_none() {
            engine.notes().add(note, &fresh_key()?)?;
        }
        // Read back: of two processes starting on one file, both use the key that was kept first.
        let kept = engine.notes().get(note)?.ok_or(SignerError::Damaged)?;
        let (id, secret) = kept.split_at_checked(ID_BYTES).ok_or(SignerError::Damaged)?;
        let key = SigningKey::from_slice(secret).map_err(|_| SignerError::Damaged)?;
        let public_key =
            key.verifying_key().to_public_key_der().map_err(|_| SignerError::Damaged)?.into_vec();
        let arn = format!("arn:aws:kms:us-east-1:000000000000:key/{}", uuid(id));
        Ok(Self { key, arn, public_key })
    }
}

fn fresh_key() -> Result<Vec<u8>, SignerError> {
    loop {
        let candidate: [u8; ID_BYTES + 32] = random()?;
        // One in 2^32 candidates lies outside the curve's order.
        if candidate.get(ID_BYTES..).is_some_and(|secret| SigningKey::from_slice(secret).is_ok()) {
            return Ok(candidate.to_vec());
        }
    }
}

fn uuid(id: &[u8]) -> String {
    let groups = [0..4, 4..6, 6..8, 8..10, 10..16];
    groups.map(|group| base16ct::lower::encode_string(id.get(group).unwrap_or_default())).join("-")
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Sign {
    key_id: String,
    message: String,
    message_type: Option<String>,
    signing_algorithm: String,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetPublicKey {
    key_id: String,
}

/// An error as KMS reports it: its type and its message.
struct Refusal(&'static str, String);

fn invalid(why: &str) -> Refusal {
    Refusal("ValidationException", why.to_owned())
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => invalid("a required parameter is missing or has the wrong type"),
        _ => Refusal("SerializationException", "the body is not JSON".to_owned()),
    })
}

async fn answer(State(signer): State<Signer>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let answer = match target {
        Some("TrentService.Sign") => signer.sign(&body),
        Some("TrentService.GetPublicKey") => signer.get_public_key(&body),
        _ => {
            Err(Refusal("UnknownOperationException", "this signer answers Sign and GetPublicKey".to_owned()))
        }
    };
    let (status, json) = match answer {
        Ok(json) => (StatusCode::OK, json),
        Err(Refusal(kind, message)) => (StatusCode::BAD_REQUEST, json!({"__type": kind, "message": message})),
    };
    (status, [(CONTENT_TYPE, "application/x-amz-json-1.1")], json.to_string()).into_response()
}
