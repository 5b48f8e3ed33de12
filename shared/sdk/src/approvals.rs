//! An execution layer as Sayso's agent: it asks, it checks, it withdraws. Sayso's MCP endpoint is stateless, so a call is
//! one `tools/call` in one POST; every one of them may be repeated, and is when its answer was lost.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, StatusCode};
use sayso_model::wire::{
    CHECK_APPROVAL, CheckApprovalArguments, REQUEST_APPROVAL, RETRY_AFTER_META, RequestApprovalArguments,
    WITHDRAW_APPROVAL, WireError, WithdrawApprovalArguments,
};
use sayso_model::{Action, AgentKey, ApprovalId, Audience, BaseUrl, ExpiresIn, Reason, Summary, check_text};
use serde::Serialize;
use serde_json::{Value, json};
use thiserror::Error;

use crate::ATTEMPT_LIMIT;
use crate::http::{Answer, HttpClient, NoAnswer, TlsError};

mod answers;
mod waiting;

pub use answers::{ApprovalStatus, PendingApproval, Withdrawal, Wording};

/// The longest that [`Approvals::check`] waits for a human.
pub const MAX_WAIT: Duration = Duration::from_secs(50);

const PROTOCOL_VERSION: &str = "2026-07-28";

const METHOD: &str = "tools/call";

/// The `id` of every call: there is one call in each POST.
const CALL: u64 = 1;

/// A JSON-RPC error's code for what the server could not do.
const INTERNAL_ERROR: i64 = -32_603;

/// The client of Sayso's MCP endpoint, with the key of one agent. Share it: it holds the connections.
#[derive(Debug)]
pub struct Approvals {
    http: HttpClient,
    url: BaseUrl,
    key: AgentKey,
}

/// What a human is asked.
#[derive(Debug, Clone, Copy)]
pub struct ApprovalRequest<'a> {
    /// What would be executed: what the approval will hold for.
    pub action: &'a Action,
    /// The gate that would execute it.
    pub audience: &'a Audience,
    /// In words, on one line.
    pub summary: &'a Summary,
    /// Why.
    pub reason: Option<&'a Reason>,
    /// How long the human may take.
    pub expires_in: ExpiresIn,
    /// A pending approval of the same tool with other arguments, whose approver is to be told of this one.
    pub earlier: Option<ApprovalId>,
}

/// Why there is no answer. `Display` is a sentence for the caller: what is wrong, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ApprovalError {
    /// HTTP 401.
    #[error("Sayso does not know this agent key: nothing ran. Ask your operator for a current one.")]
    KeyRefused,
    /// In Sayso's own words to an agent.
    #[error("Sayso refuses the request: {0}")]
    Refused(String),
    /// There is a limit on new requests; what is pending is not touched by it.
    #[error("Sayso does not take this request now: nothing ran. {words}")]
    Limited {
        /// In Sayso's own words to an agent: which limit, and what to do.
        words: String,
        /// When the same request may succeed.
        retry_after: Duration,
    },
    /// No approval with this id is this agent's.
    #[error("Sayso has no such approval of this agent: nothing ran. Ask for a new one.")]
    Unknown,
    /// No attempt got through.
    #[error(
        "Sayso cannot be reached: nothing ran. Check its MCP URL and the network, and try again: the same request is not asked twice."
    )]
    Unreachable,
    /// It was reached, and no attempt brought an answer.
    #[error("Sayso did not answer: nothing ran. Try again: the same request is not asked twice.")]
    Unanswered,
    /// Something in Sayso broke; its log has more under this id.
    #[error(
        "Sayso could not finish this: nothing ran. Try again: the same request is not asked twice. If it stays so, tell your operator error {error_id}."
    )]
    Failed {
        /// For the operator.
        error_id: String,
    },
    /// A status or a cause of a later version. Whatever was approved stays approved: nothing was redeemed.
    #[error(
        "Sayso's answer has the {member} `{value}`, which this version of the gate does not know: nothing ran, and nothing is used up. Upgrade the gate, and try again."
    )]
    Unsupported {
        /// The member of the answer.
        member: &'static str,
        /// The value, at most 64 ASCII letters, digits, `-` and `_`.
        value: String,
    },
    /// What answered is no Sayso of this version.
    #[error(
        "What answers at Sayso's MCP URL (HTTP {status}) is not understood: nothing ran. The URL ends in /mcp: compare it with the one your operator gave you."
    )]
    NotUnderstood {
        /// The HTTP status.
        status: u16,
    },
}

impl From<WireError> for ApprovalError {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Unknown { member, value } => Self::Unsupported { member, value },
            _ => Self::NotUnderstood { status: 200 },
        }
    }
}

impl Approvals {
    /// `mcp_url` is Sayso's MCP endpoint, whole: it ends in `/mcp`. Connects to nothing yet; needs a tokio runtime with I/O
    /// and time when it does.
    pub fn new(mcp_url: BaseUrl, key: AgentKey) -> Result<Self, TlsError> {
        Ok(Self { http: HttpClient::new(&mcp_url, None)?, url: mcp_url, key })
    }

    /// As [`Approvals::new`], trusting the certificates in `roots`, PEM, in the place of the machine's: for networks that
    /// read along.
    pub fn trusting(roots: &[u8], mcp_url: BaseUrl, key: AgentKey) -> Result<Self, TlsError> {
        Ok(Self { http: HttpClient::new(&mcp_url, Some(roots))?, url: mcp_url, key })
    }

    /// Where it asks.
    pub fn url(&self) -> &BaseUrl {
        &self.url
    }

    /// Asks for approval. While an approval of this very action for this audience is pending, it is that one that is
    /// given back, and nobody is asked again; a mail that could not be sent before is sent now. Another holder of the agent's
    /// key may have asked it, in other words: [`PendingApproval::asked`] has them.
    pub async fn request(&self, asking: &ApprovalRequest<'_>) -> Result<PendingApproval, ApprovalError> {
        let body = request_body(asking);
        match self.call(REQUEST_APPROVAL, Duration::ZERO, |_| body.clone()).await? {
            Said::Done(content) => Ok(PendingApproval::from_content(content)?),
            Said::NotNow(limited) => Err(limited),
            Said::Refused(words) => Err(ApprovalError::Refused(words)),
        }
    }

    /// Looks how an approval stands, and while it is pending waits for the human: `wait` at most, and at most
    /// [`MAX_WAIT`]. It may say pending earlier than that: a lost answer is asked for again without the wait.
    pub async fn check(&self, id: ApprovalId, wait: Duration) -> Result<ApprovalStatus, ApprovalError> {
        let wait = wait.min(MAX_WAIT);
        let body = |attempt: usize| {
            let seconds = if attempt == 0 { wait.as_secs() } else { 0 };
            let wait_seconds = Some(i64::try_from(seconds).unwrap_or(i64::MAX));
            call_body(CHECK_APPROVAL, CheckApprovalArguments { approval_id: id.to_string(), wait_seconds })
        };
        let content = known(id, self.call(CHECK_APPROVAL, wait, body).await?)?;
        Ok(ApprovalStatus::from_content(id, content)?)
    }

    /// Takes a request back, if nobody has answered yet.
    pub async fn withdraw(&self, id: ApprovalId) -> Result<Withdrawal, ApprovalError> {
        let arguments = WithdrawApprovalArguments { approval_id: id.to_string() };
        let body = call_body(WITHDRAW_APPROVAL, arguments);
        let said = self.call(WITHDRAW_APPROVAL, Duration::ZERO, |_| body.clone()).await?;
        Ok(Withdrawal::from_content(id, known(id, said)?)?)
    }

    /// One call of a tool, whose first attempt may take `wait` longer.
    async fn call(
        &self,
        tool: &'static str,
        wait: Duration,
        body: impl Fn(usize) -> String,
    ) -> Result<Said, ApprovalError> {
        let post = |http: &Client, attempt: usize| {
            let limit = if attempt == 0 { ATTEMPT_LIMIT + wait } else { ATTEMPT_LIMIT };
            http.post(self.url.as_str())
                .timeout(limit)
                .bearer_auth(self.key.expose())
                .header(CONTENT_TYPE, "application/json")
                .header("accept", "application/json")
                .header("mcp-protocol-version", PROTOCOL_VERSION)
                .header("mcp-method", METHOD)
                .header("mcp-name", tool)
                .body(body(attempt))
        };
        match self.http.ask(post).await {
            Ok(answer) => said(&answer),
            Err(NoAnswer::Unreachable) => Err(ApprovalError::Unreachable),
            Err(NoAnswer::Unanswered) => Err(ApprovalError::Unanswered),
        }
    }
}

#[derive(Serialize)]
struct Call<A> {
    jsonrpc: &'static str,
    id: u64,
    method: &'static str,
    params: Params<A>,
}

#[derive(Serialize)]
struct Params<A> {
    name: &'static str,
    arguments: A,
    #[serde(rename = "_meta")]
    meta: Value,
}

#[expect(clippy::expect_used, reason = "canonical JSON is JSON")]
fn request_body(asking: &ApprovalRequest<'_>) -> String {
    let arguments = asking.action.arguments.as_str();
    let seconds = asking.expires_in.duration().as_secs();
    let arguments = RequestApprovalArguments {
        tool: asking.action.tool.as_str().to_owned(),
        arguments: serde_json::from_str(arguments).expect("canonical JSON is JSON"),
        summary: asking.summary.as_str().to_owned(),
        reason: asking.reason.map(|reason| reason.as_str().to_owned()),
        audience: Some(asking.audience.as_str().to_owned()),
        expires_in_seconds: Some(i64::try_from(seconds).unwrap_or(i64::MAX)),
        idempotency_key: None,
        earlier_approval_id: asking.earlier.map(|id| id.to_string()),
    };
    call_body(REQUEST_APPROVAL, arguments)
}

#[expect(clippy::expect_used, reason = "structs of strings, numbers and JSON cannot fail to serialise")]
fn call_body(name: &'static str, arguments: impl Serialize) -> String {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": PROTOCOL_VERSION,
        "io.modelcontextprotocol/clientInfo": {"name": "sayso-gate", "version": env!("CARGO_PKG_VERSION")},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let params = Params { name, arguments, meta };
    let call = Call { jsonrpc: "2.0", id: CALL, method: METHOD, params };
    serde_json::to_string(&call).expect("structs of strings, numbers and JSON")
}

/// What a tool said.
enum Said {
    /// Its structured result.
    Done(Value),
    /// The words of its error.
    Refused(String),
    /// A limit was reached.
    NotNow(ApprovalError),
}

fn said(answer: &Answer) -> Result<Said, ApprovalError> {
    if answer.status == StatusCode::UNAUTHORIZED {
        return Err(ApprovalError::KeyRefused);
    }
    let not_understood = ApprovalError::NotUnderstood { status: answer.status.as_u16() };
    let message = check_text(&answer.text).unwrap_or_default();
    if message["jsonrpc"] != "2.0" || message["id"] != CALL {
        return Err(not_understood);
    }
    if let Some(error_id) = incident(&message) {
        return Err(ApprovalError::Failed { error_id });
    }
    let result = &message["result"];
    match (answer.status, &result["isError"]) {
        (StatusCode::OK, Value::Bool(true)) => {
            let blocks = result["content"].as_array().map(Vec::as_slice).unwrap_or_default();
            let words =
                blocks.iter().filter_map(|block| block["text"].as_str()).collect::<Vec<_>>().join(" ");
            let retry_after = result["_meta"][RETRY_AFTER_META].as_u64();
            match retry_after.map(Duration::from_secs) {
                _ if words.is_empty() => Err(not_understood),
                Some(retry_after) => Ok(Said::NotNow(ApprovalError::Limited { words, retry_after })),
                None => Ok(Said::Refused(words)),
            }
        }
        (StatusCode::OK, Value::Bool(false) | Value::Null) => {
            Ok(Said::Done(result["structuredContent"].clone()))
        }
        _ => Err(not_understood),
    }
}

/// The id under which Sayso's log says what broke.
fn incident(message: &Value) -> Option<String> {
    let error = message.get("error").filter(|error| error["code"] == INTERNAL_ERROR)?;
    let id = error["data"]["error_id"].as_str()?;
    let plain = id.len() <= 64 && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    plain.then(|| id.to_owned())
}

/// The result of a call about an approval. Of what Sayso refuses there, only an id that is none of the agent's is repeated
/// in its words.
fn known(id: ApprovalId, said: Said) -> Result<Value, ApprovalError> {
    match said {
        Said::Done(content) => Ok(content),
        Said::NotNow(limited) => Err(limited),
        Said::Refused(words) if words.contains(&id.to_string()) => Err(ApprovalError::Unknown),
        Said::Refused(words) => Err(ApprovalError::Refused(words)),
    }
}

#[cfg(test)]
mod tests;
