use axum::Form;
use axum::extract::rejection::{FormRejection, PathRejection};
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use sayso_cloud::{Concluded, Failure, Settled, random};
use sayso_model::passkey::RequiredProof;
use sayso_model::{ApprovalId, ClosedApproval, DecidingLink, LinkSecret, OpenApproval, Outcome, Proof};
use sayso_views::{self as views, Approving, FormErrors, Telling, html};

use crate::Deps;
use crate::form::{Answer, Fields, Shown, Verdict};
use crate::passkey::{self, PasskeyError};

pub(crate) async fn not_found() -> Response {
    html(StatusCode::NOT_FOUND, views::not_found())
}

/// One read, one signature for a yes, one write; and the page that says what came of it.
pub(crate) async fn decide(
    State(deps): State<Deps>,
    path: Result<Path<String>, PathRejection>,
    form: Result<Form<Fields>, FormRejection>,
) -> Response {
    let Some(id) = path.ok().and_then(|Path(id)| ApprovalId::parse(&id).ok()) else {
        return not_found().await;
    };
    let fields = match form {
        Ok(Form(fields)) => fields,
        Err(rejection) => return not_the_form(&rejection),
    };
    let Ok(secret) = LinkSecret::parse(&fields.secret) else { return not_found().await };
    let (stored, newer) = match deps.store.approval_and_newer(id, deps.clock.now()).await {
        Ok(Some(found)) => found,
        Ok(None) => return not_found().await,
        Err(failure) => return not_decided(id, &failure),
    };
    let Some(link) = stored.admit(secret) else { return not_found().await };
    match deps.store.settle(&stored, deps.clock.now(), deps.retention).await {
        Err(failure) => not_decided(id, &failure),
        Ok(Settled::Open(open)) => answer(&deps, open, newer, &link, &fields).await,
        Ok(Settled::Closed(closed)) => show(&deps, &closed, Telling::TooLate, fields.verdict()),
    }
}

async fn answer(
    deps: &Deps,
    open: OpenApproval,
    newer: Option<ApprovalId>,
    link: &DecidingLink,
    fields: &Fields,
) -> Response {
    let id = open.request().id;
    // Never what the request says: `mcp` wrote that.
    let required = match deps.store.required_proof(open.request()).await {
        Ok(required) => required,
        Err(failure) => return not_decided(id, &failure),
    };
    let again = |errors: &FormErrors| again(deps, &open, newer, link, (fields, required), errors);
    let Answer { verdict, shown, note } = match fields.answer(link, required) {
        Ok(answer) => answer,
        Err(errors) => return again(&errors),
    };
    let proof = match shown {
        Shown::Code(proof) => Proof::from(proof),
        Shown::Passkey(answer) => match passkey::prove(deps, open.request(), answer).await {
            Ok(proof) => proof.into(),
            Err(PasskeyError::Failed(failure)) => return not_decided(id, &failure),
            Err(PasskeyError::Refused(problem)) => {
                return again(&FormErrors { passkey: Some(problem), ..FormErrors::default() });
            }
        },
    };
    let now = deps.clock.now();
    let closed = match verdict {
        Verdict::Deny => open.deny(proof, note, now),
        Verdict::Approve => {
            let key = deps.signer.public_key().id();
            let unsigned = open.approve(proof, note, &deps.issuer, &key, now);
            match deps.signer.sign(unsigned.digest()).await {
                Ok(signature) => unsigned.signed(&signature),
                Err(failure) => return not_decided(id, &failure),
            }
        }
    };
    conclude(deps, closed, verdict).await
}

/// The form as it was sent, with what has to change beside each field.
fn again(
    deps: &Deps,
    open: &OpenApproval,
    newer: Option<ApprovalId>,
    link: &DecidingLink,
    (fields, required): (&Fields, RequiredProof),
    errors: &FormErrors,
) -> Response {
    // Relative to this very address, so that it holds under any path.
    let target = open.request().id.to_string();
    let code = fields.code_to_keep(errors);
    let approving = match required {
        RequiredProof::EmailLink => Approving::ByCode,
        // A passkey belongs to the page's origin, and this is another.
        RequiredProof::Passkey => Approving::ByPasskeyElsewhere,
    };
    let form = views::Form { target: &target, link, approving, code, note: &fields.note, errors };
    html(StatusCode::UNPROCESSABLE_ENTITY, views::deciding(open.request(), newer, &form, deps.clock.now()))
}

/// Records the answer, and shows the outcome that stands: this one, or the one that was there first.
async fn conclude(deps: &Deps, closed: ClosedApproval, verdict: Verdict) -> Response {
    let id = closed.request.id;
    let concluded = match deps.store.conclude(closed, deps.retention).await {
        Ok(concluded) => concluded,
        Err(failure) => return maybe_not_recorded(id, &failure),
    };
    let telling = match concluded {
        Concluded::First(_) => Telling::Recorded,
        Concluded::Already(_) => Telling::TooLate,
    };
    show(deps, &concluded.into_closed(), telling, Some(verdict))
}

/// 200 when what stands is what was sent, also when it is sent again; 409 when something else came first.
fn show(deps: &Deps, closed: &ClosedApproval, telling: Telling, verdict: Option<Verdict>) -> Response {
    let first = matches!(telling, Telling::Recorded);
    tracing::info!(approval_id = %closed.request.id, status = %closed.outcome.status(), first, "an answer came");
    let status = match (&closed.outcome, verdict) {
        (Outcome::Approved { .. }, Some(Verdict::Approve)) | (Outcome::Denied(_), Some(Verdict::Deny)) => {
            StatusCode::OK
        }
        _ => StatusCode::CONFLICT,
    };
    html(status, views::outcome(closed, telling, deps.clock.now()))
}

/// A rejection's own text repeats the body: only its kind is told.
fn not_the_form(rejection: &FormRejection) -> Response {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => html(StatusCode::PAYLOAD_TOO_LARGE, views::too_large()),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => html(StatusCode::UNSUPPORTED_MEDIA_TYPE, views::unreadable()),
        _ => html(StatusCode::BAD_REQUEST, views::unreadable()),
    }
}

fn not_decided(id: ApprovalId, failure: &Failure) -> Response {
    let error_id = random::error_id();
    tracing::error!(error_id, approval_id = %id, %failure, "nothing was decided");
    html(StatusCode::INTERNAL_SERVER_ERROR, views::not_decided(&error_id))
}

fn maybe_not_recorded(id: ApprovalId, failure: &Failure) -> Response {
    let error_id = random::error_id();
    tracing::error!(error_id, approval_id = %id, %failure, "an answer may not have been recorded");
    html(StatusCode::INTERNAL_SERVER_ERROR, views::maybe_not_recorded(&error_id))
}
