//! Where a server at a URL is, and the one HTTP client that goes there: no redirects, no proxy on loopback, HTTPS elsewhere.

use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue, LOCATION};
use reqwest::{Client, Response};
use sayso_model::BaseUrl;

use super::UpstreamError;

const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long the server may take to say that it is elsewhere, when the gate starts.
const LOOK_LIMIT: Duration = Duration::from_secs(3);
/// A call may take as long as it takes, but not on a connection whose other end is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// A URL and the way there.
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
            // What is sent goes to the configured server and nowhere else, and once.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never());
        // `BaseUrl` allows plain HTTP on loopback only, where no proxy belongs in between and no certificate is looked at.
        let local = base.as_str().starts_with("http://");
        let builder = if local { builder.no_proxy().tls_certs_only([]) } else { builder.https_only(true) };
        let http = builder.build().map_err(|_| refuse("no TLS is to be had on this machine"))?;
        let authorization = authorization.map(HeaderValue::try_from).transpose();
        let mut authorization = authorization.map_err(|_| {
            UpstreamError("the server's `Authorization` holds what no header may hold: remove it".to_owned())
        })?;
        if let Some(value) = &mut authorization {
            value.set_sensitive(true);
        }
        // As it was written: to some servers a slash at the end makes a difference.
        Ok(Self { url: url.to_owned(), http, authorization })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Refuses a server that redirects. A server that is not there yet is no problem here.
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

/// What a redirection says, which is not followed: what is sent goes to the configured server and nowhere else. The address is
/// told without user, query and fragment, which may hold a credential.
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
        "the server is at another address (HTTP status {}): give `--upstream {url}` if you trust that one",
        status.as_u16()
    ))
}
