use sayso_tests::{Call, Reply};
use serde_json::json;

use crate::deployment::{Deployment, domain};

/// Nobody's approval.
const UNKNOWN: &str = "01KAN4XG7PXJ8Z5T6Q0V3C9D2E";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_comes_through_with_its_headers() {
    let deployment = Deployment::start().await;
    nobody_asks_without_a_key(&deployment).await;
    nothing_is_elsewhere(&deployment).await;
    only_the_right_methods_do_anything(&deployment).await;
    what_is_too_large_is_refused(&deployment).await;
}

async fn nobody_asks_without_a_key(deployment: &Deployment) {
    // A Function URL renames the challenge, so the reason and the way on stand in the body too.
    let renamed = "x-amzn-remapped-www-authenticate";
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let call = || Call::new("POST", "/mcp").body("application/json", body);
    let nobody = deployment.mcp.call(call()).await;
    assert_eq!(nobody.status, 401);
    let challenge = nobody.header(renamed);
    assert_eq!(challenge, r#"Bearer realm="sayso""#);
    let told = nobody.json();
    assert!(
        told["error_description"].as_str().expect("a reason").contains("Authorization: Bearer"),
        "{told}"
    );

    let stranger =
        call().header("authorization", "Bearer sayso_agent_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaA");
    let stranger = deployment.mcp.call(stranger).await;
    assert_eq!((stranger.status, stranger.json()["error"].as_str()), (401, Some("invalid_token")));
    assert!(stranger.header(renamed).contains(r#"error="invalid_token""#), "{:?}", stranger.headers);

    // No page in a browser has business here, whatever it says that it comes from.
    for origin in ["http://localhost", "http://127.0.0.1:8080", "https://example.com", "null"] {
        let page = deployment.mcp.call(call().header("origin", origin)).await;
        assert!(page.status == 401 || page.status == 403, "{origin}: {}", page.status);
    }
    // Clients that would sign in are told that a key is what they need.
    for (method, path, status) in [
        ("GET", "/.well-known/oauth-protected-resource/mcp", 404),
        ("GET", "/.well-known/oauth-authorization-server", 404),
        ("GET", "/.well-known/openid-configuration", 404),
        ("POST", "/register", 400),
        ("GET", "/authorize", 400),
        ("POST", "/token", 400),
    ] {
        let told = deployment.mcp.call(Call::new(method, path).body("application/json", "{}")).await;
        assert_eq!(told.status, status, "{path}");
        let described = told.json()["error_description"].as_str().unwrap_or_default().to_owned();
        assert!(described.contains("this server takes an agent key in the Authorization header"), "{path}");
        assert_eq!(told.json()["error"], "invalid_request", "{path}");
    }
}

async fn nothing_is_elsewhere(deployment: &Deployment) {
    let functions = [&deployment.mcp, &deployment.page, &deployment.decide, &deployment.redeem];
    for function in functions {
        for path in ["/", "/a/b/c/d", "/%00", "/..%2f..%2f", &format!("/{UNKNOWN}")] {
            let method = if function.domain == domain("Decide") { "POST" } else { "GET" };
            let reply =
                function.call(Call::new(method, path).body("application/x-www-form-urlencoded", "a=1")).await;
            let refused = reply.status == 404 || (method == "POST" && [400, 422].contains(&reply.status));
            assert!(refused, "{method} {}{path}: {} {}", function.domain, reply.status, reply.body);
            if function.domain != domain("Mcp") {
                assert_eq!(reply.header("x-content-type-options"), "nosniff", "{}{path}", function.domain);
                assert!(
                    reply.header("strict-transport-security").starts_with("max-age="),
                    "{}{path}",
                    function.domain
                );
            }
        }
    }
}

async fn only_the_right_methods_do_anything(deployment: &Deployment) {
    let allow = |reply: &Reply| (reply.status, reply.header("allow").to_owned());
    let path = format!("/{UNKNOWN}");
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let reply = deployment.page.call(Call::new(method, &path)).await;
        assert_eq!(allow(&reply), (405, "GET, HEAD".to_owned()), "{method}");
    }
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] {
        let reply = deployment.decide.call(Call::new(method, &path)).await;
        assert_eq!(allow(&reply), (405, "POST".to_owned()), "{method}");
    }
    let keys = "/.well-known/jwks.json";
    let reply = deployment.redeem.call(Call::new("POST", keys)).await;
    assert_eq!(allow(&reply), (405, "GET, HEAD".to_owned()));
    assert_eq!(reply.header("content-type"), "application/problem+json");
    let reply = deployment.redeem.call(Call::new("GET", "/redeem")).await;
    assert_eq!(allow(&reply), (405, "POST".to_owned()));

    let key = format!("Bearer {}", deployment.agent_key.expose());
    let accepts = "text/event-stream";
    let reply = deployment
        .mcp
        .call(Call::new("GET", "/mcp").header("authorization", &key).header("accept", accepts))
        .await;
    assert_eq!(reply.status, 405, "{}", reply.body);
}

async fn what_is_too_large_is_refused(deployment: &Deployment) {
    let arguments = json!({"tool": "t", "summary": "s", "arguments": {"a": "x".repeat(2_000_000)}});
    let call = deployment.rpc("tools/call", json!({"name": "request_approval", "arguments": arguments}));
    let reply = deployment.mcp.call(call.in_base64()).await;
    assert_eq!((reply.status, reply.header("content-type")), (413, "application/json"), "{}", reply.body);

    let call = Call::new("POST", "/redeem").body("application/json", &"x".repeat(100_000));
    let reply = deployment.redeem.call(call).await;
    assert_eq!((reply.status, reply.header("content-type")), (413, "application/problem+json"));

    let body = format!("note={}", "x".repeat(100_000));
    let call = Call::new("POST", &format!("/{UNKNOWN}"))
        .body("application/x-www-form-urlencoded", &body)
        .in_base64();
    let reply = deployment.decide.call(call).await;
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (413, "text/html; charset=utf-8"),
        "{}",
        reply.body
    );
}
