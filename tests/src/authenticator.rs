use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{DerSignature, SigningKey};
use p256::pkcs8::EncodePublicKey as _;
use sayso_cloud::random;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// User present.
pub const UP: u8 = 1;
/// User verified.
pub const UV: u8 = 1 << 2;
/// Backup eligible.
pub const BE: u8 = 1 << 3;
/// Backup state.
pub const BS: u8 = 1 << 4;
const AT: u8 = 1 << 6;

/// A passkey in software, and the browser around it: it answers as Web Authentication Level 3 has it, or as a test wants.
#[derive(Clone)]
pub struct Authenticator {
    key: SigningKey,
    id: [u8; 32],
    /// What it counts; 0 for one that does not count.
    pub count: u32,
}

/// What a browser and an authenticator are asked, and what they say of the user and of themselves.
#[derive(Clone)]
pub struct Ceremony {
    /// The challenge, in base64url.
    pub challenge: String,
    /// `webauthn.get` or `webauthn.create`.
    pub kind: &'static str,
    /// Of the page.
    pub origin: String,
    /// The relying party's id.
    pub relying_party: String,
    /// Of the authenticator data.
    pub flags: u8,
    /// Members of the client data beside those.
    pub more: Value,
}

impl Ceremony {
    /// Using a passkey on a page, as an honest browser does.
    pub fn get(challenge: &str, page_url: &str) -> Self {
        let host = page_url.split("://").nth(1).and_then(|rest| rest.split([':', '/']).next());
        Self {
            challenge: challenge.to_owned(),
            kind: "webauthn.get",
            origin: page_url.to_owned(),
            relying_party: host.expect("a host").to_owned(),
            flags: UP | UV,
            more: json!({}),
        }
    }

    /// Making a passkey by an invitation on a page.
    pub fn create(invitation: &str, page_url: &str) -> Self {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(invitation));
        Self { kind: "webauthn.create", flags: UP | UV | AT, ..Self::get(&challenge, page_url) }
    }

    fn client_data(&self) -> Vec<u8> {
        let mut data = json!({
            "type": self.kind, "challenge": self.challenge, "origin": self.origin, "crossOrigin": false,
        });
        for (name, value) in self.more.as_object().into_iter().flatten() {
            data[name] = value.clone();
        }
        data.to_string().into_bytes()
    }
}

impl Default for Authenticator {
    fn default() -> Self {
        Self::new()
    }
}

impl Authenticator {
    /// With a key of its own.
    pub fn new() -> Self {
        let key = SigningKey::from_slice(&random::bytes::<32>()).expect("a key");
        Self { key, id: random::bytes(), count: 0 }
    }

    /// The same, which counts from here on.
    pub fn counting_from(count: u32) -> Self {
        Self { count, ..Self::new() }
    }

    /// One that another key signs for, under the same id.
    pub fn with_another_key(&self) -> Self {
        Self { id: self.id, ..Self::new() }
    }

    /// The credential's id.
    pub fn id(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.id)
    }

    fn data(&self, ceremony: &Ceremony) -> Vec<u8> {
        let mut data = Sha256::digest(&ceremony.relying_party).to_vec();
        data.push(ceremony.flags);
        data.extend(self.count.to_be_bytes());
        if ceremony.flags & AT != 0 {
            data.extend([0; 16]);
            data.extend(32_u16.to_be_bytes());
            data.extend(self.id);
        }
        data
    }

    /// `RegistrationResponseJSON`.
    pub fn register(&self, ceremony: &Ceremony) -> Value {
        let key = self.key.verifying_key().to_public_key_der().expect("a key in DER");
        json!({
            "id": self.id(),
            "response": {
                "clientDataJSON": URL_SAFE_NO_PAD.encode(ceremony.client_data()),
                "authenticatorData": URL_SAFE_NO_PAD.encode(self.data(ceremony)),
                "publicKey": URL_SAFE_NO_PAD.encode(key.as_bytes()),
                "publicKeyAlgorithm": -7,
            },
        })
    }

    /// `AuthenticationResponseJSON`. One that counts, counts.
    pub fn answer(&mut self, ceremony: &Ceremony) -> Value {
        if self.count > 0 {
            self.count += 1;
        }
        let (client_data, data) = (ceremony.client_data(), self.data(ceremony));
        let signed = [&data[..], &Sha256::digest(&client_data)[..]].concat();
        let signature: DerSignature = self.key.sign(&signed);
        json!({
            "id": self.id(),
            "response": {
                "clientDataJSON": URL_SAFE_NO_PAD.encode(client_data),
                "authenticatorData": URL_SAFE_NO_PAD.encode(data),
                "signature": URL_SAFE_NO_PAD.encode(signature.as_bytes()),
            },
        })
    }
}
