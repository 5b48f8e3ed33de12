//! The three tools. Their descriptions and schemas are written for a model that has never seen Sayso.

use std::sync::{Arc, LazyLock};

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use sayso_cloud::StoredApproval;
use sayso_model::{Agent, ApprovalId, Status};
use serde_json::Value;

use crate::Deps;
use crate::answer::ToolError;

pub(crate) mod check_approval;
mod limited;
pub(crate) mod request_approval;
pub(crate) mod withdraw_approval;

/// All tools, in the order in which an agent needs them.
pub(crate) fn all() -> &'static [Tool] {
    static ALL: LazyLock<[Tool; 3]> = LazyLock::new(|| {
        [request_approval::definition(), check_approval::definition(), withdraw_approval::definition()]
    });
    &*ALL
}

/// A tool from its parts; both schemas are JSON objects.
fn tool(
    name: &'static str,
    description: &'static str,
    input: Value,
    output: Value,
    hints: ToolAnnotations,
) -> Tool {
    let object = |schema: Value| match schema {
        Value::Object(schema) => Arc::new(schema),
        _ => Arc::new(JsonObject::new()),
    };
    let title = hints.title.clone().unwrap_or_default();
    Tool::new(name, description, object(input))
        .with_title(title)
        .with_raw_output_schema(object(output))
        .with_annotations(hints)
}

/// The `enum` of a status in an output schema.
fn statuses(of: &[Status]) -> Value {
    of.iter().map(|status| status.as_str()).collect()
}

/// The agent's own approval. Another agent's id and an unknown one get the same answer.
async fn own_approval(deps: &Deps, agent: &Agent, id: &str) -> Result<StoredApproval, ToolError> {
    let id = ApprovalId::parse(id)?;
    match deps.store.approval(id, deps.clock.now()).await? {
        Some(approval) if approval.request.agent == agent.name => Ok(approval),
        _ => Err(no_approval(id)),
    }
}

fn no_approval(id: ApprovalId) -> ToolError {
    ToolError::Refused(format!(
        "You have no approval with the id {id}. Check the id, or call request_approval for a new one."
    ))
}
