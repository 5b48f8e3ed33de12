use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk};
use sayso_model::token::{ApprovalToken, Expectations, Issuer, Jwks, TokenRefusal, verify};
use sayso_model::{Action, Audience, CanonicalJson, Timestamp, ToolName};
use sayso_tests::{Answer, Verdict, World};
use serde_json::Value;

async fn approved(world: &World) -> Answer {
    let agent = world.agent().await;
    let id = agent.ask("orders_2019").await.field("approval_id").to_owned();
    world.pass(60);
    world.browser().decide(&world.link(&id), Verdict::Approve, "").await;
    agent.check(&id).await
}

async fn published_keys(world: &World) -> String {
    world.browser().open(&format!("{}/.well-known/jwks.json", world.host.issuer_url)).await.html
}

// Promise: An approval comes with a token, valid for an hour by default, that any JWT library can check.
#[tokio::test]
async fn any_jwt_library_can_check_the_token() {
    let world = World::new().await;
    let told = approved(&world).await;
    let token = told.field("approval_token");
    assert_eq!(told.field("token_expires_at"), "2026-11-22T13:01:00Z");
    let keys: jwk::JwkSet = serde_json::from_str(&published_keys(&world).await).expect("a JWKS");
    let header = decode_header(token).expect("a header");
    assert_eq!(header.typ.as_deref(), Some("sayso-approval+jwt"));
    let key = keys.find(header.kid.as_deref().expect("a kid")).expect("the key");
    let mut rules = Validation::new(Algorithm::ES256);
    rules.set_issuer(&[&world.host.issuer_url]);
    rules.set_audience(&["production"]);
    // The world's clock is scripted, the library's is not.
    rules.validate_exp = false;
    let claims =
        decode::<Value>(token, &DecodingKey::from_jwk(key).expect("a key"), &rules).expect("a token").claims;
    assert_eq!(claims["jti"], told.structured["approval_id"]);
    assert_eq!(claims["sub"], "agent:deploy-bot");
    assert_eq!(claims["amr"], serde_json::json!(["email"]));
    assert_eq!(claims["exp"].as_i64().expect("exp") - claims["iat"].as_i64().expect("iat"), 3600);
    assert_eq!(claims["authorization_details"][0]["tool"], "drop_table");
    assert!(!claims.to_string().contains("alex@example.com"));
}

// Promise: The token fits exactly the approved action, one gate and one issuer, until it expires.
#[tokio::test]
async fn the_token_fits_one_action() {
    let world = World::new().await;
    let told = approved(&world).await;
    let token = ApprovalToken::from_text(told.field("approval_token"));
    let jwks: Jwks = serde_json::from_str(&published_keys(&world).await).expect("a JWKS");
    let action = |arguments: &str| Action {
        tool: ToolName::parse("drop_table").expect("a name"),
        arguments: CanonicalJson::parse(arguments).expect("arguments"),
    };
    let at = |audience: &str, issuer: &str| Expectations {
        issuer: Issuer::parse(issuer).expect("an issuer"),
        audience: Audience::parse(audience).expect("an audience"),
    };
    let fits = action(r#"{ "cascade": true, "table": "orders_2019", "database": "customers" }"#);
    let other = action(r#"{"cascade":true,"table":"orders_2018","database":"customers"}"#);
    let (here, now) = (world.host.issuer_url.as_str(), world.clock.now());
    let after = |seconds: i64| Timestamp::from_unix_seconds(now.as_unix_seconds() + seconds).expect("a time");
    assert!(verify(&token, &jwks, &at("production", here), &fits, now).is_ok());
    let refused = [
        (&other, "production", here, now, TokenRefusal::Action),
        (&fits, "staging", here, now, TokenRefusal::Audience),
        (&fits, "production", "https://elsewhere.example.com", now, TokenRefusal::Issuer),
        (&fits, "production", here, after(3600 + 30), TokenRefusal::Expired),
        (&fits, "production", here, after(-31), TokenRefusal::NotYetValid),
    ];
    for (action, audience, issuer, now, why) in refused {
        assert_eq!(verify(&token, &jwks, &at(audience, issuer), action, now).map(|v| v.id), Err(why));
    }
}
