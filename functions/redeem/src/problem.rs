//! What a gate is told when there is no receipt: RFC 9457, with a `reason` that a program can compare.

use std::fmt::Display;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use sayso_cloud::{Failure, random};
use sayso_model::Receipt;
use sayso_model::token::TokenRefusal;
use sayso_model::wire::{ALREADY_REDEEMED, NO_SUCH_APPROVAL};
use serde_json::{Map, Value, json};

/// An answer that lets nothing run.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    reason: &'static str,
    detail: String,
    more: Map<String, Value>,
    header: Option<(&'static str, &'static str)>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, reason: &'static str, detail: impl Display) -> Self {
        Self { status, reason, detail: detail.to_string(), more: Map::new(), header: None }
    }

    /// The method is not one of `allow`.
    pub(crate) fn method(allow: &'static str, detail: &'static str) -> Self {
        let problem = Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail);
        problem.with("allow", allow)
    }

    /// The caller's mistake.
    pub(crate) fn malformed(problem: impl Display) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "malformed_request",
            format!(
                "The request cannot be read: {problem}. Send a JSON object of token, digest, audience, gate and nonce."
            ),
        )
    }

    /// The body is longer than any honest one.
    pub(crate) fn too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            "The body is too large: send the approval_token exactly as check_approval returned it.",
        )
    }

    /// The body is of another type.
    pub(crate) fn not_json() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "not_json",
            "Send the body as Content-Type: application/json.",
        )
    }

    /// The token verifies, but no approval was recorded with it.
    pub(crate) fn no_such_approval() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            NO_SUCH_APPROVAL,
            "No approval is recorded with this token: ask for a new one.",
        )
    }

    /// The token was used up by another attempt.
    pub(crate) fn already_redeemed(receipt: &Receipt) -> Self {
        let at = receipt.redeemed_at.to_string();
        let mut problem = Self::new(
            StatusCode::CONFLICT,
            ALREADY_REDEEMED,
            format!("This approval was used at {at}. What is to run again has to be approved again."),
        );
        problem.more.insert("redeemed_at".to_owned(), json!(at));
        problem.more.insert("gate".to_owned(), json!(receipt.gate.as_str()));
        problem
    }

    /// Writes down that a token was turned away, and why: an operator's first sign of someone who tries. What is no
    /// redemption at all, or a failure that has its own line, is not counted.
    pub(crate) fn log(&self) {
        if matches!(self.status, StatusCode::FORBIDDEN | StatusCode::CONFLICT) {
            tracing::warn!(reason = self.reason, "a redemption was refused");
        }
    }

    fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.header = Some((name, value));
        self
    }
}

/// The plumbing broke: the log has the rest under the id.
impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let error_id = random::error_id();
        tracing::error!(error_id, %failure, "nothing was confirmed");
        let mut problem = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "Whether this was redeemed is not known. Send the same request again, with the same nonce.",
        );
        problem.more.insert("error_id".to_owned(), json!(error_id));
        problem.with("retry-after", "1")
    }
}

impl From<TokenRefusal> for Problem {
    fn from(refusal: TokenRefusal) -> Self {
        let detail = format!("The token is refused: {refusal}.");
        Self::new(StatusCode::FORBIDDEN, refusal.reason(), detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = self.more;
        body.insert("type".to_owned(), json!("about:blank"));
        body.insert("title".to_owned(), json!(self.status.canonical_reason()));
        body.insert("status".to_owned(), json!(self.status.as_u16()));
        body.insert("reason".to_owned(), json!(self.reason));
        body.insert("detail".to_owned(), json!(self.detail));
        let headers = [(CONTENT_TYPE, "application/problem+json")];
        let mut response = (self.status, headers, Value::Object(body).to_string()).into_response();
        let header = |(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        response.headers_mut().extend(self.header.map(header));
        response
    }
}
