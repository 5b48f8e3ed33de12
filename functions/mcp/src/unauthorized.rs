//! What a caller without a key is told: the challenge of RFC 6750 and the metadata of RFC 9728.
//!
//! A Function URL renames `WWW-Authenticate`, so the reason stands in the body as well, and the metadata at its
//! well-known address.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde_json::json;

/// Why there is no agent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unauthorized {
    NoKey,
    UnknownKey,
}

impl Unauthorized {
    pub(crate) fn answer(self, headers: &HeaderMap) -> Response {
        let (error, description) = match self {
            Self::NoKey => {
                ("invalid_request", "send your agent key as the header: Authorization: Bearer <agent key>")
            }
            Self::UnknownKey => {
                ("invalid_token", "this agent key is not registered: ask your operator for a current one")
            }
        };
        let metadata = format!("{}/.well-known/oauth-protected-resource/mcp", own_url(headers));
        let challenge = match self {
            // RFC 6750 section 3.1: a request without any credentials gets no error code.
            Self::NoKey => format!(r#"Bearer realm="sayso", resource_metadata="{metadata}""#),
            Self::UnknownKey => format!(
                r#"Bearer realm="sayso", error="{error}", error_description="{description}", resource_metadata="{metadata}""#
            ),
        };
        let body = Json(json!({"error": error, "error_description": description}));
        (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)], body).into_response()
    }
}

/// RFC 9728. There is no authorization server: keys come from the operator.
pub(crate) async fn metadata(headers: HeaderMap) -> Response {
    let body = json!({
        "resource": format!("{}/mcp", own_url(&headers)),
        "resource_name": "Sayso",
        "bearer_methods_supported": ["header"],
    });
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

pub(crate) async fn not_found() -> Response {
    let body = json!({"error": "not_found", "error_description": "the MCP endpoint is POST /mcp"});
    (StatusCode::NOT_FOUND, Json(body)).into_response()
}

/// This function's own address, which only the request knows: a template cannot give a function its own URL.
fn own_url(headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || ".:-[]".contains(c);
    let host = if host.chars().all(plain) { host } else { "" };
    let loopback = host.starts_with("127.0.0.1") || host.starts_with("localhost");
    format!("{}://{host}", if loopback { "http" } else { "https" })
}
