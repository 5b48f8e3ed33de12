//! The headers of every answer, whatever its status.
//!
//! Threat: content from an agent, a page that frames ours, a link that leaks to the next site, a cache that keeps it.
//! The policy starts from nothing and allows one stylesheet by its hash and one target for forms: no script runs, even
//! if one got in. Not done here: deciding who may post a form. `no-referrer` makes browsers send `Origin: null` across
//! origins, so `Origin` cannot tell; the link's secret in the form's body does.

use axum::Router;
use axum::middleware::map_response;
use axum::response::Response;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};

use crate::views::style_source;

const FIXED: [(HeaderName, &str); 9] = [
    (CACHE_CONTROL, "no-store"),
    (REFERRER_POLICY, "no-referrer"),
    (STRICT_TRANSPORT_SECURITY, "max-age=63072000; includeSubDomains"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("x-robots-tag"), "noindex, nofollow, noarchive"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
];

/// Puts the headers on every answer of `router`. `form_action` is where its forms may go, as the policy writes it.
pub fn protect(router: Router, form_action: &str) -> Router {
    let policy = format!(
        "default-src 'none'; style-src {}; base-uri 'none'; form-action {form_action}; frame-ancestors 'none'",
        style_source()
    );
    // Were the text no header, the strictest policy there is would stand in.
    let policy =
        HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'; sandbox"));
    router.layer(map_response(move |mut response: Response| {
        let headers = response.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, policy.clone());
        for (name, value) in &FIXED {
            headers.insert(name, HeaderValue::from_static(value));
        }
        std::future::ready(response)
    }))
}
