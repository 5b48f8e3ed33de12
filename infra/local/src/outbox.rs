//! Amazon SES, as far as it is used: takes each mail that SES would take, keeps it, and shows it instead of sending it.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderName, StatusCode, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::broadcast;

use crate::engine::{Engine, EngineError, Notes, random};

mod accept;
mod address;
mod events;
pub(crate) mod guard;
mod page;

pub use events::Fate;

/// Tells the time in unix seconds. The outbox has no other clock.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The prefix of a mail's name among the host's notes.
const NOTE: &str = "mail/";
/// How many mails a subscriber may lag behind before it misses the oldest.
const FOLLOWED: usize = 256;
/// Room for the largest message SES takes (40 MB) in its JSON, where a character may be escaped.
const MAX_REQUEST: usize = 2 * accept::MAX_MESSAGE;

/// A mail as it was accepted. It holds the link that decides: `Debug` shows neither its bodies nor its headers.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// What `SendEmail` answered.
    pub message_id: String,
    /// The sender, as it was given.
    pub from: String,
    /// The recipients, as they were given: at least one.
    pub to: Vec<String>,
    /// The subject: one line, never empty.
    pub subject: String,
    /// The plain text part. A mail has at least one of the two parts.
    pub text: Option<String>,
    /// The HTML part.
    pub html: Option<String>,
    /// The headers besides those above, in their order, `Reply-To` among them.
    pub headers: Vec<(String, String)>,
    /// When it was accepted, in unix seconds.
    pub sent_at: i64,
    /// What SES would repeat in its events about it.
    #[serde(default)]
    pub tags: Vec<(String, String)>,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { message_id, from, to, subject, sent_at, .. } = self;
        write!(f, "Mail {{ {message_id}, {from:?} -> {to:?}, {subject:?}, at {sent_at}, .. }}")
    }
}

/// The outbox: cheap to clone, and all clones are the same one. Mails outlive the process if the engine's database does.
#[derive(Clone)]
pub struct Outbox {
    notes: Notes,
    clock: Clock,
    sent: broadcast::Sender<Arc<Mail>>,
}

impl Outbox {
    /// The outbox kept in `engine`'s database.
    pub fn open(engine: &Engine, clock: Clock) -> Self {
        let (sent, _) = broadcast::channel(FOLLOWED);
        Self { notes: engine.notes().clone(), clock, sent }
    }

    /// The SES endpoint.
    pub fn api(&self) -> Router {
        Router::new()
            .route("/v2/email/outbound-emails", post(send_email))
            .layer(DefaultBodyLimit::max(MAX_REQUEST))
            .layer(guard::for_clients())
            .with_state(self.clone())
    }

    /// What a person opens: `/` shows the mails, `/messages.json` lists them. Anyone who can read either can decide.
    pub fn page(&self) -> Router {
        page::router(self.clone())
    }

    /// Every mail accepted from now on, as it is accepted and after it is kept.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Mail>> {
        self.sent.subscribe()
    }

    /// Every mail, oldest first.
    pub fn mails(&self) -> Result<Vec<Mail>, EngineError> {
        let kept = self.notes.list(NOTE)?;
        kept.iter()
            .map(|mail| serde_json::from_slice(mail).map_err(|_| EngineError::Damaged("mail")))
            .collect()
    }

    fn send(&self, body: &[u8]) -> Result<String, SendError> {
        let accepted = accept::read(body).map_err(SendError::Refused)?;
        let sent_at = (self.clock)();
        let message_id = message_id(sent_at).map_err(|_| SendError::Failed)?;
        let accept::Accepted { from, to, subject, text, html, headers, tags } = accepted;
        let mail =
            Mail { message_id: message_id.clone(), from, to, subject, text, html, headers, sent_at, tags };
        let kept = serde_json::to_vec(&mail).map_err(|_| SendError::Failed)?;
        self.notes.add(&format!("{NOTE}{message_id}"), &kept).map_err(|_| SendError::Failed)?;
        // Nobody has to be following.
        let _ = self.sent.send(Arc::new(mail));
        Ok(message_id)
    }
}

enum SendError {
    /// SES would not take this mail.
    Refused(accept::Refusal),
    /// SES would; this outbox could not keep it.
    Failed,
}

async fn send_email(State(outbox): State<Outbox>, body: Result<Bytes, BytesRejection>) -> Response {
    let sent = match &body {
        Ok(body) => outbox.send(body),
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            Err(SendError::Refused(accept::Refusal::too_large()))
        }
        Err(_) => Err(SendError::Failed),
    };
    let json = [(CONTENT_TYPE, "application/json")];
    match sent {
        Ok(message_id) => (json, json!({"MessageId": message_id}).to_string()).into_response(),
        Err(SendError::Refused(refusal)) => {
            error(StatusCode::BAD_REQUEST, "BadRequestException", refusal.message())
        }
        Err(SendError::Failed) => {
            let why = "the local outbox could not keep the mail";
            error(StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure", why)
        }
    }
}

fn error(status: StatusCode, kind: &'static str, message: &str) -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (HeaderName::from_static("x-amzn-errortype"), kind)];
    (status, headers, json!({"message": message}).to_string()).into_response()
}

/// An id of SES's form: the time in milliseconds, a UUID, a counter.
fn message_id(sent_at: i64) -> Result<String, getrandom::Error> {
    let [a, b] = random::<16>().map(|bytes| {
        let value = u128::from_be_bytes(bytes);
        [value >> 64, value & u128::from(u64::MAX)]
    })?;
    let milliseconds = sent_at.max(0).saturating_mul(1000);
    let (time, tail) = (a >> 32, b & 0xffff_ffff_ffff);
    let (mid, high, variant) = ((a >> 16) & 0xffff, a & 0xffff, b >> 48);
    Ok(format!("0100{milliseconds:012x}-{time:08x}-{mid:04x}-{high:04x}-{variant:04x}-{tail:012x}-000000"))
}
