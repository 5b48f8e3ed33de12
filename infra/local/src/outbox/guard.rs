//! Who may speak to a loopback endpoint: programs on this machine, and not the web pages its browser shows.
//!
//! A browser reaches loopback ports on behalf of any site. It names itself with an `Origin` on every cross-site POST,
//! and a site that rebinds its own name to 127.0.0.1 still sends that name as the `Host`.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{HOST, ORIGIN};
use axum::middleware::{FromFnLayer, Next, from_fn};
use axum::response::{IntoResponse, Response};
use std::future::Future;
use std::pin::Pin;

type Guarded = Pin<Box<dyn Future<Output = Response> + Send>>;
type Guard = FromFnLayer<fn(Request, Next) -> Guarded, (), (Request,)>;

/// For what an SDK client calls: a browser is always refused.
pub(crate) fn for_clients() -> Guard {
    from_fn(|request, next| {
        let allowed = names_loopback(&request) && !request.headers().contains_key(ORIGIN);
        Box::pin(pass(allowed, request, next))
    })
}

/// For what a person opens in a browser: only under a name of this machine.
pub(crate) fn for_people() -> Guard {
    from_fn(|request, next| {
        let allowed = names_loopback(&request);
        Box::pin(pass(allowed, request, next))
    })
}

async fn pass(allowed: bool, request: Request, next: Next) -> Response {
    if allowed {
        return next.run(request).await;
    }
    let why = "This is a local endpoint: it answers programs and people on this machine, under http://127.0.0.1 or \
               http://localhost, and no web site.\n";
    (StatusCode::MISDIRECTED_REQUEST, why).into_response()
}

fn names_loopback(request: &Request) -> bool {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    let name = name.to_ascii_lowercase();
    is_loopback || name == "localhost" || name.ends_with(".localhost")
}
