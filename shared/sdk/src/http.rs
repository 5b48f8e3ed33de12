//! The line to one of Sayso's functions: every attempt bounded, in time and in what is read, and the same asked again when
//! no answer came. All that goes over it is safe to ask twice.

use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Certificate, Client, RequestBuilder, StatusCode};
use sayso_model::BaseUrl;
use thiserror::Error;

/// How long a connection may take. A name that resolves and a host that listens answer in a fraction of it.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// How long one attempt may take, from connecting to the answer's last byte. The issuer makes two calls to DynamoDB; where
/// one of them has to be tried again this is still enough, and an answer that comes later is asked for again.
pub const ATTEMPT_LIMIT: Duration = Duration::from_secs(12);

/// How often the same is asked. They follow each other at once: a caller waits for [`Gate::permit`](crate::Gate::permit)
/// at most this often times [`ATTEMPT_LIMIT`] for the keys and the same again for the receipt.
pub const ATTEMPTS: usize = 3;

/// Far above any honest answer.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// The HTTPS client cannot be built: there are no usable root certificates, neither on this machine nor given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "no TLS on this machine: install its root certificates (Debian: ca-certificates), or see to those that were named in their place"
)]
pub struct TlsError;

/// Connections to one function and to nowhere else.
#[derive(Debug)]
pub(crate) struct HttpClient {
    http: Client,
}

/// What came back, whatever it is.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Empty if it is no text, or too long.
    pub(crate) text: String,
}

/// Why an attempt brought no answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// Nothing was sent.
    Unreachable,
    /// Something may have happened there.
    Unanswered,
}

impl HttpClient {
    /// With `roots`, certificates in PEM, those alone are trusted.
    pub(crate) fn new(to: &BaseUrl, roots: Option<&[u8]>) -> Result<Self, TlsError> {
        let builder = Client::builder()
            .connect_timeout(CONNECT_LIMIT)
            .timeout(ATTEMPT_LIMIT)
            // A token or a key is sent to the configured address and nowhere else.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never());
        // `BaseUrl` allows plain HTTP on loopback only, where no proxy belongs in between and no certificate is looked at.
        let local = to.as_str().starts_with("http://");
        let builder = match (local, roots) {
            (true, _) => builder.no_proxy().tls_certs_only([]),
            (false, None) => builder.https_only(true),
            (false, Some(pem)) => {
                let certificates = Certificate::from_pem_bundle(pem).map_err(|_| TlsError)?;
                builder.https_only(true).tls_certs_only(certificates)
            }
        };
        Ok(Self { http: builder.build().map_err(|_| TlsError)? })
    }

    /// Asks until there is an answer, [`ATTEMPTS`] times at most. `request` makes the request of one attempt, of which the
    /// first is 0.
    pub(crate) async fn ask(
        &self,
        request: impl Fn(&Client, usize) -> RequestBuilder,
    ) -> Result<Answer, NoAnswer> {
        let mut worst = NoAnswer::Unreachable;
        for number in 0..ATTEMPTS {
            match attempt(request(&self.http, number)).await {
                Ok(answer) => return Ok(answer),
                Err(NoAnswer::Unanswered) => worst = NoAnswer::Unanswered,
                Err(NoAnswer::Unreachable) => {}
            }
        }
        Err(worst)
    }
}

/// An answer that a server gave for want of one (5xx, and 429 from what throttles it) is as good as none.
async fn attempt(request: RequestBuilder) -> Result<Answer, NoAnswer> {
    let lost = |error: &reqwest::Error| {
        if error.is_connect() { NoAnswer::Unreachable } else { NoAnswer::Unanswered }
    };
    let mut response = request.send().await.map_err(|error| lost(&error))?;
    let status = response.status();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Err(NoAnswer::Unanswered);
    }
    let headers = response.headers().clone();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| NoAnswer::Unanswered)? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            // Whatever this is, asking again would not make it an answer.
            return Ok(Answer { status, headers, text: String::new() });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, headers, text: String::from_utf8(body).unwrap_or_default() })
}
