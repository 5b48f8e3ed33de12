use axum::body::Body;
use http::HeaderMap;
use http_body_util::BodyExt as _;
use sayso_cloud::Endpoints;
use sayso_model::Timestamp;
use sayso_model::token::PublicKey;
use tower::ServiceExt as _;

use super::*;

const KEY: &[u8] = b"\
\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\
\x03\x42\x00\x04\xf2\xf4\x1c\x6a\x8d\x17\x0c\x1b\x9d\x70\x88\x6a\x56\xd6\xda\xb4\x6d\x62\x06\
\x13\x2d\xaf\xb5\x0a\xd0\x5d\x3b\x3f\xcd\x2d\x3a\x8b\xa9\x34\xf1\x90\x9a\x6d\xdf\x67\xb6\x1f\
\x8e\xd6\x7a\x94\x51\x99\x65\xa8\x1e\x57\x27\xef\xd7\x1c\x7f\x68\xf4\x45\x70\x10\x75\xfc\
";

const ID: &str = "01JD3V8Q5Z7XW2N4M6K8P0R1ST";

/// A page whose table cannot be reached: port 1 of the loopback answers nobody.
async fn answer(method: &str, path: &str) -> (StatusCode, HeaderMap, String) {
    let nowhere = Endpoints { dynamodb: Some("http://127.0.0.1:1".to_owned()), ..Endpoints::default() };
    let key = PublicKey::from_spki_der(KEY).unwrap();
    let deps = Deps {
        store: Store::new(Aws::at(nowhere).dynamodb(), "sayso".to_owned(), &key),
        decide_url: BaseUrl::parse("https://decide.example/").unwrap(),
        enrol_url: BaseUrl::parse("https://enrol.example/").unwrap(),
        clock: Clock::scripted(Timestamp::from_unix_seconds(1_790_000_000).unwrap()),
    };
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    let (parts, body) = router(deps).oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

fn secret() -> String {
    sayso_model::LinkSecret::from_random([9; 32]).expose()
}

#[tokio::test]
async fn every_answer_carries_every_header() {
    let link = format!("/{ID}/{}", secret());
    for (method, path, expected) in [
        ("GET", "/", StatusCode::NOT_FOUND),
        ("GET", "/nonsense", StatusCode::NOT_FOUND),
        ("GET", "/%ff/%ff", StatusCode::NOT_FOUND),
        ("POST", &link, StatusCode::METHOD_NOT_ALLOWED),
        ("OPTIONS", "/", StatusCode::METHOD_NOT_ALLOWED),
        ("GET", &link, StatusCode::INTERNAL_SERVER_ERROR),
        ("HEAD", &link, StatusCode::INTERNAL_SERVER_ERROR),
    ] {
        let (status, headers, _) = answer(method, path).await;
        assert_eq!(status, expected, "{method} {path}");
        let policy = headers["content-security-policy"].to_str().unwrap();
        for part in [
            "default-src 'none';",
            "style-src 'sha256-",
            "form-action https://decide.example https://enrol.example;",
            "base-uri 'none';",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe"));
        assert_eq!(headers["x-frame-options"], "DENY");
        assert_eq!(headers["referrer-policy"], "no-referrer");
        assert_eq!(headers["cache-control"], "no-store");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["content-type"], "text/html; charset=utf-8");
        assert!(headers["strict-transport-security"].to_str().unwrap().starts_with("max-age="));
        assert!(headers["x-robots-tag"].to_str().unwrap().contains("noindex"));
    }
}

#[tokio::test]
async fn whatever_is_no_address_is_the_same_page() {
    let (_, _, expected) = answer("GET", "/nonsense").await;
    let lower_case = format!("/{}/{}", ID.to_lowercase(), secret());
    for path in ["/", &format!("/{ID}/short"), &format!("/{ID}/{}/x", secret()), &lower_case, "/%F0%9F/%00"] {
        assert_eq!(answer("GET", path).await.2, expected, "{path}");
    }
}

#[tokio::test]
async fn a_failure_shows_an_id_and_nothing_of_what_failed() {
    let (_, _, page) = answer("GET", &format!("/{ID}/{}", secret())).await;
    assert!(page.contains("error "));
    for inside in ["dynamodb", "127.0.0.1", &secret(), ID] {
        assert!(!page.to_lowercase().contains(&inside.to_lowercase()), "{inside}");
    }
}
