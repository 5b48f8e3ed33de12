//! How a tool answers: with a result, with a refusal the agent can read and mend, or with an incident.

use std::fmt::Display;
use std::time::Duration;

use rmcp::ErrorData;
use rmcp::model::{CallToolResult, ContentBlock, MetaObject};
use sayso_cloud::{Failure, random};
use sayso_model::Invalid;
use sayso_model::wire::{LIMIT_META, RETRY_AFTER_META};
use serde::Serialize;
use serde_json::json;

/// A tool did not do what was asked.
pub(crate) enum NotDone {
    /// The agent can mend it: it reads this sentence as a tool error.
    Refused(String),
    /// The agent can try again later: it reads the sentence, and how many seconds that is.
    Limited {
        /// Which limit, for programs.
        limit: &'static str,
        /// What happened and what to do.
        message: String,
        /// From when on the same call may succeed.
        retry_after: Duration,
    },
    /// The agent cannot: it gets an id, the operator's log gets the failure.
    Failed(Failure),
}

impl From<Failure> for NotDone {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Invalid> for NotDone {
    fn from(invalid: Invalid) -> Self {
        Self::Refused(invalid.to_string())
    }
}

/// An error's id, under which the log says what happened.
pub(crate) struct Incident(String);

/// Logs a failure and names it.
pub(crate) fn incident(failure: &Failure) -> Incident {
    let id = random::error_id();
    tracing::error!(error_id = id, %failure, "a call failed");
    Incident(id)
}

/// The protocol error for what an agent cannot mend.
pub(crate) fn internal_error(Incident(id): &Incident) -> ErrorData {
    let message = format!(
        "Sayso could not finish this, and may have recorded it. Try again: nothing happens twice. If it stays so, tell your operator error {id}."
    );
    ErrorData::internal_error(message, Some(json!({"error_id": id})))
}

/// The tool's result as MCP carries it: structured, and the same as text for clients that read only that.
pub(crate) fn result(answer: Result<impl Serialize, NotDone>) -> Result<CallToolResult, ErrorData> {
    match answer {
        Ok(answer) => match serde_json::to_value(answer) {
            Ok(value) => Ok(CallToolResult::structured(value)),
            Err(error) => Err(ErrorData::internal_error(error.to_string(), None)),
        },
        Err(NotDone::Refused(message)) => Ok(CallToolResult::error(vec![ContentBlock::text(message)])),
        Err(NotDone::Limited { limit, message, retry_after }) => Ok(limited(limit, &message, retry_after)),
        Err(NotDone::Failed(failure)) => Err(internal_error(&incident(&failure))),
    }
}

/// Told in the text for models and in `_meta` for programs: clients on the TypeScript SDK of before 2.0 hold even an
/// error's structured content against the tool's output schema, and show the mismatch instead.
fn limited(limit: &str, message: &str, retry_after: Duration) -> CallToolResult {
    let seconds = retry_after.as_secs().max(1);
    let unit = if seconds == 1 { "second" } else { "seconds" };
    let text = format!("{message} Wait at least {seconds} {unit} (retry_after_seconds: {seconds}).");
    let mut result = CallToolResult::error(vec![ContentBlock::text(text)]);
    let told = [(LIMIT_META.to_owned(), json!(limit)), (RETRY_AFTER_META.to_owned(), json!(seconds))];
    result.meta = Some(MetaObject(told.into_iter().collect()));
    result
}

/// Reads a tool's arguments from their raw text, in which no parser has dropped anything yet.
pub(crate) fn arguments<'a, T: serde::Deserialize<'a>>(tool: &str, text: &'a str) -> Result<T, NotDone> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let refuse = |problem: &dyn Display| {
        NotDone::Refused(format!(
            "The arguments of {tool} do not fit: {problem}. Correct them and call again."
        ))
    };
    // A derived struct would also be read from a list, in the order of its fields.
    if !text.trim_start().starts_with('{') {
        return Err(refuse(&"they must be a JSON object"));
    }
    serde_path_to_error::deserialize(&mut deserializer).map_err(|e| {
        let path = e.path().to_string();
        let inner = e.inner().to_string();
        // "at line 1 column 7" is of no use to who wrote the arguments as an object.
        let problem = inner.split(" at line ").next().unwrap_or_default();
        if path == "." { refuse(&problem) } else { refuse(&format_args!("`{path}`: {problem}")) }
    })
}
