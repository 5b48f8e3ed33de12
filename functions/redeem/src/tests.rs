use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use sayso_cloud::Endpoints;
use sayso_model::Timestamp;
use sayso_model::token::PublicKey;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;

const KEY: &[u8] = b"\
\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\
\x03\x42\x00\x04\xf2\xf4\x1c\x6a\x8d\x17\x0c\x1b\x9d\x70\x88\x6a\x56\xd6\xda\xb4\x6d\x62\x06\
\x13\x2d\xaf\xb5\x0a\xd0\x5d\x3b\x3f\xcd\x2d\x3a\x8b\xa9\x34\xf1\x90\x9a\x6d\xdf\x67\xb6\x1f\
\x8e\xd6\x7a\x94\x51\x99\x65\xa8\x1e\x57\x27\xef\xd7\x1c\x7f\x68\xf4\x45\x70\x10\x75\xfc\
";

/// No table: what is refused here is refused without asking one.
fn deps() -> Deps {
    let key = PublicKey::from_spki_der(KEY).unwrap();
    let aws = Aws::at(Endpoints { dynamodb: Some("http://127.0.0.1:1".to_owned()), ..Endpoints::default() });
    Deps {
        store: Store::new(aws.dynamodb(), "none".to_owned(), &key),
        keys: Jwks::of(&key),
        retention: Retention::default(),
        issuer: None,
        clock: Clock::scripted(Timestamp::from_unix_seconds(1_795_348_800).unwrap()),
    }
}

async fn send(request: Request<Body>) -> (StatusCode, HeaderMap, String) {
    let (parts, body) = router(deps()).oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let headers = &parts.headers;
    assert_eq!(headers[X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert_eq!(headers[STRICT_TRANSPORT_SECURITY], "max-age=63072000; includeSubDomains");
    assert_eq!(headers[CONTENT_SECURITY_POLICY], "default-src 'none'; frame-ancestors 'none'");
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

async fn answer(method: &str, path: &str) -> (StatusCode, HeaderMap, String) {
    send(Request::builder().method(method).uri(path).body(Body::empty()).unwrap()).await
}

/// A problem's status and reason.
fn problem((status, headers, body): (StatusCode, HeaderMap, String)) -> (u16, String) {
    assert_eq!(headers[CONTENT_TYPE], "application/problem+json", "{body}");
    assert_eq!(headers[CACHE_CONTROL], "no-store");
    let problem: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(problem["status"], status.as_u16());
    assert_eq!(problem["title"], status.canonical_reason().unwrap());
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.ends_with('.')), "{body}");
    (status.as_u16(), problem["reason"].as_str().unwrap().to_owned())
}

async fn redeemed(content_type: &str, body: String) -> (u16, String) {
    let request = Request::post("/redeem").header("host", "redeem.example.com");
    let request = request.header(CONTENT_TYPE, content_type);
    problem(send(request.body(Body::from(body)).unwrap()).await)
}

fn body(token: &str, change: (&str, Value)) -> String {
    let mut body = json!({
        "token": token,
        "digest": "A".repeat(43),
        "audience": "production",
        "gate": "database",
        "nonce": "0123456789abcdef",
    });
    body[change.0] = change.1;
    body.to_string()
}

fn token(header: &Value) -> String {
    format!("{}.e30.AAAA", URL_SAFE_NO_PAD.encode(header.to_string()))
}

#[tokio::test]
async fn the_keys_are_published_for_five_minutes() {
    for method in ["GET", "HEAD"] {
        let (status, headers, body) = answer(method, "/.well-known/jwks.json").await;
        assert_eq!((status, &headers[CONTENT_TYPE]), (StatusCode::OK, &"application/json".parse().unwrap()));
        assert_eq!(headers[CACHE_CONTROL], "public, max-age=300");
        if method == "GET" {
            let keys: Jwks = serde_json::from_str(&body).unwrap();
            assert_eq!(keys, Jwks::of(&PublicKey::from_spki_der(KEY).unwrap()));
        }
    }
}

#[tokio::test]
async fn everything_else_is_a_problem() {
    for (method, path, status, allow) in [
        ("GET", "/", 404, None),
        ("GET", "/.well-known/jwks.json/x", 404, None),
        ("POST", "/redeem/", 404, None),
        ("GET", "/redeem", 405, Some("POST")),
        ("PUT", "/redeem", 405, Some("POST")),
        ("POST", "/.well-known/jwks.json", 405, Some("GET, HEAD")),
    ] {
        let answer = answer(method, path).await;
        assert_eq!(answer.1.get(ALLOW).map(|allow| allow.to_str().unwrap()), allow, "{method} {path}");
        let reason = if status == 404 { "not_found" } else { "method_not_allowed" };
        assert_eq!(problem(answer), (status, reason.to_owned()), "{method} {path}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_told_apart() {
    let good = ("audience", json!("production"));
    let token = token(&json!({}));
    let changed = |member, value| body(&token, (member, value));
    let twice = changed(good.0, good.1.clone()).replacen('{', r#"{"gate":"other","#, 1);
    let rows = [
        ("application/x-www-form-urlencoded", changed(good.0, good.1.clone()), 415, "not_json"),
        ("text/plain", changed(good.0, good.1.clone()), 415, "not_json"),
        ("application/json", String::new(), 400, "malformed_request"),
        ("application/json", "[]".to_owned(), 400, "malformed_request"),
        ("application/json", twice, 400, "malformed_request"),
        ("application/json", changed("token", json!(1)), 400, "malformed_request"),
        ("application/json", changed("digest", json!("short")), 400, "malformed_request"),
        ("application/json", changed("audience", json!(["production"])), 400, "malformed_request"),
        ("application/json", changed("gate", json!("")), 400, "malformed_request"),
        ("application/json", changed("nonce", json!("short")), 400, "malformed_request"),
        ("application/json", changed("more", json!(1)), 400, "malformed_request"),
        ("application/json", changed("token", json!("A".repeat(1 << 20))), 413, "too_large"),
        ("application/json; charset=utf-8", changed(good.0, good.1), 403, "malformed_token"),
    ];
    for (content_type, body, status, reason) in rows {
        let shown = body.chars().take(200).collect::<String>();
        assert_eq!(redeemed(content_type, body).await, (status, reason.to_owned()), "{shown}");
    }
}

#[tokio::test]
async fn a_token_that_needs_no_table_to_be_refused_asks_none() {
    let header =
        |alg: &str, typ: &str| token(&json!({"alg": alg, "typ": typ, "kid": "../../.well-known/jwks.json"}));
    let rows = [
        (header("none", "sayso-approval+jwt"), "wrong_algorithm"),
        (header("ES256", "JWT"), "wrong_type"),
        (header("ES256", "sayso-approval+jwt"), "unknown_key"),
        (token(&json!(["ES256", "sayso-approval+jwt", "kid"])), "malformed_token"),
        ("A".repeat(10_000), "malformed_token"),
    ];
    for (token, reason) in rows {
        let body = body(&token, ("gate", json!("database")));
        assert_eq!(redeemed("application/json", body).await, (403, reason.to_owned()));
    }
}
