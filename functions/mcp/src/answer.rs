//! A tool's answer: a result, an error that the agent can correct, or an incident.

use std::fmt::Display;
use std::time::Duration;

use rmcp::ErrorData;
use rmcp::model::{CallToolResult, ContentBlock, MetaObject};
use sayso_cloud::{Failure, random};
use sayso_model::Invalid;
use sayso_model::wire::{LIMIT_META, RETRY_AFTER_META};
use serde::Serialize;
use serde_json::json;

/// Why a tool did not do what was asked. Each variant begins with what goes out.
pub(crate) enum ToolError {
    /// A tool error. The agent reads this sentence and can correct its call.
    Refused(String),
    /// A tool error with `_meta`. The agent reads the sentence and can try again later.
    Limited {
        /// The limit's name in `_meta`, for programs.
        limit: &'static str,
        /// What happened and what to do.
        message: String,
        /// How long to wait before the same call may succeed.
        retry_after: Duration,
    },
    /// JSON-RPC -32603. The agent cannot correct it: it gets an id, and the operator's log gets the failure under that id.
    Failed(Failure),
}

impl From<Failure> for ToolError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Invalid> for ToolError {
    fn from(invalid: Invalid) -> Self {
        Self::Refused(invalid.to_string())
    }
}

/// The id under which the log describes a failure.
pub(crate) struct Incident(String);

/// Logs a failure under a new id.
pub(crate) fn incident(failure: &Failure) -> Incident {
    let id = random::error_id();
    tracing::error!(error_id = id, %failure, "a call failed");
    Incident(id)
}

/// The JSON-RPC error for a failure that the agent cannot correct.
pub(crate) fn internal_error(Incident(id): &Incident) -> ErrorData {
    let message = format!(
        "Sayso could not finish this, and may have recorded it. Try again: nothing happens twice. If it stays so, tell your operator error {id}."
    );
    ErrorData::internal_error(message, Some(json!({"error_id": id})))
}

/// The tool's result as MCP carries it: structured, and the same as text for clients that read only that.
pub(crate) fn result(answer: Result<impl Serialize, ToolError>) -> Result<CallToolResult, ErrorData> {
    match answer {
        Ok(answer) => match serde_json::to_value(answer) {
            Ok(value) => Ok(CallToolResult::structured(value)),
            Err(error) => Err(ErrorData::internal_error(error.to_string(), None)),
        },
        Err(ToolError::Refused(message)) => Ok(CallToolResult::error(vec![ContentBlock::text(message)])),
        Err(ToolError::Limited { limit, message, retry_after }) => Ok(limited(limit, &message, retry_after)),
        Err(ToolError::Failed(failure)) => Err(internal_error(&incident(&failure))),
    }
}

/// The text is for models, `_meta` for programs. There is no structured content: clients on the TypeScript SDK before 2.0
/// validate even an error's against the tool's output schema, and show the mismatch instead.
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
pub(crate) fn arguments<'a, T: serde::Deserialize<'a>>(tool: &str, text: &'a str) -> Result<T, ToolError> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let refuse = |problem: &dyn Display| {
        ToolError::Refused(format!(
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
        // "at line 1 column 7" does not help a caller that wrote the arguments as an object.
        let problem = inner.split(" at line ").next().unwrap_or_default();
        if path == "." { refuse(&problem) } else { refuse(&format_args!("`{path}`: {problem}")) }
    })
}
