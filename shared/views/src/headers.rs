//! The headers of every answer, whatever its status.
//!
//! Threat: content from an agent, a page that frames ours, a link that leaks to the next site, a cache that keeps it.
//! The policy starts from nothing and allows one stylesheet by its hash and the targets of our forms. On the pages that use a
//! passkey it allows one script, by its hash; no other script runs, even if one got in. Not done here: deciding who may post
//! a form. `no-referrer` makes browsers send `Origin: null` across origins, so `Origin` cannot tell; the link's secret in
//! the form's body does.

use axum::Router;
use axum::middleware::map_response;
use axum::response::Response;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};

use crate::layout::style_source;
use crate::passkey::script_source;

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

/// Marks an answer whose page uses a passkey: see [`with_script`](crate::with_script).
#[derive(Debug, Clone, Copy)]
pub(crate) struct UsesPasskey;

/// Puts the headers on every answer of `router`. `form_action` is where its forms may go, as the policy writes it.
pub fn protect(router: Router, form_action: &str) -> Router {
    let [policy, with_script] = ["", script_source()].map(|script| policy(script, form_action));
    router.layer(map_response(move |mut response: Response| {
        let script = response.extensions().get::<UsesPasskey>().is_some();
        let policy = if script { &with_script } else { &policy };
        let headers = response.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, policy.clone());
        for (name, value) in &FIXED {
            headers.insert(name, HeaderValue::from_static(value));
        }
        std::future::ready(response)
    }))
}

fn policy(script: &str, form_action: &str) -> HeaderValue {
    let script = if script.is_empty() { String::new() } else { format!(" script-src {script};") };
    let policy = format!(
        "default-src 'none'; style-src {};{script} base-uri 'none'; form-action {form_action}; frame-ancestors 'none'",
        style_source()
    );
    // Were the text no header, the strictest policy there is would stand in.
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'; sandbox"))
}
