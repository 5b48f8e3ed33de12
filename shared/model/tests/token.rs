//! Every way in which a token can be wrong is refused for its own reason.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature as Ecdsa, SigningKey};
use p256::pkcs8::EncodePublicKey as _;
use sayso_model::token::{
    ApprovalToken, Expectations, Issuer, Jwks, PublicKey, Signature, TokenRefusal, attests, verify,
};
use sayso_model::{
    Action, AgentName, Approval, ApprovalId, ApproverId, Audience, CanonicalJson, DecidingLink, Decision,
    LinkSecret, Outcome, ProvenBy, Request, Summary, Timestamp, TokenLifetime, ToolName,
};
use serde_json::{Value, json};

const NOW: i64 = 1_795_348_800;

struct Fixture {
    key: SigningKey,
    request: Request,
    token: ApprovalToken,
}

impl Fixture {
    fn new() -> Self {
        let key = SigningKey::from_slice(&[7; 32]).unwrap();
        let secret = LinkSecret::from_random([9; 32]);
        let request = Request {
            id: ApprovalId::new(time(NOW), 42),
            agent: AgentName::parse("deploy-bot").unwrap(),
            approver: ApproverId::parse("approver-1").unwrap(),
            audience: Audience::parse("production").unwrap(),
            action: action("orders"),
            summary: Summary::parse("Drop it").unwrap(),
            reason: None,
            created_at: time(NOW),
            closes_at: time(NOW + 600),
            token_lifetime: TokenLifetime::default(),
            link_secret_hash: secret.hash(),
        };
        let link = DecidingLink::admit(secret, &request, None).unwrap();
        let proof = link.prove(&link.code().to_string()).unwrap();
        let Approval::Open(open) = Approval::judge(request.clone(), None, time(NOW)) else {
            panic!("not open")
        };
        let issuer = Issuer::parse("https://issuer.example.com/").unwrap();
        let to_sign = open.approve(proof, None, &issuer, &public(&key).id(), time(NOW));
        let closed = to_sign.digest();
        let der = sign_prehash(&key, &closed);
        let Outcome::Approved { token, .. } = to_sign.signed(&Signature::from_der(&der).unwrap()).outcome
        else {
            panic!("not approved")
        };
        Self { key, request, token }
    }

    fn part(&self, index: usize) -> Value {
        let part = self.token.expose().split('.').nth(index).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    /// The token with these members of header and claims changed (null removes), signed by the right key.
    fn with(&self, header: Value, claims: Value) -> String {
        let change = |mut part: Value, changes: &Value| {
            for (key, value) in changes.as_object().unwrap() {
                part[key] = value.clone();
                if value.is_null() {
                    part.as_object_mut().unwrap().remove(key);
                }
            }
            part.to_string()
        };
        self.signed(&change(self.part(0), &header), &change(self.part(1), &claims))
    }

    fn signed(&self, header: &str, claims: &str) -> String {
        let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature: Ecdsa = self.key.sign(text.as_bytes());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }

    fn verify(&self, token: &str) -> Result<ApprovalId, TokenRefusal> {
        let expectations = Expectations {
            issuer: Issuer::parse("https://issuer.example.com").unwrap(),
            audience: self.request.audience.clone(),
        };
        let jwks = Jwks::of(&public(&self.key));
        let token = ApprovalToken::from_text(token);
        verify(&token, &jwks, &expectations, &self.request.action, time(NOW)).map(|verified| verified.id)
    }
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds).unwrap()
}

fn action(table: &str) -> Action {
    let arguments = CanonicalJson::parse(&json!({"table": table}).to_string()).unwrap();
    Action { tool: ToolName::parse("drop_table").unwrap(), arguments }
}

fn public(key: &SigningKey) -> PublicKey {
    PublicKey::from_spki_der(key.verifying_key().to_public_key_der().unwrap().as_bytes()).unwrap()
}

/// As KMS does: over a digest, answering DER.
fn sign_prehash(key: &SigningKey, digest: &[u8; 32]) -> Vec<u8> {
    use p256::ecdsa::signature::hazmat::PrehashSigner as _;
    let signature: Ecdsa = key.sign_prehash(digest).unwrap();
    signature.to_der().as_bytes().to_vec()
}

#[test]
fn a_good_token_is_accepted() {
    let fixture = Fixture::new();
    assert_eq!(fixture.verify(fixture.token.expose()), Ok(fixture.request.id));
    assert_eq!(
        fixture.verify(&fixture.with(json!({}), json!({"a_later_claim": [1]}))),
        Ok(fixture.request.id)
    );
}

#[test]
fn every_wrong_token_is_refused_for_its_own_reason() {
    use TokenRefusal::{
        Action, Algorithm, Audience, Expired, Issuer, Malformed, NotYetValid, Signature, Type, UnknownKey,
    };
    let fixture = Fixture::new();
    let good = fixture.token.expose().to_owned();
    let (signed, _) = good.rsplit_once('.').unwrap();
    let header = fixture.part(0).to_string();
    let claims = fixture.part(1).to_string();
    let twice = |text: &str, member: &str| text.replacen('{', &format!("{{{member},"), 1);
    let with_detail = |detail: Value| fixture.with(json!({}), json!({"authorization_details": detail}));
    let detail = fixture.part(1)["authorization_details"][0].clone();
    let mut other_tool = detail.clone();
    other_tool["tool"] = json!("drop_database");
    let mut other_type = detail.clone();
    other_type["type"] = json!("payment");
    let rows = [
        (String::new(), Malformed),
        ("a.b.c".to_owned(), Malformed),
        (format!("{good}."), Malformed),
        (format!("{good} "), Malformed),
        (format!("{signed}."), Signature),
        (format!("{good}{}", "A".repeat(1_000_000)), Malformed),
        (fixture.with(json!({"alg": "none"}), json!({})), Algorithm),
        (fixture.with(json!({"alg": "HS256"}), json!({})), Algorithm),
        (fixture.with(json!({"alg": "RS256"}), json!({})), Algorithm),
        (fixture.with(json!({"typ": "JWT"}), json!({})), Type),
        (fixture.with(json!({"typ": null}), json!({})), Malformed),
        (fixture.with(json!({"kid": "other"}), json!({})), UnknownKey),
        (fixture.with(json!({"kid": "../../etc/passwd"}), json!({})), UnknownKey),
        (fixture.with(json!({"kid": "https://evil.example.com/jwks.json"}), json!({})), UnknownKey),
        (fixture.with(json!({"jku": "https://evil.example.com"}), json!({})), Malformed),
        (fixture.with(json!({"crit": ["b64"]}), json!({})), Malformed),
        (fixture.with(json!({}), json!({"aud": ["production"]})), Malformed),
        (fixture.with(json!({}), json!({"aud": "prod"})), Audience),
        (fixture.with(json!({}), json!({"iss": "https://issuer.example.com/"})), Issuer),
        (fixture.with(json!({}), json!({"exp": NOW - 30})), Expired),
        (fixture.with(json!({}), json!({"exp": null})), Malformed),
        (fixture.with(json!({}), json!({"nbf": NOW + 31})), NotYetValid),
        (fixture.with(json!({}), json!({"iat": NOW + 31})), NotYetValid),
        (fixture.with(json!({}), json!({"jti": "not a ulid"})), Malformed),
        (with_detail(json!([])), Malformed),
        (with_detail(json!([detail, detail])), Malformed),
        (with_detail(json!([other_tool])), Action),
        (with_detail(json!([other_type])), Action),
        (fixture.signed(&twice(&header, r#""alg":"none""#), &claims), Malformed),
        (fixture.signed(&header, &twice(&claims, r#""aud":"production""#)), Malformed),
        (good.replacen('.', ".A", 1), Signature),
        (
            fixture
                .signed(&json!(["ES256", "sayso-approval+jwt", fixture.part(0)["kid"]]).to_string(), &claims),
            Malformed,
        ),
    ];
    for (token, why) in rows {
        assert_eq!(fixture.verify(&token), Err(why), "{}", &token[..token.len().min(200)]);
    }
}

#[test]
fn a_signature_by_another_key_is_refused() {
    let fixture = Fixture::new();
    let forger = Fixture { key: SigningKey::from_slice(&[8; 32]).unwrap(), ..Fixture::new() };
    assert_eq!(fixture.verify(&forger.with(json!({}), json!({}))), Err(TokenRefusal::Signature));
}

#[test]
fn a_stored_token_attests_its_own_request_only() {
    let fixture = Fixture::new();
    let jwks = Jwks::of(&public(&fixture.key));
    let decision = Decision { at: time(NOW), proven_by: ProvenBy::EmailLink, passkey: None, note: None };
    assert!(attests(&fixture.token, &jwks, &fixture.request, &decision).is_ok());
    let later = Decision { at: time(NOW + 1), ..decision.clone() };
    assert_eq!(attests(&fixture.token, &jwks, &fixture.request, &later), Err(TokenRefusal::Action));
    let others = [
        Request { id: ApprovalId::new(time(NOW), 43), ..fixture.request.clone() },
        Request { agent: AgentName::parse("other-bot").unwrap(), ..fixture.request.clone() },
        Request { approver: ApproverId::parse("approver-2").unwrap(), ..fixture.request.clone() },
        Request { audience: Audience::parse("staging").unwrap(), ..fixture.request.clone() },
        Request { action: action("invoices"), ..fixture.request.clone() },
        Request { token_lifetime: TokenLifetime::from_seconds(7200).unwrap(), ..fixture.request.clone() },
    ];
    for other in others {
        assert_eq!(attests(&fixture.token, &jwks, &other, &decision), Err(TokenRefusal::Action));
    }
}

#[test]
fn the_key_id_is_the_rfc_7638_thumbprint() {
    use sha2::Digest as _;
    let jwk = public(&SigningKey::from_slice(&[7; 32]).unwrap()).to_jwk();
    let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, jwk.x, jwk.y);
    assert_eq!(jwk.kid, URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(members)));
}
