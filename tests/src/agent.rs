use std::process::Stdio;
use std::sync::{Arc, Mutex};

use rmcp::model::{
    CallToolRequestParams, ClientCapabilities, ClientConfig, Implementation, ProgressNotificationParam,
    ProtocolVersion, Tool,
};
use rmcp::service::{NotificationContext, RunningService, serve_client_with_lifecycle};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientHandler, ClientLifecycleMode, RoleClient, ServiceError};
use serde_json::{Map, Value, json};
use tokio::process::{Child, Command};

use crate::loopback;

/// An agent: rmcp's own client, over HTTP or in front of a program's standard input and output.
pub struct Agent {
    client: RunningService<RoleClient, Handler>,
    /// Ends with the agent.
    _program: Option<Child>,
}

#[derive(Clone)]
struct Handler {
    version: ProtocolVersion,
    progress: Arc<Mutex<Vec<ProgressNotificationParam>>>,
}

impl ClientHandler for Handler {
    fn get_info(&self) -> ClientConfig {
        ClientConfig::new(ClientCapabilities::default(), Implementation::new("sayso-tests", "1"))
            .with_protocol_version(self.version.clone())
    }

    async fn on_progress(&self, progress: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        self.progress.lock().expect("the list").push(progress);
    }
}

/// Those before 2026-07-28 begin with `initialize`.
fn speaking(version: ProtocolVersion) -> (Handler, ClientLifecycleMode) {
    let mode = if version == ProtocolVersion::V_2026_07_28 {
        ClientLifecycleMode::Discover { preferred_versions: vec![version.clone()] }
    } else {
        ClientLifecycleMode::Initialize
    };
    (Handler { version, progress: Arc::default() }, mode)
}

/// What a tool answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Whether it is an error the agent can read.
    pub is_error: bool,
    /// The text part.
    pub text: String,
    /// The structured part; null in an error.
    pub structured: Value,
    /// What is said beside them to programs; null when nothing is.
    pub meta: Value,
}

impl Answer {
    /// A field of the structured part, as text.
    pub fn field(&self, name: &str) -> &str {
        self.structured[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", self.text))
    }
}

impl Agent {
    /// Connects by the newest protocol.
    pub async fn connect(url: &str, key: &str) -> Self {
        Self::try_connect(url, key, ProtocolVersion::V_2026_07_28).await.expect("a connection")
    }

    /// Connects by any protocol version: those before 2026-07-28 begin with `initialize`.
    pub async fn try_connect(url: &str, key: &str, version: ProtocolVersion) -> Result<Self, String> {
        let client = loopback::client().build().expect("a client");
        let config = StreamableHttpClientTransportConfig::with_uri(url.to_owned()).auth_header(key);
        let transport = StreamableHttpClientTransport::with_client(client, config);
        let (handler, mode) = speaking(version);
        let client =
            serve_client_with_lifecycle(handler, transport, mode).await.map_err(|e| e.to_string())?;
        Ok(Self { client, _program: None })
    }

    /// Starts a program that is an MCP server, and connects to it by the newest protocol.
    pub async fn starting(program: Command) -> Self {
        Self::try_starting(program, ProtocolVersion::V_2026_07_28).await.expect("a connection")
    }

    /// Starts a program that is an MCP server, and connects to it by any protocol version.
    pub async fn try_starting(mut program: Command, version: ProtocolVersion) -> Result<Self, String> {
        program.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut program = program.spawn().map_err(|e| e.to_string())?;
        let pipes = program.stdout.take().zip(program.stdin.take()).expect("two pipes");
        let (handler, mode) = speaking(version);
        let client = serve_client_with_lifecycle(handler, pipes, mode).await.map_err(|e| e.to_string())?;
        Ok(Self { client, _program: Some(program) })
    }

    /// The protocol version that was agreed on.
    pub fn protocol_version(&self) -> String {
        self.client.peer_info().map(|info| info.protocol_version.to_string()).unwrap_or_default()
    }

    /// The tools, as listed.
    pub async fn tools(&self) -> Vec<Tool> {
        self.client.list_all_tools().await.expect("the tools")
    }

    /// Calls a tool.
    pub async fn call(&self, tool: &str, arguments: Value) -> Answer {
        self.try_call(tool, arguments).await.expect("an answer")
    }

    /// Calls a tool; a protocol error is an error here.
    pub async fn try_call(&self, tool: &str, arguments: Value) -> Result<Answer, ServiceError> {
        let arguments: Map<String, Value> = arguments.as_object().cloned().unwrap_or_default();
        let call = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let result = self.client.call_tool(call).await?;
        let text =
            result.content.iter().filter_map(|block| block.as_text()).map(|text| text.text.clone()).collect();
        Ok(Answer {
            is_error: result.is_error.unwrap_or(false),
            text,
            structured: result.structured_content.unwrap_or_default(),
            meta: json!(result.meta),
        })
    }

    /// Asks for approval of an ordinary, dangerous action.
    pub async fn ask(&self, table: &str) -> Answer {
        let answer = self.call("request_approval", asking(table)).await;
        assert!(!answer.is_error, "{}", answer.text);
        answer
    }

    /// Looks once.
    pub async fn check(&self, approval_id: &str) -> Answer {
        self.call("check_approval", json!({"approval_id": approval_id, "wait_seconds": 0})).await
    }

    /// The progress heard so far.
    pub fn progress(&self) -> Vec<ProgressNotificationParam> {
        self.client.service().progress.lock().expect("the list").clone()
    }
}

/// The arguments of [`Agent::ask`].
pub fn asking(table: &str) -> Value {
    json!({
        "tool": "drop_table",
        "arguments": {"database": "customers", "table": table, "cascade": true},
        "summary": format!("Drop the table {table}"),
        "reason": "The migration is done and nothing reads it any more.",
    })
}
