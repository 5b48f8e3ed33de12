//! Every way in which a token can be wrong, refused for its own reason by the gate and by the issuer. All are signed by the
//! deployment's own key where that is possible, so that one thing only is wrong.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sayso_sdk::ApprovalToken;
use sayso_tests::{Approved, World, action};
use serde_json::{Value, json};

const ARGUMENTS: &str = r#"{"table":"orders_2019"}"#;

struct Rows {
    world: World,
    approved: Approved,
    rows: Vec<(String, String, &'static str)>,
}

impl Rows {
    async fn new() -> Self {
        let world = World::new().await;
        let approved = world.approve(action(ARGUMENTS)).await;
        Self { world, approved, rows: Vec::new() }
    }

    /// One member of the header or of the claims is another, or is gone.
    async fn changed(&mut self, part: usize, name: &str, value: Value, reason: &'static str) {
        let mut parts = [self.approved.part(0), self.approved.part(1)];
        let what = format!("{name}: {value}");
        if value.is_null() {
            parts[part].as_object_mut().expect("an object").remove(name);
        } else {
            parts[part][name] = value;
        }
        self.signed(&what, &parts[0].to_string(), &parts[1].to_string(), reason).await;
    }

    async fn signed(&mut self, what: &str, header: &str, claims: &str, reason: &'static str) {
        let token = self.world.sign(header, claims).await;
        self.text(what, token, reason);
    }

    fn text(&mut self, what: &str, token: String, reason: &'static str) {
        self.rows.push((what.to_owned(), token, reason));
    }

    /// Shows each to both; then that none of them used the good one up.
    async fn refused(self) {
        let Self { world, approved, rows } = self;
        let gate = world.gate("gate");
        for (what, token, reason) in rows {
            let mut body = approved.redemption("0123456789abcdef");
            body["token"] = token.clone().into();
            let (status, told, _) = world.redeem(&body).await;
            let too_large = token.len() > 16 * 1024;
            let expected = if too_large { (413, "too_large") } else { (403, reason) };
            assert_eq!((status, told.as_str()), expected, "redeem: {what}");
            let token = ApprovalToken::from_text(&token);
            let refusal = gate.permit(&token, action(ARGUMENTS), world.clock.now()).await;
            let refusal = refusal.expect_err(&what);
            assert_eq!(refusal.reason(), reason, "gate: {what}");
            let sentence = refusal.to_string();
            assert!(sentence.ends_with('.') && sentence.contains(':'), "what to do? {sentence}");
        }
        assert!(world.table().keys("REDEMPTION#").await.is_empty());
        assert!(gate.permit(&approved.token, action(ARGUMENTS), world.clock.now()).await.is_ok());
    }
}

#[tokio::test]
async fn headers() {
    let mut rows = Rows::new().await;
    for alg in ["none", "HS256", "RS256", "ES384", "es256", ""] {
        rows.changed(0, "alg", json!(alg), "wrong_algorithm").await;
    }
    for typ in ["JWT", "at+jwt", "application/sayso-approval+jwt", "SAYSO-APPROVAL+JWT"] {
        rows.changed(0, "typ", json!(typ), "wrong_type").await;
    }
    for kid in [
        "another",
        "",
        "../../../../dev/null",
        "/etc/passwd",
        "https://evil.example.com/jwks.json",
        "' OR 1=1 --",
    ] {
        rows.changed(0, "kid", json!(kid), "unknown_key").await;
    }
    for name in ["alg", "typ", "kid"] {
        rows.changed(0, name, Value::Null, "malformed_token").await;
    }
    let jwk = json!({"kty": "EC", "crv": "P-256"});
    for (name, value) in [
        ("jku", json!("https://evil.example.com")),
        ("x5u", json!("https://evil.example.com")),
        ("jwk", jwk),
        ("crit", json!(["b64"])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
    ] {
        rows.changed(0, name, value, "malformed_token").await;
    }
    rows.refused().await;
}

#[tokio::test]
async fn claims() {
    let mut rows = Rows::new().await;
    let now = rows.world.clock.now().as_unix_seconds();
    let issuer = rows.world.host.issuer_url.clone();
    for aud in [json!(["production"]), json!(["production", "staging"]), json!(1), Value::Null] {
        rows.changed(1, "aud", aud, "malformed_token").await;
    }
    for aud in ["prod", "production2", "Production", "staging", "", "production ", "*"] {
        rows.changed(1, "aud", json!(aud), "wrong_audience").await;
    }
    for iss in ["https://evil.example.com", &format!("{issuer}/"), &issuer.replace("http:", "https:"), ""] {
        rows.changed(1, "iss", json!(iss), "wrong_issuer").await;
    }
    for exp in [now - 30, now - 3600, 0, i64::from(i32::MIN)] {
        rows.changed(1, "exp", json!(exp), "expired").await;
    }
    for exp in [Value::Null, json!("never"), json!(1.5), json!(true)] {
        rows.changed(1, "exp", exp, "malformed_token").await;
    }
    for name in ["nbf", "iat"] {
        rows.changed(1, name, json!(now + 31), "not_yet_valid").await;
        // Within the leeway it is in time, and then it is not the token that was recorded.
        rows.changed(1, name, json!(now + 30), "no_such_approval").await;
    }
    rows.changed(1, "exp", json!(now - 29), "no_such_approval").await;
    // A later version may prove a decision in another way: then the gate is to be updated, and nothing is used up.
    for amr in [json!(["hwk", "user"]), json!([]), json!(["email", "hwk"]), json!(["EMAIL"])] {
        rows.changed(1, "amr", amr, "unknown_proof").await;
    }
    rows.changed(1, "jti", json!("not an id"), "malformed_token").await;
    rows.changed(1, "jti", json!("01JD3V8Q5Z7XW2N4M6K8P0R1ST"), "no_such_approval").await;
    rows.changed(1, "a_claim_of_its_own", json!(1), "no_such_approval").await;
    rows.refused().await;
}

#[tokio::test]
async fn details() {
    let mut rows = Rows::new().await;
    let detail = rows.approved.part(1)["authorization_details"][0].clone();
    let but = |name: &str, value: Value| {
        let mut detail = detail.clone();
        detail[name] = value;
        json!([detail])
    };
    let other = action(r#"{"table":"orders_2018"}"#).digest().to_string();
    for (details, reason) in [
        (but("digest", json!(other)), "wrong_digest"),
        (but("digest", json!("")), "wrong_digest"),
        (but("type", json!("payment_initiation")), "wrong_digest"),
        (json!([]), "malformed_token"),
        (json!([detail.clone(), detail.clone()]), "malformed_token"),
        (detail.clone(), "malformed_token"),
        (Value::Null, "malformed_token"),
    ] {
        rows.changed(1, "authorization_details", details, reason).await;
    }
    rows.refused().await;
}

#[tokio::test]
async fn texts() {
    let mut rows = Rows::new().await;
    let good = rows.approved.token.expose().to_owned();
    let (header, claims) = (rows.approved.part(0).to_string(), rows.approved.part(1).to_string());
    let parts: Vec<&str> = good.split('.').collect();
    let (signed, signature) = good.rsplit_once('.').expect("a token");
    for (what, member, reason) in [
        ("aud twice", r#""aud":"staging","#, "malformed_token"),
        ("exp twice", r#""exp":1,"#, "malformed_token"),
        ("exp twice, escaped", r#""\u0065xp":1,"#, "malformed_token"),
    ] {
        let twice = claims.replacen('{', &format!("{{{member}"), 1);
        rows.signed(what, &header, &twice, reason).await;
    }
    let twice = header.replacen('{', r#"{"alg":"none","#, 1);
    rows.signed("alg twice", &twice, &claims, "malformed_token").await;
    rows.signed("more after the header", &format!("{header}{{}}"), &claims, "malformed_token").await;
    rows.signed("more after the claims", &header, &format!("{claims} x"), "malformed_token").await;
    rows.signed("claims in a list", &header, &format!("[{claims}]"), "malformed_token").await;
    for (what, token) in [
        ("a dot after the token", format!("{good}.")),
        ("a line feed after the token", format!("{good}\n")),
        ("a space before the token", format!(" {good}")),
        ("padding", format!("{good}==")),
        ("another alphabet", format!("{signed}.{}+/", &signature[..84])),
        ("a megabyte of signature", format!("{good}{}", "A".repeat(1 << 20))),
        ("nine kilobytes of it", format!("{good}{}", "A".repeat(9 << 10))),
        ("two parts", signed.to_owned()),
        ("nothing", String::new()),
        ("dots", "..".to_owned()),
        ("five parts, as encrypted tokens have", format!("{good}.a.b")),
    ] {
        rows.text(what, token, "malformed_token");
    }
    let mut flipped = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    flipped[63] ^= 1;
    let other = rows.world.approve(action("{}")).await;
    let others = other.token.expose().rsplit_once('.').expect("a token").1.to_owned();
    for (what, signature) in [
        ("more after it", format!("{signature}A")),
        ("a flipped bit", URL_SAFE_NO_PAD.encode(&flipped)),
        ("another token's signature", others),
        ("zeros", URL_SAFE_NO_PAD.encode([0; 64])),
        ("half a signature", URL_SAFE_NO_PAD.encode([1; 32])),
        ("none", String::new()),
    ] {
        rows.text(what, format!("{signed}.{signature}"), "bad_signature");
    }
    let other_claims = other.token.expose().split('.').nth(1).expect("claims").to_owned();
    rows.text("another token's claims", format!("{}.{other_claims}.{}", parts[0], parts[2]), "bad_signature");
    rows.refused().await;
}
