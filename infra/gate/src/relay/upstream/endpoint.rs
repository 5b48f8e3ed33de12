//! The URL of a server, and the only HTTP client that goes there: no redirects, no proxy on loopback, HTTPS elsewhere.

use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue, LOCATION};
use reqwest::{Client, Response};
use sayso_model::BaseUrl;

use super::UpstreamError;

const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long the gate waits at the start to see whether the server redirects.
const LOOK_LIMIT: Duration = Duration::from_secs(3);
/// A call has no time limit. This notices a connection whose other end is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// A server's URL, and how to reach it.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    url: String,
    pub(super) http: Client,
    pub(super) authorization: Option<HeaderValue>,
}

impl Endpoint {
    pub(super) fn new(url: &str, authorization: Option<&str>) -> Result<Self, UpstreamError> {
        let refuse = |problem: &str| UpstreamError(format!("the server's URL: {problem}"));
        let base = BaseUrl::parse(url).map_err(|problem| refuse(&problem.to_string()))?;
        let builder = Client::builder()
            .connect_timeout(CONNECT_LIMIT)
            .tcp_keepalive(KEEP_ALIVE)
            // Each request goes to the configured server only, and only once.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never());
        // `BaseUrl` allows plain HTTP only on loopback, which needs no proxy and no certificates.
        let local = base.as_str().starts_with("http://");
        let builder = if local { builder.no_proxy().tls_certs_only([]) } else { builder.https_only(true) };
        let http = builder
            .build()
            .map_err(|_| refuse("TLS cannot be set up on this machine: check its root certificates"))?;
        let authorization = authorization.map(HeaderValue::try_from).transpose();
        let mut authorization = authorization.map_err(|_| {
            UpstreamError("the server's `Authorization` contains characters that are not allowed in a header: remove them".to_owned())
        })?;
        if let Some(value) = &mut authorization {
            value.set_sensitive(true);
        }
        // The URL as it was written: for some servers a slash at the end matters.
        Ok(Self { url: url.to_owned(), http, authorization })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Refuses a server that redirects. It may also be unreachable still.
    pub(super) async fn look(&self) -> Result<(), UpstreamError> {
        let mut request = self.http.get(&self.url).header(ACCEPT, "text/event-stream").timeout(LOOK_LIMIT);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        match request.send().await.ok().and_then(|response| elsewhere(&response)) {
            Some(elsewhere) => Err(UpstreamError(elsewhere)),
            None => Ok(()),
        }
    }
}

/// What to tell the operator about a redirect. It is not followed, because requests go to the configured server only. The message
/// leaves out the user, query and fragment of the new address: they may contain a credential.
pub(super) fn elsewhere(response: &Response) -> Option<String> {
    let status = response.status();
    if !status.is_redirection() {
        return None;
    }
    let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    let mut url = location.and_then(|location| response.url().join(location).ok())?;
    url.set_query(None);
    url.set_fragment(None);
    if url.set_username("").and_then(|()| url.set_password(None)).is_err() {
        return None;
    }
    Some(format!(
        "the server redirects to another address (HTTP status {}): give `--upstream {url}` if you trust that address",
        status.as_u16()
    ))
}
