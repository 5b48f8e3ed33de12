//! The approver's pages: the deciding page behind the mailed link, and the status page behind the id alone.
//!
//! This function reads and shows. GET and HEAD are all it answers, and its policy lets it write nothing, sign nothing
//! and send nothing: a mail scanner that opens every link changes nothing here. The form it shows goes to `decide`; that of an
//! invitation, whose page is here because a passkey belongs to the origin it is used on, goes to `enrol`.

mod address;
mod pages;
mod settings;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::header::ALLOW;
use http::{Method, StatusCode};
use sayso_cloud::{Aws, Clock, PublicKeys, StartError, Store};
use sayso_model::BaseUrl;
use sayso_views::{self as views, html, protect};

pub use settings::Settings;

/// What the page works with.
#[derive(Clone)]
pub struct Deps {
    store: Store,
    decide_url: BaseUrl,
    enrol_url: BaseUrl,
    clock: Clock,
}

impl Deps {
    /// As Lambda starts it.
    pub async fn from_env() -> Result<Self, StartError> {
        Self::connect(&Aws::from_env()?, Settings::from_env()?, Clock::system()).await
    }

    /// Over these endpoints, at this time.
    pub async fn connect(aws: &Aws, settings: Settings, clock: Clock) -> Result<Self, StartError> {
        let keys = PublicKeys::fetch(&aws.kms(), &settings.keys).await?.jwks();
        let store = Store::new(aws.dynamodb(), settings.table, keys.clone());
        let Settings { decide_url, enrol_url, .. } = settings;
        Ok(Self { store, decide_url, enrol_url, clock })
    }
}

/// `GET /{id}/{secret}`, `GET /{id}`, `GET /passkey`, with what mail clients add to them, and nothing else.
pub fn router(deps: Deps) -> Router {
    let form_action = format!("{} {}", deps.decide_url.origin(), deps.enrol_url.origin());
    let routes = Router::new()
        .route("/{*address}", get(pages::page))
        .fallback(pages::not_found)
        .layer(from_fn(read_only))
        .with_state(deps);
    protect(routes, &form_action)
}

async fn read_only(request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    ([(ALLOW, "GET, HEAD")], html(StatusCode::METHOD_NOT_ALLOWED, views::read_only())).into_response()
}

#[cfg(test)]
mod tests;
