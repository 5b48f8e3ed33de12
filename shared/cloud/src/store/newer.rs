use sayso_model::{ApprovalId, ExpiresIn, Request, Retention, ToolName};

use super::items::Row;
use super::kind::Kind;
use super::limits::number;
use super::{Item, Store, text};
use crate::{Failure, random};

/// Each agent has an attribute of its own: what another writes about a request that is not its own is seen by nobody.
fn attribute(request: &Request) -> String {
    format!("agent#{}", request.agent)
}

/// The newer request that a row names, if it follows this one. It is only shown, so a row that cannot be read keeps nobody from
/// deciding: it counts as none, and is in the log.
pub(super) fn readable_newer(item: Option<Item>, request: &Request) -> Option<ApprovalId> {
    let item = item?;
    let named = item.get(&attribute(request))?;
    match parse(named.as_s().map_or("", String::as_str), request.id) {
        Ok((newer, tool)) => request.is_followed_by(newer, &tool).then_some(newer),
        Err(failure) => {
            let error_id = random::error_id();
            tracing::error!(error_id, approval_id = %request.id, %failure, "the row of a newer request cannot be read");
            None
        }
    }
}

fn parse(named: &str, earlier: ApprovalId) -> Result<(ApprovalId, ToolName), Failure> {
    let pk = Kind::Newer.key(earlier);
    let (id, tool) = named.split_once('#').unwrap_or_default();
    Ok((Row(&pk).parsed("newer", ApprovalId::parse(id))?, Row(&pk).parsed("newer", ToolName::parse(tool))?))
}

impl Store {
    /// Writes that this request names another as its earlier: one write, without a read. Who reads it sees whether that is so. The
    /// last one of an agent stands.
    pub async fn put_newer(
        &self,
        earlier: ApprovalId,
        request: &Request,
        retention: Retention,
    ) -> Result<(), Failure> {
        // The earlier one is closed by then, whatever it is.
        let gone = request.created_at.plus(ExpiresIn::LONGEST).plus(retention.duration());
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", text(Kind::Newer.key(earlier)))
            .update_expression("SET #agent = :newer, #ttl = :ttl")
            .expression_attribute_names("#agent", attribute(request))
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":newer", text(format!("{}#{}", request.id, request.action.tool)))
            .expression_attribute_values(":ttl", number(gone.as_unix_seconds()));
        update.send().await.map_err(|e| Failure::call("dynamodb:UpdateItem", &e))?;
        Ok(())
    }
}
