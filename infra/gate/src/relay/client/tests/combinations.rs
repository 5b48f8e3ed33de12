//! Everything the protocol has, through every pair of transports, in both eras.

#![expect(deprecated, reason = "both eras are tested")]

use rmcp::model::{
    CallToolRequest, CallToolRequestParams, ClientConfig, ClientRequest, CreateMessageRequestParams,
    CreateMessageResult, ErrorData, GetPromptRequestParams, LoggingLevel, LoggingMessageNotificationParam,
    ProgressNotificationParam, ProtocolVersion, ReadResourceRequestParams, RequestMetaObject,
    SamplingMessage, ServerNotification, ServerResult, SubscriptionFilter,
};
use rmcp::service::{NotificationContext, PeerRequestOptions, RequestContext, RequestHandle, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::{ClientHandler, ClientLifecycleMode, ClientServiceExt, RoleClient, ServiceError};
use serde_json::{Value, json};
use tokio::sync::{Mutex, mpsc};

use super::{over_http, over_streams, server};
use crate::relay::upstream::Upstream;

/// A client that answers questions with its name and keeps what it is told.
struct Client {
    name: &'static str,
    told: mpsc::UnboundedSender<String>,
}

impl ClientHandler for Client {
    fn get_info(&self) -> ClientConfig {
        let config = json!({"protocolVersion": "2025-11-25", "capabilities": {"sampling": {}},
            "clientInfo": {"name": self.name, "version": "1"}});
        serde_json::from_value(config).expect("a model")
    }

    async fn create_message(
        &self,
        _: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        Ok(CreateMessageResult::new(SamplingMessage::assistant_text(self.name), "m".to_owned()))
    }

    async fn on_progress(&self, params: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        let message = params.message.unwrap_or_default();
        let _ = self.told.send(format!("progress {} {message}", params.progress));
    }

    async fn on_logging_message(
        &self,
        params: LoggingMessageNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        let _ = self.told.send(format!("log {}", params.data));
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        let _ = self.told.send("tools changed".to_owned());
    }
}

pub(super) struct Connected {
    name: &'static str,
    service: RunningService<RoleClient, Client>,
    told: Mutex<mpsc::UnboundedReceiver<String>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Era {
    Legacy,
    Modern,
}

impl Era {
    fn lifecycle(self) -> ClientLifecycleMode {
        match self {
            Self::Legacy => ClientLifecycleMode::Initialize,
            Self::Modern => {
                ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] }
            }
        }
    }
}

async fn connect_http(name: &'static str, url: &str, era: Era) -> Connected {
    let (told, received) = mpsc::unbounded_channel();
    let transport = StreamableHttpClientTransport::from_uri(url.to_owned());
    let service = Client { name, told }.serve_with_lifecycle(transport, era.lifecycle()).await;
    Connected { name, service: service.expect("a connection"), told: Mutex::new(received) }
}

async fn connect_streams(name: &'static str, upstream: Upstream, era: Era) -> Connected {
    let (told, received) = mpsc::unbounded_channel();
    let streams = over_streams(upstream).await;
    let service = Client { name, told }.serve_with_lifecycle(streams, era.lifecycle()).await;
    Connected { name, service: service.expect("a connection"), told: Mutex::new(received) }
}

impl Connected {
    async fn start(
        &self,
        tool: &'static str,
        arguments: Value,
        meta: RequestMetaObject,
    ) -> RequestHandle<RoleClient> {
        let mut params = CallToolRequestParams::new(tool);
        params.arguments = arguments.as_object().cloned();
        let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
        let options = PeerRequestOptions::no_options().with_meta(meta);
        self.service.send_cancellable_request(request, options).await.expect("it is sent")
    }

    async fn call(&self, tool: &'static str, arguments: Value) -> Result<String, ServiceError> {
        let mut meta = RequestMetaObject::default();
        meta.set_log_level(LoggingLevel::Info);
        match self.start(tool, arguments, meta).await.await_response().await? {
            ServerResult::CallToolResult(result) => {
                Ok(result.content[0].as_text().expect("a text").text.clone())
            }
            other => panic!("{other:?}"),
        }
    }

    async fn told(&self) -> String {
        self.told.lock().await.recv().await.expect("something is told")
    }

    /// What every server has, and what comes before answers.
    async fn uses_everything(&self, era: Era) {
        let tools = self.service.list_all_tools().await.expect("tools");
        assert_eq!(tools.len(), 11);
        let arguments = json!({"region": "é\n\u{2028}", "n": 1.5, "name": self.name});
        assert_eq!(self.call("echo", arguments.clone()).await.expect("a result"), arguments.to_string());
        let name = json!({"name": self.name});
        assert_eq!(self.call("progress", name.clone()).await.expect("a result"), "done");
        for step in [1, 2] {
            assert_eq!(self.told().await, format!("progress {step} \"{}\"", self.name));
        }
        assert_eq!(self.call("log", name.clone()).await.expect("a result"), "logged");
        assert_eq!(self.told().await, format!("log {name}"));
        self.reads().await;
        match era {
            Era::Legacy => self.uses_what_sessions_have().await,
            Era::Modern => self.subscribes().await,
        }
        self.cancels(era).await;
    }

    async fn reads(&self) {
        let error = self.call("fail", json!({})).await.expect_err("an error");
        let ServiceError::McpError(error) = error else { panic!("{error:?}") };
        assert_eq!((error.code.0, error.data), (-32602, Some(json!({"why": "it must"}))));
        let resources = self.service.list_all_resources().await.expect("resources");
        let read = ReadResourceRequestParams::new(resources[0].uri.clone());
        let read = serde_json::to_value(self.service.read_resource(read).await.expect("a resource"));
        let read = read.expect("JSON");
        assert_eq!(read["contents"][0], json!({"uri": "test://é", "text": "\u{2028}a\r\nb"}));
        assert_eq!(self.service.list_all_prompts().await.expect("prompts").len(), 1);
        self.service.get_prompt(GetPromptRequestParams::new("p")).await.expect("a prompt");
    }

    async fn uses_what_sessions_have(&self) {
        assert_eq!(self.call("change", json!({})).await.expect("a result"), "changed");
        assert_eq!(self.told().await, "tools changed");
        let answer = self.call("ask", json!({})).await.expect("an answer");
        assert!(answer.contains(&format!("{:?}", self.name)), "{answer}");
    }

    async fn subscribes(&self) {
        let filter = || SubscriptionFilter::builder().tools_list_changed().build();
        let mut first = self.service.listen(filter()).await.expect("a subscription");
        let mut second = self.service.listen(filter()).await.expect("a subscription");
        // What is said beside it is not the subscription's.
        assert_eq!(self.call("log", json!({})).await.expect("a result"), "logged");
        assert_eq!(self.told().await, "log {}");
        for subscription in [&mut first, &mut second] {
            let change = subscription.next().await.expect("a change");
            assert!(matches!(change, Some(ServerNotification::ToolListChangedNotification(_))), "{change:?}");
            subscription.cancel().await.expect("it is cancelled");
        }
    }

    async fn cancels(&self, era: Era) {
        let waiting = self.start("wait", json!({}), RequestMetaObject::default()).await;
        assert_eq!(self.told().await, "progress 1 ");
        waiting.cancel(None).await.expect("it is cancelled");
        // It comes back once the server has noticed, or never.
        let expected = if era == Era::Legacy { "1" } else { "3" };
        assert_eq!(self.call("cancelled", json!({})).await.expect("a result"), expected);
    }
}

#[tokio::test]
async fn a_client_over_streams_has_all_of_a_command() {
    for era in [Era::Legacy, Era::Modern] {
        connect_streams("a", server::command(), era).await.uses_everything(era).await;
    }
}

#[tokio::test]
async fn a_client_over_streams_has_all_of_a_url() {
    for era in [Era::Legacy, Era::Modern] {
        connect_streams("a", server::url().await, era).await.uses_everything(era).await;
    }
}

#[tokio::test]
async fn a_client_over_http_has_all_of_a_command() {
    for era in [Era::Legacy, Era::Modern] {
        let url = over_http(server::command()).await;
        connect_http("a", &url, era).await.uses_everything(era).await;
    }
}

#[tokio::test]
async fn a_client_over_http_has_all_of_a_url() {
    for era in [Era::Legacy, Era::Modern] {
        let url = over_http(server::url().await).await;
        connect_http("a", &url, era).await.uses_everything(era).await;
    }
}

#[tokio::test]
async fn two_clients_at_once_do_not_mix() {
    for era in [Era::Legacy, Era::Modern] {
        let url = over_http(server::command()).await;
        let clients = [connect_http("a", &url, era).await, connect_http("b", &url, era).await];
        let [a, b] = &clients;
        for _ in 0..32 {
            let (of_a, of_b) = (json!({"name": "a"}), json!({"name": "b"}));
            let (to_a, to_b) = tokio::join!(a.call("echo", of_a.clone()), b.call("echo", of_b.clone()));
            assert_eq!(
                (to_a.expect("a result"), to_b.expect("a result")),
                (of_a.to_string(), of_b.to_string())
            );
            let (to_a, to_b) = tokio::join!(a.call("log", of_a.clone()), b.call("log", of_b.clone()));
            assert!(to_a.is_ok() && to_b.is_ok());
            let (to_a, to_b) = tokio::join!(a.call("progress", of_a), b.call("progress", of_b));
            assert!(to_a.is_ok() && to_b.is_ok());
        }
        for client in clients {
            client.service.cancel().await.expect("it ends");
            let mut told = client.told.into_inner();
            let mut progress = 0;
            while let Some(message) = told.recv().await {
                progress += usize::from(message.starts_with("progress"));
                assert!(
                    message.contains(&format!("{:?}", client.name)),
                    "{} was told {message}",
                    client.name
                );
            }
            assert_eq!(progress, 64);
        }
    }
}
