//! The gate-facing function and the tokens' issuer: it publishes the keys that approval tokens verify under, and records
//! that a token was used, once.
//!
//! It asks nobody who they are: the keys are public, and a token is its own authority for using it up.

mod issuer;
mod problem;
mod redeem;
mod settings;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::middleware::map_response;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::StatusCode;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderValue, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use sayso_cloud::{Aws, Clock, PublicKeys, StartError, Store};
use sayso_model::Retention;
use sayso_model::token::{Issuer, Jwks};

use crate::problem::Problem;

pub use settings::Settings;

/// A token of at most 8 KiB, a digest, a nonce and two names.
const MAX_BODY: usize = 16 * 1024;

/// What the function works with.
#[derive(Clone)]
pub struct Deps {
    store: Store,
    keys: Jwks,
    retention: Retention,
    /// The `iss` of the tokens it takes, where it is not its own URL.
    issuer: Option<Issuer>,
    clock: Clock,
}

impl Deps {
    /// As Lambda starts it.
    pub async fn from_env() -> Result<Self, StartError> {
        Self::connect(&Aws::from_env()?, Settings::from_env()?, Clock::system()).await
    }

    /// Over these endpoints, at this time: asks once for the key.
    pub async fn connect(aws: &Aws, settings: Settings, clock: Clock) -> Result<Self, StartError> {
        let keys = PublicKeys::fetch(&aws.kms(), &settings.keys).await?.jwks();
        let store = Store::new(aws.dynamodb(), settings.table, keys.clone());
        Ok(Self { store, keys, retention: settings.retention, issuer: settings.issuer, clock })
    }
}

/// `GET /.well-known/jwks.json`, `POST /redeem`, and nothing else.
pub fn router(deps: Deps) -> Router {
    Router::new()
        .route("/.well-known/jwks.json", get(keys).fallback(keys_are_read))
        .route("/redeem", post(redeem::redeem).fallback(tokens_are_posted))
        .fallback(not_found)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(map_response(protect))
        .with_state(deps)
}

async fn keys(State(deps): State<Deps>) -> Response {
    // Five minutes: a new key is published long before it signs.
    let fresh = [(CACHE_CONTROL, "public, max-age=300")];
    (fresh, axum::Json(deps.keys)).into_response()
}

async fn not_found() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "not_found",
        "The keys are at /.well-known/jwks.json; tokens go to /redeem.",
    )
}

async fn keys_are_read() -> Problem {
    Problem::method("GET, HEAD", "The keys are read with GET.")
}

async fn tokens_are_posted() -> Problem {
    Problem::method("POST", "A token is redeemed with POST.")
}

async fn protect(mut response: Response) -> Response {
    let fixed = [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (STRICT_TRANSPORT_SECURITY, "max-age=63072000; includeSubDomains"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ];
    let headers = response.headers_mut();
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // A receipt is for one attempt, and a refusal for one moment: only the keys say otherwise.
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests;
