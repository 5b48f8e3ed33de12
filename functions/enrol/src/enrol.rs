use axum::Form;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::response::Response;
use http::StatusCode;
use sayso_cloud::{Enrolled, Failure, MAX_PASSKEYS, random};
use sayso_model::passkey::{
    Invitation, InvitationCode, InvitationToken, Passkey, PasskeyName, WebAuthnError,
};
use sayso_views::{self as views, html};
use serde::Deserialize;

use crate::Deps;

/// The form as sent. A field that is missing is empty; without `Debug`, so that no log shows the invitation or its code.
#[derive(Deserialize)]
pub(crate) struct Fields {
    #[serde(default)]
    invitation: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    name: String,
    /// `RegistrationResponseJSON`.
    #[serde(default)]
    credential: String,
}

/// Why nothing was enrolled.
enum EnrolError {
    /// It is no invitation of this deployment's: not whole, or somebody else's.
    NotAnInvitation,
    /// Its day is over.
    Over,
    /// It was used.
    Used,
    /// The operator has voided it.
    Void,
    /// The code is not the one that was made with it.
    Code,
    /// The name.
    Name(String),
    /// The browser's answer.
    Passkey(WebAuthnError),
    /// There are too many.
    TooMany,
    /// Something broke.
    Failed(Failure),
}

impl From<Failure> for EnrolError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl EnrolError {
    fn status(&self) -> StatusCode {
        match self {
            Self::NotAnInvitation => StatusCode::NOT_FOUND,
            Self::Over | Self::Used | Self::Void => StatusCode::GONE,
            Self::Code => StatusCode::FORBIDDEN,
            Self::Name(_) | Self::Passkey(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooMany => StatusCode::CONFLICT,
            Self::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn told(&self, error_id: &str) -> String {
        match self {
            Self::NotAnInvitation => "This is not a complete invitation to this service. Open the link in the mail, or copy all of it.".to_owned(),
            Self::Over => "This invitation has expired. It was valid for one day. Ask your operator for another.".to_owned(),
            Self::Used => "This invitation was used already. If that was not you, tell the people who run this service at once: somebody else may have enrolled a passkey in your name. For another passkey, ask for another invitation.".to_owned(),
            Self::Void => "This invitation is no longer valid. Your operator has made a newer one or withdrawn it. Use the newest, or ask for one.".to_owned(),
            Self::Code => "The code does not fit this invitation. Go back, and type the sixteen letters and digits that your operator told you. The invitation is not used up.".to_owned(),
            Self::Name(problem) => format!("The name cannot be used: {problem}. Go back and change it. The invitation is not used up."),
            Self::Passkey(problem) => format!("Something is wrong with the new passkey: {problem}. Go back and try again. The invitation is not used up."),
            Self::TooMany => format!("You have {MAX_PASSKEYS} passkeys already. Ask your operator to remove one. The invitation is not used up."),
            Self::Failed(_) => format!("Something failed on our side. Reload this page to send it again. If it goes on, tell the people who run this service: error {error_id}."),
        }
    }
}

pub(crate) async fn not_found() -> Response {
    html(StatusCode::NOT_FOUND, views::not_found())
}

/// One read, one signature, one write; and the page that says what came of it.
pub(crate) async fn enrol(State(deps): State<Deps>, form: Result<Form<Fields>, FormRejection>) -> Response {
    let Ok(Form(fields)) = form else {
        return html(
            StatusCode::BAD_REQUEST,
            views::not_enrolled(
                "This is not the form. Open the link in the mail, and send the form that it shows.",
            ),
        );
    };
    let error = match try_enrol(&deps, &fields).await {
        Ok(passkey) => {
            let label = passkey.credential.label();
            tracing::info!(approver = %passkey.approver, passkey = label, "a passkey was enrolled");
            return html(StatusCode::OK, views::enrolled(passkey.name.as_str(), &label));
        }
        Err(error) => error,
    };
    let error_id = random::error_id();
    if let EnrolError::Failed(failure) = &error {
        tracing::error!(error_id, %failure, "no passkey was enrolled");
    }
    html(error.status(), views::not_enrolled(&error.told(&error_id)))
}

async fn try_enrol(deps: &Deps, fields: &Fields) -> Result<Passkey, EnrolError> {
    let (token, now) = (InvitationToken::from_text(&fields.invitation), deps.clock.now());
    let keys = deps.signer.keys();
    let invitation = Invitation::verify(&token, &keys).map_err(|_| EnrolError::NotAnInvitation)?;
    if !invitation.is_open(now) {
        return Err(EnrolError::Over);
    }
    let code = InvitationCode::parse(&fields.code).map_err(|_| EnrolError::Code)?;
    if !invitation.admits(&code) {
        return Err(EnrolError::Code);
    }
    let name = PasskeyName::parse(&fields.name).map_err(|e| EnrolError::Name(e.to_string()))?;
    let passkey = Passkey::from_registration(&fields.credential, &invitation, &token, name, now);
    let passkey = passkey.map_err(EnrolError::Passkey)?;
    // Before anything is signed: a used invitation signs nothing more.
    if let Some(refused) = deps.store.refuses(&invitation).await? {
        return enrolled(deps, refused, passkey).await;
    }
    let unsigned = passkey.to_sign(&deps.signer.public_key().id());
    let signature = deps.signer.sign(unsigned.digest()).await?;
    let record = unsigned.signed(&signature);
    enrolled(deps, deps.store.enrol(&passkey, record, &invitation, now).await?, passkey).await
}

async fn enrolled(deps: &Deps, enrolled: Enrolled, passkey: Passkey) -> Result<Passkey, EnrolError> {
    match enrolled {
        Enrolled::Now => Ok(passkey),
        // The same form, sent again: its first answer may have been lost.
        Enrolled::AlreadyUsed if is_there(deps, &passkey).await? => Ok(passkey),
        Enrolled::AlreadyUsed => Err(EnrolError::Used),
        Enrolled::Void => Err(EnrolError::Void),
        Enrolled::TooMany => Err(EnrolError::TooMany),
    }
}

/// Whether this very passkey is enrolled by the invitation that it came with.
async fn is_there(deps: &Deps, passkey: &Passkey) -> Result<bool, Failure> {
    let passkeys = deps.store.passkeys(&passkey.approver, &deps.signer.keys()).await?;
    // But for the moment, which is that of the first sending.
    let same = |known: &Passkey| {
        let mut known = known.clone();
        known.created_at = passkey.created_at;
        known == *passkey
    };
    Ok(passkeys.enrolled.iter().any(same))
}
