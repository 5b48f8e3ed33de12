use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use sayso_cloud::{Failure, random};
use sayso_model::passkey::{Challenge, RequiredProof};
use sayso_model::{Approval, ApprovalId, LinkSecret};
use sayso_views::{self as views, Approving, Form, FormErrors, Telling, html, with_script};

use crate::Deps;
use crate::address::Address;

pub(crate) async fn not_found() -> Response {
    html(StatusCode::NOT_FOUND, views::not_found())
}

/// What an address leads to.
pub(crate) async fn page(State(deps): State<Deps>, path: Result<Path<String>, PathRejection>) -> Response {
    let address = path.map_or(Address::Nothing, |Path(path)| Address::parse(&path));
    match address {
        Address::Deciding(id, secret) => deciding(&deps, id, secret).await,
        Address::Status(id) => status(&deps, id).await,
        Address::Enrolment => with_script(StatusCode::OK, views::enrolment(&format!("{}/", deps.enrol_url))),
        Address::Nothing => not_found().await,
    }
}

/// How an approval stands, for anyone who has its id: no action, no words, no names.
async fn status(deps: &Deps, id: ApprovalId) -> Response {
    match deps.store.approval(id, deps.clock.now()).await {
        Ok(Some(stored)) => match stored.judge(deps.clock.now()) {
            Ok(Approval::Open(_)) => html(StatusCode::OK, views::status(id, stored.open_status())),
            Ok(Approval::Overdue(_)) => html(StatusCode::OK, views::overdue_status(id)),
            Ok(Approval::Closed(closed)) => html(StatusCode::OK, views::status(id, closed.outcome.status())),
            Err(failure) => failed(id, &failure),
        },
        Ok(None) => not_found().await,
        Err(failure) => failed(id, &failure),
    }
}

/// The request in full and the form, or how it ended, for anyone who has the mailed link.
async fn deciding(deps: &Deps, id: ApprovalId, secret: LinkSecret) -> Response {
    let (stored, newer) = match deps.store.approval_and_newer(id, deps.clock.now()).await {
        Ok(Some(found)) => found,
        Ok(None) => return not_found().await,
        Err(failure) => return failed(id, &failure),
    };
    let Some(link) = stored.admit(secret) else { return not_found().await };
    let now = deps.clock.now();
    let page = match stored.judge(now) {
        Err(failure) => return failed(id, &failure),
        Ok(Approval::Open(open)) => {
            let approving = match deps.store.required_proof(open.request()).await {
                Ok(RequiredProof::EmailLink) => Approving::ByCode,
                Ok(RequiredProof::Passkey) => {
                    Approving::ByPasskey(Challenge::to_approve(&open.request().fingerprint()))
                }
                Err(failure) => return failed(id, &failure),
            };
            let target = format!("{}/{id}", deps.decide_url);
            let errors = FormErrors::default();
            let form = Form { target: &target, link: &link, approving, code: "", note: "", errors: &errors };
            let page = views::deciding(open.request(), newer, &form, now);
            return match approving {
                Approving::ByPasskey(_) => with_script(StatusCode::OK, page),
                Approving::ByCode | Approving::ByPasskeyElsewhere => html(StatusCode::OK, page),
            };
        }
        // The deadline has passed and no outcome is recorded. This function cannot write, so `mcp` or `decide` will.
        Ok(Approval::Overdue(_)) => views::overdue(&stored.request),
        Ok(Approval::Closed(closed)) => views::outcome(&closed, Telling::Visit, now),
    };
    html(StatusCode::OK, page)
}

fn failed(id: ApprovalId, failure: &Failure) -> Response {
    let error_id = random::error_id();
    tracing::error!(error_id, approval_id = %id, %failure, "the page could not be shown");
    html(StatusCode::INTERNAL_SERVER_ERROR, views::not_shown(&error_id))
}
