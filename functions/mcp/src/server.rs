use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CustomRequest, CustomResult, DiscoverResult, ErrorCode,
    Implementation, ListToolsResult, PaginatedRequestParams, ProtocolVersion, ServerCapabilities,
    ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use sayso_model::wire::{CHECK_APPROVAL, REQUEST_APPROVAL, WITHDRAW_APPROVAL};

use crate::inbound::{Caller, RawArguments};
use crate::{Deps, answer, tools};

const INSTRUCTIONS: &str = "Sayso asks a human before something irreversible happens. Before you delete, deploy, \
    send, pay or overwrite anything that cannot be undone, call request_approval with exactly what you are about to \
    do, then check_approval until it is answered. Only `approved` means yes: `denied` means no, and `expired` means \
    that nobody answered.";

/// How long a client may keep the list of tools, and what the server is, in milliseconds: it changes with a deployment only.
const TOOLS_TTL: u64 = 300_000;

/// The MCP server: one a call, without state of its own.
#[derive(Clone)]
pub(crate) struct Server {
    deps: Deps,
}

impl Server {
    pub(crate) fn new(deps: Deps) -> Self {
        Self { deps }
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let implementation =
            Implementation::new("sayso", env!("CARGO_PKG_VERSION")).with_title("Sayso approvals");
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(implementation)
            .with_instructions(INSTRUCTIONS)
    }

    async fn discover(&self, _: RequestContext<RoleServer>) -> Result<DiscoverResult, ErrorData> {
        let versions = self.supported_protocol_versions().into_owned();
        Ok(DiscoverResult::from_server_info(versions, self.get_info()).with_ttl_ms(TOOLS_TTL))
    }

    async fn list_tools(
        &self,
        page: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        if page.is_some_and(|page| page.cursor.is_some()) {
            let problem = "unknown cursor: the list of tools has one page, ask for it without a cursor";
            return Err(ErrorData::invalid_params(problem, None));
        }
        Ok(ListToolsResult::with_all_items(tools::all().to_vec()).with_ttl_ms(TOOLS_TTL))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        tools::all().iter().find(|tool| tool.name == name).cloned()
    }

    async fn call_tool(
        &self,
        call: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let parts = context.extensions.get::<http::request::Parts>().map(|parts| &parts.extensions);
        let found = parts.and_then(|found| found.get::<Caller>().zip(found.get::<RawArguments>()));
        // The layer in front authenticates. Without it nobody is let in.
        let Some((caller, RawArguments(arguments))) = found else {
            return Err(ErrorData::internal_error("the request was not authenticated", None));
        };
        let (deps, agent) = (&self.deps, &caller.agent);
        let result = match call.name.as_ref() {
            REQUEST_APPROVAL => answer::result(tools::request_approval::call(deps, agent, arguments).await),
            CHECK_APPROVAL => {
                let progress = tools::check_approval::Progress::new(&context, caller.reads_events);
                answer::result(tools::check_approval::call(deps, agent, arguments, progress).await)
            }
            WITHDRAW_APPROVAL => answer::result(tools::withdraw_approval::call(deps, agent, arguments).await),
            other => {
                let known = tools::all().iter().map(|tool| tool.name.as_ref()).collect::<Vec<_>>().join(", ");
                let message = format!("unknown tool {other:?}: the tools are {known}");
                return Err(ErrorData::invalid_params(message, None));
            }
        };
        result.map(CallToolResponse::from)
    }

    /// rmcp calls this for unknown methods, and for known ones whose parameters have the wrong shape.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let method = request.method;
        match method.as_str() {
            "tools/call" => Err(ErrorData::invalid_params(
                "params must be {\"name\": string, \"arguments\": object}",
                None,
            )),
            // 2026-07-28 has no such method.
            "initialize" if context.protocol_version() == Some(ProtocolVersion::V_2026_07_28) => {
                Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, method, None))
            }
            "initialize" | "server/discover" | "tools/list" => {
                Err(ErrorData::invalid_params(format!("the params of {method} are not of its shape"), None))
            }
            _ => Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, method, None)),
        }
    }
}
