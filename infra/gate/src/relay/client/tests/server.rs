//! A server that can do everything, written with a library: over standard streams in a process of its own, and over HTTP.

#![expect(deprecated, reason = "both eras are tested")]

use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, CreateMessageRequestParams,
    ErrorData, GetPromptRequestParams, GetPromptResponse, ListPromptsResult, ListResourcesResult,
    ListToolsResult, LoggingMessageNotificationParam, PaginatedRequestParams, ProgressNotificationParam,
    ReadResourceRequestParams, ReadResourceResponse, SamplingMessage, ServerConfig, SetLevelRequestParams,
    SubscriptionFilter,
};
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{RoleServer, ServerHandler, ServiceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::relay::upstream::Upstream;

/// What each of the server's tools does is in [`ServerHandler::call_tool`].
#[derive(Clone, Default)]
pub(super) struct Everything {
    waiting: watch::Sender<usize>,
    cancelled: watch::Sender<usize>,
}

/// More progress than any line holds.
async fn flood(context: &RequestContext<RoleServer>) {
    let token = context.meta.get_progress_token().expect("a token");
    for step in 0..300 {
        let progress = ProgressNotificationParam::new(token.clone(), f64::from(step));
        let progress = progress.with_message("a".repeat(64 * 1024));
        context.peer.notify_progress(progress).await.expect("it listens");
    }
}

fn model<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("a model")
}

impl ServerHandler for Everything {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(model(json!({
            "tools": {"listChanged": true}, "resources": {}, "prompts": {}, "logging": {},
        })))
    }

    async fn set_level(
        &self,
        _: SetLevelRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let region =
            json!({"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}});
        let names = [
            "echo",
            "progress",
            "log",
            "change",
            "ask",
            "wait",
            "cancelled",
            "waiting",
            "flood",
            "fail",
            "die",
        ];
        let tool = |name: &str| match name {
            "echo" => json!({"name": name, "inputSchema": region}),
            _ => json!({"name": name, "inputSchema": {"type": "object"}}),
        };
        Ok(model(json!({"tools": names.map(tool), "ttlMs": 0, "cacheScope": "public"})))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = Value::Object(request.arguments.unwrap_or_default());
        let peer = &context.peer;
        let text = match request.name.as_ref() {
            "echo" => arguments.to_string(),
            "progress" => {
                let token = context.meta.get_progress_token().expect("a token");
                for step in [1.0, 2.0] {
                    let progress = ProgressNotificationParam::new(token.clone(), step)
                        .with_message(arguments["name"].to_string());
                    peer.notify_progress(progress).await.expect("it listens");
                }
                "done".to_owned()
            }
            "flood" => {
                flood(&context).await;
                self.waiting.send_modify(|waiting| *waiting += 1);
                "flooded".to_owned()
            }
            "log" => {
                let log =
                    model::<LoggingMessageNotificationParam>(json!({"level": "info", "data": arguments}));
                peer.notify_logging_message(log).await.expect("it listens");
                "logged".to_owned()
            }
            "change" => {
                peer.notify_tool_list_changed().await.expect("it listens");
                "changed".to_owned()
            }
            "ask" => {
                let question = SamplingMessage::user_text("who is there?");
                let question = CreateMessageRequestParams::new(vec![question], 8);
                let answer = peer.create_message(question).await.expect("an answer");
                serde_json::to_string(&answer.message).expect("JSON")
            }
            "wait" => {
                self.waiting.send_modify(|waiting| *waiting += 1);
                if let Some(token) = context.meta.get_progress_token() {
                    let progress = ProgressNotificationParam::new(token, 1.0);
                    peer.notify_progress(progress).await.expect("it listens");
                }
                context.ct.cancelled().await;
                self.cancelled.send_modify(|cancelled| *cancelled += 1);
                "too late".to_owned()
            }
            "cancelled" => {
                let _ = self.waiting.subscribe().wait_for(|waiting| *waiting > 0).await;
                let all = *self.waiting.borrow();
                let _ = self.cancelled.subscribe().wait_for(|cancelled| *cancelled == all).await;
                all.to_string()
            }
            "waiting" => {
                let _ = self.waiting.subscribe().wait_for(|waiting| *waiting > 0).await;
                format!("{} of {}", *self.cancelled.borrow(), *self.waiting.borrow())
            }
            "die" => std::process::exit(3),
            _ => return Err(ErrorData::invalid_params("this tool fails", Some(json!({"why": "it must"})))),
        };
        Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into())
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(model(json!({
            "resources": [{"uri": "test://é", "name": "r"}], "ttlMs": 0, "cacheScope": "public",
        })))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let contents = json!([{"uri": request.uri, "text": "\u{2028}a\r\nb"}]);
        let result = json!({"contents": contents, "ttlMs": 0, "cacheScope": "public"});
        Ok(ReadResourceResponse::Complete(model(result)))
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(model(json!({"prompts": [{"name": "p"}], "ttlMs": 0, "cacheScope": "public"})))
    }

    async fn get_prompt(
        &self,
        _: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let messages = json!([{"role": "user", "content": {"type": "text", "text": "hello"}}]);
        Ok(GetPromptResponse::Complete(model(json!({"messages": messages}))))
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.supported_by(&self.get_info().capabilities))
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        self.waiting.send_modify(|waiting| *waiting += 1);
        context.sink().notify_tool_list_changed().await.expect("it listens");
        context.cancelled().await;
        self.cancelled.send_modify(|cancelled| *cancelled += 1);
        Ok(())
    }
}

/// The server as a command: this very program, told to run the test below.
pub(super) fn command() -> Upstream {
    let program = std::env::current_exe().expect("this program").to_string_lossy().into_owned();
    let test = module_path!().split_once("::").expect("a crate").1.to_owned() + "::over_standard_streams";
    let argv = [&program, &test, "--exact", "--ignored", "--nocapture"].map(ToString::to_string);
    Upstream::command_from_env(argv.to_vec(), None).expect("a command")
}

#[tokio::test]
#[ignore = "it is the server that others start"]
async fn over_standard_streams() {
    let streams = (tokio::io::stdin(), tokio::io::stdout());
    if let Ok(server) = Everything::default().serve(streams).await {
        let _ = server.waiting().await;
    }
}

/// The server at a URL, until the test ends.
pub(super) async fn url() -> Upstream {
    let server = Everything::default();
    let config = StreamableHttpServerConfig::default().with_sse_retry(None);
    let service = StreamableHttpService::new(
        move || Ok(server.clone()),
        Arc::new(LocalSessionManager::default()),
        config,
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/mcp", listener.local_addr().expect("an address"));
    let router = axum::Router::new().nest_service("/mcp", service);
    tokio::spawn(async { axum::serve(listener, router).await });
    Upstream::url(&url, None).expect("a URL")
}
