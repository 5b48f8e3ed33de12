use std::time::Duration;

use reqwest::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap};
use reqwest::{Client, StatusCode};
use sayso_model::token::{Issuer, Jwk, Jwks, TokenRefusal};
use sayso_model::wire::{ALREADY_REDEEMED, NO_SUCH_APPROVAL};
use sayso_model::{GateName, Receipt, RedemptionRequest, Timestamp};
use serde_json::Value;

use crate::http::{Answer, HttpClient, NoAnswer, TlsError};
use crate::{MAX_FRESH, Refusal};

/// The gate's side of `ISSUER/.well-known/jwks.json` and `ISSUER/redeem`.
#[derive(Debug)]
pub(crate) struct IssuerClient {
    http: HttpClient,
    keys: String,
    redeem: String,
}

/// The issuer's keys and how long it wants them kept.
pub(crate) struct Published {
    pub(crate) keys: Jwks,
    pub(crate) max_age: Duration,
}

impl IssuerClient {
    pub(crate) fn new(issuer: &Issuer, roots: Option<&[u8]>) -> Result<Self, TlsError> {
        Ok(Self {
            http: HttpClient::new(issuer, roots)?,
            keys: format!("{issuer}/.well-known/jwks.json"),
            redeem: format!("{issuer}/redeem"),
        })
    }

    /// Fetches the keys; `None` if there is no set of keys to be had.
    pub(crate) async fn keys(&self) -> Option<Published> {
        let answer = self.http.ask(|http, _| http.get(&self.keys)).await.ok()?;
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
        let post = |http: &Client, _| {
            http.post(&self.redeem).header(CONTENT_TYPE, "application/json").body(body.clone())
        };
        match self.http.ask(post).await {
            Ok(Answer { status: StatusCode::OK, text, .. }) => {
                Receipt::from_json(&text).map_err(|_| Refusal::NotUnderstood { status: 200 })
            }
            Ok(answer) => Err(refusal(&answer)),
            Err(NoAnswer::Unreachable) => Err(Refusal::Unreachable),
            Err(NoAnswer::Unanswered) => Err(Refusal::Unanswered),
        }
    }
}

fn refusal(answer: &Answer) -> Refusal {
    let problem: Value = serde_json::from_str(&answer.text).unwrap_or_default();
    let member = |name: &str| problem.get(name).and_then(Value::as_str).unwrap_or_default();
    let not_understood = Refusal::NotUnderstood { status: answer.status.as_u16() };
    match (answer.status, member("reason")) {
        (StatusCode::CONFLICT, ALREADY_REDEEMED) => {
            let when_and_where =
                Timestamp::parse(member("redeemed_at")).ok().zip(GateName::parse(member("gate")).ok());
            when_and_where.map_or(not_understood, |(at, gate)| Refusal::AlreadyRedeemed { at, gate })
        }
        (StatusCode::FORBIDDEN, NO_SUCH_APPROVAL) => Refusal::NoSuchApproval,
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
    ages.min().unwrap_or(MAX_FRESH)
}

#[cfg(test)]
mod tests;
