//! A cloud account in a file, as an MCP server: volumes, their backups, and a tool that deletes both at once.

use std::path::PathBuf;
use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool, ToolAnnotations,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler, ServiceExt as _};
use serde_json::{Map, Value, json};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

struct Volumes {
    account: PathBuf,
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let account = std::env::args_os().nth(1).ok_or("usage: sayso-demo-volumes ACCOUNT_FILE")?;
    let server = Volumes { account: account.into() };
    server.serve(rmcp::transport::stdio()).await?.waiting().await?;
    Ok(())
}

impl Volumes {
    fn read(&self) -> Outcome<Map<String, Value>> {
        Ok(serde_json::from_str(&std::fs::read_to_string(&self.account)?)?)
    }

    /// Deletes a volume with all its backups, at once and for good, as the story's cloud does.
    fn delete(&self, arguments: &Value) -> Outcome<Value> {
        let mut account = self.read()?;
        let id = arguments["volume_id"].as_str().unwrap_or_default();
        let volume = account.get(id).ok_or(format!("there is no volume {id:?}"))?;
        if volume["backups"] != arguments["backups"] {
            return Err(
                format!("{id} has these backups, which are deleted with it: {}", volume["backups"]).into()
            );
        }
        account.remove(id);
        std::fs::write(&self.account, format!("{:#}\n", Value::Object(account)))?;
        Ok(json!({"deleted": arguments["volume_id"], "backups_deleted": arguments["backups"]}))
    }
}

fn schema(properties: &Value) -> Arc<Map<String, Value>> {
    let required: Vec<_> = properties.as_object().into_iter().flat_map(Map::keys).collect();
    let schema = json!({"type": "object", "properties": properties, "required": required});
    Arc::new(schema.as_object().cloned().unwrap_or_default())
}

impl ServerHandler for Volumes {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("volumes", "1"))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let delete = json!({
            "volume_id": {"type": "string"},
            "backups": {"type": "array", "items": {"type": "string"}, "description": "All its backups: they go with it."},
        });
        Ok(ListToolsResult::with_all_items(vec![
            Tool::new("list_volumes", "Volumes and their backups", schema(&json!({})))
                .with_annotations(ToolAnnotations::new().read_only(true)),
            Tool::new("delete_volume", "Delete a volume and all its backups", schema(&delete))
                .with_annotations(ToolAnnotations::new().destructive(true)),
        ]))
    }

    async fn call_tool(
        &self,
        call: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = Value::Object(call.arguments.unwrap_or_default());
        let done = match call.name.as_ref() {
            "list_volumes" => self.read().map(Value::Object),
            "delete_volume" => self.delete(&arguments),
            other => return Err(ErrorData::invalid_params(format!("unknown tool {other:?}"), None)),
        };
        let result = match done {
            Ok(value) => CallToolResult::structured(value),
            Err(problem) => CallToolResult::error(vec![ContentBlock::text(problem.to_string())]),
        };
        Ok(result.into())
    }
}
