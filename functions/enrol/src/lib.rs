//! Where an invited approver's new passkey goes: the one function that can make a passkey count.
//!
//! Threat: somebody who reads the mail with the invitation, a mail scanner that opens it, a row of the table that says that
//! a passkey is enrolled. Bindings: the invitation is signed by the operator, for one approver and one page, and is used up
//! by the write that enrols; its code never travels by mail; the new passkey answers a challenge made from the invitation,
//! on the page's own origin; and what is written is signed with a key that no other function may use. Not done here:
//! attestation, so any authenticator that says it has verified its user is accepted.

mod enrol;
mod settings;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use http::header::ALLOW;
use http::{Method, StatusCode};
use sayso_cloud::{Aws, Clock, Signer, StartError, Store};
use sayso_views::{self as views, html, protect};

pub use settings::Settings;

/// An invitation, a name and an answer with a key of 4,096 bits, each byte in percent encoding, fit.
const MAX_BODY: usize = 16 * 1024;

/// What enrolling works with.
#[derive(Clone)]
pub struct Deps {
    store: Store,
    signer: Signer,
    clock: Clock,
}

impl Deps {
    /// As Lambda starts it.
    pub async fn from_env() -> Result<Self, StartError> {
        Self::connect(&Aws::from_env()?, Settings::from_env()?, Clock::system()).await
    }

    /// Over these endpoints, at this time.
    pub async fn connect(aws: &Aws, settings: Settings, clock: Clock) -> Result<Self, StartError> {
        let signer = Signer::connect(aws.kms(), settings.enrolment_key).await?;
        // It reads no approvals, so it needs none of their keys.
        let store = Store::new(aws.dynamodb(), settings.table, signer.keys());
        Ok(Self { store, signer, clock })
    }
}

/// `POST /`, and nothing else.
pub fn router(deps: Deps) -> Router {
    let routes = Router::new()
        .route("/", post(enrol::enrol))
        .fallback(enrol::not_found)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn(post_only))
        .with_state(deps);
    protect(routes, "'none'")
}

async fn post_only(request: Request, next: Next) -> Response {
    if *request.method() == Method::POST {
        return next.run(request).await;
    }
    let page = views::not_enrolled(
        "You make a passkey on the page that your invitation opens. Nothing was changed. Open the link in the mail.",
    );
    ([(ALLOW, "POST")], html(StatusCode::METHOD_NOT_ALLOWED, page)).into_response()
}
