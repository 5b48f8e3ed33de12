//! `POST /redeem`: verifies a token as a gate does, trusting no caller, and uses it up.
//!
//! Anyone who holds a token can use it up, and all that this gains them is that the action it permits does not run: a gate acts on no
//! receipt but its own.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::{IntoResponse as _, Response};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use sayso_cloud::Redeemed;
use sayso_model::token::{ApprovalToken, Expectations, verify_digest};
use sayso_model::{
    Approval, ApprovalId, ClosedApproval, Decision, Outcome, Receipt, RedemptionRequest, Request, Timestamp,
};

use crate::Deps;
use crate::issuer::own_url;
use crate::problem::Problem;

/// One read, one conditional write.
pub(crate) async fn redeem(
    State(deps): State<Deps>,
    parts: Parts,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    match attempt(&deps, &parts, body).await {
        Ok(receipt) => {
            (StatusCode::OK, [(CONTENT_TYPE, "application/json")], receipt.to_json()).into_response()
        }
        Err(problem) => {
            problem.log();
            problem.into_response()
        }
    }
}

async fn attempt(
    deps: &Deps,
    parts: &Parts,
    body: Result<Bytes, BytesRejection>,
) -> Result<Receipt, Problem> {
    let RedemptionRequest { token, digest, audience, gate, nonce } = read(&parts.headers, body)?;
    let expectations =
        Expectations { issuer: deps.issuer.clone().map_or_else(|| own_url(parts), Ok)?, audience };
    let now = deps.clock.now();
    let verified = verify_digest(&token, &deps.keys, &expectations, &digest, now)?;
    let (request, decision) = approved(deps, &token, verified.id, now).await?;
    let receipt = Receipt {
        id: verified.id,
        redeemed_at: now,
        gate,
        tool: request.action.tool.clone(),
        digest,
        proven_by: decision.proven_by,
    };
    match deps.store.redeem(&request, receipt, &nonce, deps.retention).await? {
        Redeemed::Now(receipt) => {
            tracing::info!(approval_id = %receipt.id, gate = receipt.gate.as_str(), "redeemed");
            Ok(receipt)
        }
        Redeemed::Before(receipt) => {
            tracing::warn!(approval_id = %receipt.id, "shown again after it was redeemed");
            Err(Problem::already_redeemed(&receipt))
        }
    }
}

/// JSON only: a web page's form cannot send it without asking first.
fn read(headers: &HeaderMap, body: Result<Bytes, BytesRejection>) -> Result<RedemptionRequest, Problem> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        return Err(Problem::not_json());
    }
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(),
        _ => Problem::malformed("its body broke off"),
    })?;
    let text = std::str::from_utf8(&body).map_err(|_| Problem::malformed("it is not UTF-8"))?;
    RedemptionRequest::from_json(text).map_err(Problem::malformed)
}

/// The approval that this very token was recorded for: a signature alone is not enough, because the signer may have lost
/// the race for the outcome.
async fn approved(
    deps: &Deps,
    token: &ApprovalToken,
    id: ApprovalId,
    now: Timestamp,
) -> Result<(Arc<Request>, Decision), Problem> {
    let stored = deps.store.approval(id, now).await?.ok_or_else(Problem::no_such_approval)?;
    match stored.judge(now)? {
        Approval::Closed(ClosedApproval {
            request,
            outcome: Outcome::Approved { decision, token: recorded },
        }) if recorded == *token => Ok((request, decision)),
        _ => Err(Problem::no_such_approval()),
    }
}
