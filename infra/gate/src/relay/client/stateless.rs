//! Clients of version 2026-07-28 and later. They have no sessions, so all of them share one conversation with the server. In it,
//! every request gets a unique id, and so does everything that names the request.

use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::conversation::Shared;
use super::metadata::{self, Refusal};
use super::opener::Opener;
use super::parameters;
use super::reply::{reads_events, refuse};
use crate::relay::message::{Kind, Message, code};
use crate::relay::upstream::UpstreamError;

/// The one conversation. It is opened when it is first needed, and again after it has ended.
pub(super) struct Stateless {
    opener: Arc<Opener>,
    shared: tokio::sync::Mutex<Arc<Shared>>,
}

impl Stateless {
    pub(super) fn new(opener: Arc<Opener>) -> Self {
        Self { opener, shared: tokio::sync::Mutex::default() }
    }

    /// Closes the conversation, if there is one.
    pub(super) fn close(&self) {
        if let Ok(shared) = self.shared.try_lock() {
            shared.close();
        }
    }

    /// Passes a request on and answers it.
    pub(super) async fn answer(&self, headers: &HeaderMap, message: &Message) -> Response {
        let (id, method) = match message.kind() {
            Kind::Request { id, method } => (id, method),
            // Clients of this version cancel by closing the stream. And nobody can tell whose request this means.
            Kind::Notification { method } if method == "notifications/cancelled" => {
                return StatusCode::ACCEPTED.into_response();
            }
            _ => {
                let problem = "this version of the protocol has only requests from the client over HTTP";
                return refuse(StatusCode::BAD_REQUEST, None, code::INVALID_REQUEST, problem);
            }
        };
        if let Err(Refusal { code, problem }) = metadata::check(headers, message, method) {
            return refuse(StatusCode::BAD_REQUEST, Some(id), code, problem);
        }
        // It would begin a session on the shared conversation.
        if method == "initialize" {
            let problem = "this version of the protocol has no `initialize`: send requests";
            return refuse(StatusCode::NOT_FOUND, Some(id), code::METHOD_NOT_FOUND, problem);
        }
        let shared = match self.shared().await {
            Ok(shared) => shared,
            Err(problem) => {
                return refuse(StatusCode::OK, Some(id), code::INTERNAL_ERROR, &problem.to_string());
            }
        };
        if method == "tools/call"
            && let Err(Refusal { code, problem }) = parameters::check(&shared, headers, message).await
        {
            let mismatch = code == metadata::HEADER_MISMATCH;
            let status = if mismatch { StatusCode::BAD_REQUEST } else { StatusCode::OK };
            return refuse(status, Some(id), code, problem);
        }
        let Some((to, request, replies)) = shared.add(message, id) else {
            let problem = "the server cannot take another request now: try again later";
            return refuse(StatusCode::SERVICE_UNAVAILABLE, Some(id), code::INTERNAL_ERROR, problem);
        };
        // If this fails, the conversation has ended, and the replies end, too.
        let _ = to.send(request).await;
        drop(to);
        let status_of = |first: &Message| {
            let code = first.at(&["error", "code"]).and_then(|code| code.get().parse().ok());
            code.map_or(StatusCode::OK, status)
        };
        replies.respond_soon(reads_events(headers), status_of).await
    }

    async fn shared(&self) -> Result<Arc<Shared>, UpstreamError> {
        let mut shared = self.shared.lock().await;
        if shared.is_closed() {
            let line = self.opener.open().await?;
            *shared = Shared::start(line);
        }
        Ok(Arc::clone(&shared))
    }
}

/// The HTTP status that the specification assigns to an error of the server.
fn status(code: i32) -> StatusCode {
    match code {
        code::METHOD_NOT_FOUND => StatusCode::NOT_FOUND,
        // The server refused the headers, the capabilities or the version.
        -32022..=-32020 => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    }
}
