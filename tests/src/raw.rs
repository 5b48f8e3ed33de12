use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::{Answer, World, loopback};

/// A generation of the MCP protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// 2025-06-18: the version in a header only.
    Old,
    /// 2026-07-28: version, method and name in headers, and the version once more in the body.
    New,
}

impl Protocol {
    /// Both generations.
    pub const ALL: [Self; 2] = [Self::Old, Self::New];

    /// The headers of a call of `method` about `name`.
    pub fn headers(self, method: &str, name: &str) -> Vec<(&'static str, String)> {
        match self {
            Self::Old => vec![("mcp-protocol-version", "2025-06-18".to_owned())],
            Self::New => vec![
                ("mcp-protocol-version", "2026-07-28".to_owned()),
                ("mcp-method", method.to_owned()),
                ("mcp-name", name.to_owned()),
            ],
        }
    }

    /// What a request's params carry beside the method's own, as JSON members with a comma before them.
    pub fn meta(self) -> &'static str {
        match self {
            Self::Old => "",
            Self::New => {
                r#","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#
            }
        }
    }

    /// The body of a tool's call, with the arguments as they are written here.
    pub fn call(self, tool: &str, arguments: &str) -> String {
        let meta = self.meta();
        format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}{meta}}}}}"#
        )
    }
}

/// Speaks JSON-RPC in raw text: what no client library would send.
#[derive(Clone)]
pub struct Raw {
    http: reqwest::Client,
    url: String,
    authorization: Option<String>,
}

/// An HTTP answer as it arrived.
#[derive(Debug, Clone)]
pub struct RawAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The HTTP headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
}

impl World {
    /// The first agent, in raw text.
    pub fn raw(&self) -> Raw {
        Raw::new(&self.host.mcp_url, self.agent_key.expose())
    }
}

impl Raw {
    /// With this bearer key.
    pub fn new(url: &str, key: &str) -> Self {
        let authorization = Some(format!("Bearer {key}"));
        Self { http: loopback::client().build().expect("a client"), url: url.to_owned(), authorization }
    }

    /// With another `Authorization` header, or none.
    #[must_use]
    pub fn with_authorization(&self, value: Option<&str>) -> Self {
        Self { authorization: value.map(str::to_owned), ..self.clone() }
    }

    /// Posts any body.
    pub async fn post(
        &self,
        headers: &[(&'static str, String)],
        body: impl Into<reqwest::Body>,
    ) -> RawAnswer {
        let mut request = self.http.post(&self.url).header("accept", "application/json");
        if let Some(value) = &self.authorization {
            let value = reqwest::header::HeaderValue::from_bytes(value.as_bytes()).expect("a header");
            request = request.header("authorization", value);
        }
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let answer = request.body(body).send().await.expect("an answer");
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        RawAnswer { status, headers, body: answer.text().await.expect("a text") }
    }

    /// Calls a tool, with the arguments as they are written here.
    pub async fn call(&self, protocol: Protocol, tool: &str, arguments: &str) -> RawAnswer {
        self.post(&protocol.headers("tools/call", tool), protocol.call(tool, arguments)).await
    }

    /// Calls a tool that answers, whatever the answer.
    pub async fn tool(&self, protocol: Protocol, tool: &str, arguments: &str) -> Answer {
        let answer = self.call(protocol, tool, arguments).await;
        answer.tool().unwrap_or_else(|| panic!("{} {}", answer.status, answer.body))
    }
}

impl RawAnswer {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The tool's answer; nothing when it is a protocol error or no JSON-RPC at all.
    pub fn tool(&self) -> Option<Answer> {
        let result = self.json().get("result").cloned()?;
        let texts = result["content"].as_array().cloned().unwrap_or_default();
        Some(Answer {
            is_error: result["isError"].as_bool().unwrap_or_default(),
            text: texts.iter().filter_map(|block| block["text"].as_str()).collect(),
            structured: result["structuredContent"].clone(),
            meta: result["_meta"].clone(),
        })
    }

    /// The protocol error's code and message.
    pub fn error(&self) -> Option<(i64, String)> {
        let error = self.json().get("error").cloned()?;
        Some((error["code"].as_i64()?, error["message"].as_str()?.to_owned()))
    }
}
