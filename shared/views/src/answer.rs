use axum::response::{Html, IntoResponse as _, Response};
use http::StatusCode;
use maud::Markup;

/// A page with its status.
pub fn html(status: StatusCode, page: Markup) -> Response {
    (status, Html(page.into_string())).into_response()
}
