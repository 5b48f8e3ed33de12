use std::time::Duration;

use reqwest::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap};
use reqwest::{Client, RequestBuilder, StatusCode};
use sayso_model::token::{Issuer, Jwk, Jwks, TokenRefusal};
use sayso_model::{GateName, Receipt, RedemptionRequest, Timestamp};
use serde_json::Value;
use thiserror::Error;

use crate::{LONGEST_FRESH, Refusal};

/// How long a connection may take. A name that resolves and a host that listens answer in a fraction of it.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// How long one attempt may take, from connecting to the answer's last byte. The issuer makes two calls to DynamoDB; where
/// one of them has to be tried again this is still enough, and an answer that comes later is asked for again.
pub const ATTEMPT_LIMIT: Duration = Duration::from_secs(12);

/// How often the same is asked. They follow each other at once: a caller waits for [`Gate::permit`](crate::Gate::permit)
/// at most this often times [`ATTEMPT_LIMIT`] for the keys and the same again for the receipt.
pub const ATTEMPTS: usize = 3;

/// Far above any honest answer.
const LONGEST_ANSWER: usize = 64 * 1024;

/// The HTTPS client cannot be built: this machine has no usable root certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no TLS on this machine: install its root certificates (Debian: ca-certificates)")]
pub struct NoTls;

/// The gate's side of `ISSUER/.well-known/jwks.json` and `ISSUER/redeem`.
#[derive(Debug)]
pub(crate) struct IssuerClient {
    http: Client,
    keys: String,
    redeem: String,
}

/// The issuer's keys and how long it wants them kept.
pub(crate) struct Published {
    pub(crate) keys: Jwks,
    pub(crate) max_age: Duration,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

/// Why an attempt brought no answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lost {
    /// Nothing was sent.
    Unreachable,
    /// Something may have happened there.
    Unanswered,
}

impl IssuerClient {
    pub(crate) fn new(issuer: &Issuer) -> Result<Self, NoTls> {
        let builder = Client::builder()
            .connect_timeout(CONNECT_LIMIT)
            .timeout(ATTEMPT_LIMIT)
            // A token is sent to the configured issuer and nowhere else.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never());
        // `BaseUrl` allows plain HTTP on loopback only, where no proxy belongs in between.
        let local = issuer.as_str().starts_with("http://");
        let builder = if local { builder.no_proxy() } else { builder.https_only(true) };
        Ok(Self {
            http: builder.build().map_err(|_| NoTls)?,
            keys: format!("{issuer}/.well-known/jwks.json"),
            redeem: format!("{issuer}/redeem"),
        })
    }

    /// Fetches the keys; `None` if there is no set of keys to be had.
    pub(crate) async fn keys(&self) -> Option<Published> {
        let answer = self.ask(|http| http.get(&self.keys)).await.ok()?;
        if answer.status != StatusCode::OK {
            return None;
        }
        let set: Value = serde_json::from_str(&answer.text).ok()?;
        // A key of another kind is none of ours, and no reason to do without the others (RFC 7517 section 5).
        let known = |key: &Value| serde_json::from_value::<Jwk>(key.clone()).ok();
        let keys = set.get("keys")?.as_array()?.iter().filter_map(known).collect();
        Some(Published { keys: Jwks { keys }, max_age: max_age(&answer.headers) })
    }

    /// Uses a token up; asks again, with the same nonce, for an answer that was lost.
    pub(crate) async fn redeem(&self, request: &RedemptionRequest) -> Result<Receipt, Refusal> {
        let body = request.to_json();
        let post = |http: &Client| {
            http.post(&self.redeem).header(CONTENT_TYPE, "application/json").body(body.clone())
        };
        match self.ask(post).await {
            Ok(Answer { status: StatusCode::OK, text, .. }) => {
                Receipt::from_json(&text).map_err(|_| Refusal::NotUnderstood { status: 200 })
            }
            Ok(answer) => Err(refusal(&answer)),
            Err(Lost::Unreachable) => Err(Refusal::Unreachable),
            Err(Lost::Unanswered) => Err(Refusal::Unanswered),
        }
    }

    async fn ask(&self, request: impl Fn(&Client) -> RequestBuilder) -> Result<Answer, Lost> {
        let mut worst = Lost::Unreachable;
        for _ in 0..ATTEMPTS {
            match attempt(request(&self.http)).await {
                Ok(answer) => return Ok(answer),
                Err(Lost::Unanswered) => worst = Lost::Unanswered,
                Err(Lost::Unreachable) => {}
            }
        }
        Err(worst)
    }
}

/// An answer that a server gave for want of one (5xx, and 429 from what throttles it) is as good as none.
async fn attempt(request: RequestBuilder) -> Result<Answer, Lost> {
    let lost = |error: &reqwest::Error| if error.is_connect() { Lost::Unreachable } else { Lost::Unanswered };
    let mut response = request.send().await.map_err(|error| lost(&error))?;
    let status = response.status();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Err(Lost::Unanswered);
    }
    let headers = response.headers().clone();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| Lost::Unanswered)? {
        if body.len() + chunk.len() > LONGEST_ANSWER {
            // Whatever this is, asking again would not make it an answer.
            return Ok(Answer { status, headers, text: String::new() });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, headers, text: String::from_utf8(body).unwrap_or_default() })
}

fn refusal(answer: &Answer) -> Refusal {
    let problem: Value = serde_json::from_str(&answer.text).unwrap_or_default();
    let member = |name: &str| problem.get(name).and_then(Value::as_str).unwrap_or_default();
    let not_understood = Refusal::NotUnderstood { status: answer.status.as_u16() };
    match (answer.status, member("reason")) {
        (StatusCode::CONFLICT, "already_redeemed") => {
            let when_and_where =
                Timestamp::parse(member("redeemed_at")).ok().zip(GateName::parse(member("gate")).ok());
            when_and_where.map_or(not_understood, |(at, gate)| Refusal::AlreadyRedeemed { at, gate })
        }
        (StatusCode::FORBIDDEN, "no_such_approval") => Refusal::NoSuchApproval,
        (StatusCode::FORBIDDEN, reason) => {
            TokenRefusal::from_reason(reason).map_or(not_understood, Refusal::Token)
        }
        _ => not_understood,
    }
}

/// By `Cache-Control` (RFC 9111); without one, as long as is allowed.
fn max_age(headers: &HeaderMap) -> Duration {
    let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let directives = values.flat_map(|value| value.split(',')).map(|directive| directive.trim());
    let ages = directives.filter_map(|directive| {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => Some(Duration::ZERO),
            "max-age" => Some(Duration::from_secs(value.trim_matches('"').parse().unwrap_or_default())),
            _ => None,
        }
    });
    ages.min().unwrap_or(LONGEST_FRESH)
}

#[cfg(test)]
mod tests;
