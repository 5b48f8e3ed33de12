//! Where the approver's form goes: the one function that can make an approval.
//!
//! Threat: a mail scanner that opens links and submits forms as they stand; another site that posts a form; a row of
//! the table changed between what was shown and what is decided. Bindings: POST alone does anything; the mailed
//! secret travels in the body (`Referrer-Policy: no-referrer` makes browsers send `Origin: null`, so `Origin` cannot
//! tell whose form it is, and there is no cookie to ride on); the typed code depends on that secret and on the
//! whole request as it is stored now, so it matches only beside the request that was shown. Where the operator wants a passkey,
//! a yes takes one that `enrol` has signed for this approver, unlocked for this very request; a no never does. An approval
//! that cannot be signed is not written, and of two answers the first stands. Not done here: proving who reads the mailbox.

mod decide;
mod form;
mod passkey;
mod settings;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use http::header::ALLOW;
use http::{Method, StatusCode};
use sayso_cloud::{Aws, Clock, PublicKeys, Signer, StartError, Store};
use sayso_model::token::{Issuer, Jwks};
use sayso_model::{BaseUrl, Retention};
use sayso_views::{self as views, html, protect};

pub use settings::Settings;

/// A note of 1,000 characters, each as four bytes in percent encoding, fits, and a passkey's answer beside it.
const MAX_BODY: usize = 24 * 1024;

/// What deciding works with.
#[derive(Clone)]
pub struct Deps {
    store: Store,
    signer: Signer,
    /// What enrolled passkeys verify under.
    enrolment_keys: Jwks,
    page_url: Option<BaseUrl>,
    issuer: Issuer,
    retention: Retention,
    clock: Clock,
}

impl Deps {
    /// As Lambda starts it.
    pub async fn from_env() -> Result<Self, StartError> {
        Self::connect(&Aws::from_env()?, Settings::from_env()?, Clock::system()).await
    }

    /// Over these endpoints, at this time.
    pub async fn connect(aws: &Aws, settings: Settings, clock: Clock) -> Result<Self, StartError> {
        let kms = aws.kms();
        let enrolment_keys = PublicKeys::fetch(&kms, &settings.enrolment_key);
        let (signer, enrolment_keys) =
            tokio::try_join!(Signer::connect(kms.clone(), settings.keys), enrolment_keys)?;
        let enrolment_keys = enrolment_keys.jwks();
        let store = Store::new(aws.dynamodb(), settings.table, signer.keys());
        let Settings { page_url, issuer, retention, .. } = settings;
        Ok(Self { store, signer, enrolment_keys, page_url, issuer, retention, clock })
    }
}

/// `POST /{id}`, and nothing else.
pub fn router(deps: Deps) -> Router {
    let routes = Router::new()
        .route("/{id}", post(decide::decide))
        .fallback(decide::not_found)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn(post_only))
        .with_state(deps);
    protect(routes, "'self'")
}

async fn post_only(request: Request, next: Next) -> Response {
    if *request.method() == Method::POST {
        return next.run(request).await;
    }
    ([(ALLOW, "POST")], html(StatusCode::METHOD_NOT_ALLOWED, views::decide_by_form_only())).into_response()
}
