use axum::response::{Html, IntoResponse as _, Response};
use http::StatusCode;
use maud::Markup;

use crate::headers::UsesPasskey;

/// A page with its status.
pub fn html(status: StatusCode, page: Markup) -> Response {
    (status, Html(page.into_string())).into_response()
}

/// The same, of a page that uses a passkey: its one script may run.
pub fn with_script(status: StatusCode, page: Markup) -> Response {
    let mut response = html(status, page);
    response.extensions_mut().insert(UsesPasskey);
    response
}
