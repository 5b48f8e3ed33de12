use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use sayso_cloud::{Failure, random};
use sayso_model::{Approval, ApprovalId, LinkSecret};

use crate::views::{self, Form, FormErrors, Telling};
use crate::{Deps, html};

pub(crate) async fn not_found() -> Response {
    html(StatusCode::NOT_FOUND, views::not_found())
}

/// How an approval stands, for whoever has its id: no action, no words, no names.
pub(crate) async fn status(State(deps): State<Deps>, path: Result<Path<String>, PathRejection>) -> Response {
    let Some(id) = path.ok().and_then(|Path(id)| ApprovalId::parse(&id).ok()) else {
        return not_found().await;
    };
    match deps.store.approval(id, deps.clock.now()).await {
        Ok(Some(stored)) => match stored.clone().judge(deps.clock.now()) {
            Ok(Approval::Open(_)) if stored.undelivered().is_some() => {
                html(StatusCode::OK, views::status(id, views::State::Undeliverable))
            }
            Ok(approval) => html(StatusCode::OK, views::status(id, views::State::from(&approval))),
            Err(failure) => failed(id, &failure),
        },
        Ok(None) => not_found().await,
        Err(failure) => failed(id, &failure),
    }
}

/// The request in full and the form, or how it ended, for whoever has the mailed link.
pub(crate) async fn deciding(
    State(deps): State<Deps>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Response {
    let parsed = path
        .ok()
        .and_then(|Path((id, secret))| ApprovalId::parse(&id).ok().zip(LinkSecret::parse(&secret).ok()));
    let Some((id, secret)) = parsed else { return not_found().await };
    let stored = match deps.store.approval(id, deps.clock.now()).await {
        Ok(Some(stored)) => stored,
        Ok(None) => return not_found().await,
        Err(failure) => return failed(id, &failure),
    };
    let Some(link) = stored.admit(secret) else { return not_found().await };
    let now = deps.clock.now();
    let request = stored.request.clone();
    let page = match stored.judge(now) {
        Err(failure) => return failed(id, &failure),
        Ok(Approval::Open(open)) => {
            let target = format!("{}/{id}", deps.decide_url);
            let errors = FormErrors::default();
            let form = Form { target: &target, link: &link, code: "", note: "", errors: &errors };
            views::deciding(open.request(), &form, now)
        }
        // What it will have been is for a function that may write to find out.
        Ok(Approval::Overdue(_)) => views::overdue(&request),
        Ok(Approval::Closed(closed)) => views::outcome(&closed, Telling::Visit, now),
    };
    html(StatusCode::OK, page)
}

fn failed(id: ApprovalId, failure: &Failure) -> Response {
    let error_id = random::error_id();
    tracing::error!(error_id, approval_id = %id, %failure, "the page could not be shown");
    html(StatusCode::INTERNAL_SERVER_ERROR, views::not_shown(&error_id))
}
