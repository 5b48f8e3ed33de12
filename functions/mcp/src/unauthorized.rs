//! The answer to a caller without a key: the challenge of RFC 6750. A Function URL renames `WWW-Authenticate`, so the reason
//! is in the body as well.

use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Json, Router};
use http::{StatusCode, header};
use serde_json::json;

/// Where clients register themselves and sign in, when they have found no other address.
const SIGN_IN: [&str; 3] = ["/register", "/authorize", "/token"];

/// Where they look for another address, with or without the endpoint's path behind it.
const METADATA: [&str; 6] = [
    "/.well-known/oauth-authorization-server",
    "/.well-known/oauth-authorization-server/mcp",
    "/.well-known/openid-configuration",
    "/.well-known/openid-configuration/mcp",
    "/.well-known/oauth-protected-resource",
    "/.well-known/oauth-protected-resource/mcp",
];

/// Why there is no agent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unauthorized {
    NoKey,
    UnknownKey,
}

impl Unauthorized {
    pub(crate) fn answer(self) -> Response {
        let (error, description) = match self {
            Self::NoKey => {
                ("invalid_request", "send your agent key as the header: Authorization: Bearer <agent key>")
            }
            Self::UnknownKey => {
                ("invalid_token", "this agent key is not registered: ask your operator for a current one")
            }
        };
        let challenge = match self {
            // RFC 6750 section 3.1: a request without any credentials gets no error code.
            Self::NoKey => r#"Bearer realm="sayso""#.to_owned(),
            Self::UnknownKey => {
                format!(r#"Bearer realm="sayso", error="{error}", error_description="{description}""#)
            }
        };
        let body = Json(json!({"error": error, "error_description": description}));
        (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)], body).into_response()
    }
}

/// The addresses at which clients try to sign in, which say what to do instead: in the form of an OAuth error (RFC 6749,
/// section 5.2), because that is what such a client shows its user.
pub(crate) fn no_sign_in() -> Router {
    let absent = METADATA.iter().fold(Router::new(), |router, path| {
        router.route(path, any(|| async { key_wanted(StatusCode::NOT_FOUND) }))
    });
    SIGN_IN.iter().fold(absent, |router, path| {
        router.route(path, any(|| async { key_wanted(StatusCode::BAD_REQUEST) }))
    })
}

fn key_wanted(status: StatusCode) -> Response {
    let description = "this server takes an agent key in the Authorization header (Authorization: Bearer <agent key>): \
                       there is nothing to sign in to, and no client to register; ask your operator for a key";
    let body = json!({"error": "invalid_request", "error_description": description});
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

pub(crate) async fn not_found() -> Response {
    let body = json!({"error": "not_found", "error_description": "the MCP endpoint is POST /mcp"});
    (StatusCode::NOT_FOUND, Json(body)).into_response()
}
