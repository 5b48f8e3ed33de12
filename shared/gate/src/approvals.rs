//! An execution layer as Sayso's agent: it asks, it checks, it withdraws. Sayso's MCP endpoint is stateless, so a call is
//! one `tools/call` in one POST; every one of them may be repeated, and is when its answer was lost.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, StatusCode};
use sayso_model::{
    Action, AgentKey, ApprovalId, Audience, BaseUrl, ExpiresIn, Note, Reason, Summary, Timestamp, check_text,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use thiserror::Error;

use crate::ATTEMPT_LIMIT;
use crate::line::{Answer, Line, Lost, NoTls};

mod answers;

pub use answers::{Requested, Standing, Withdrawal};

/// The longest that [`Approvals::check`] waits for a human.
pub const LONGEST_WAIT: Duration = Duration::from_secs(50);

const PROTOCOL_VERSION: &str = "2026-07-28";

/// The `id` of every call: there is one call in each POST.
const CALL: u64 = 1;

/// A JSON-RPC error's code for what the server could not do.
const INTERNAL_ERROR: i64 = -32_603;

/// The client of Sayso's MCP endpoint, with the key of one agent. Share it: it holds the connections.
#[derive(Debug)]
pub struct Approvals {
    line: Line,
    url: BaseUrl,
    key: AgentKey,
}

/// What a human is asked.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
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
}

/// Why there is no answer. `Display` is a sentence for whoever asked: what is wrong, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotAsked {
    /// HTTP 401.
    #[error("Sayso does not know this agent key: nothing ran. Ask your operator for a current one.")]
    KeyRefused,
    /// In Sayso's own words to an agent.
    #[error("Sayso refuses the request: {0}")]
    Refused(String),
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
    /// What answered is no Sayso of this version.
    #[error(
        "What answers at Sayso's MCP URL (HTTP {status}) is not understood: nothing ran. The URL ends in /mcp: compare it with the one your operator gave you."
    )]
    NotUnderstood {
        /// The HTTP status.
        status: u16,
    },
}

impl Approvals {
    /// `mcp_url` is Sayso's MCP endpoint, whole: it ends in `/mcp`. Connects to nothing yet; needs a tokio runtime with I/O
    /// and time when it does.
    pub fn new(mcp_url: BaseUrl, key: AgentKey) -> Result<Self, NoTls> {
        Ok(Self { line: Line::new(&mcp_url)?, url: mcp_url, key })
    }

    /// Where it asks.
    pub fn url(&self) -> &BaseUrl {
        &self.url
    }

    /// Asks for approval. While an approval of this very action for this audience is pending, it is that one that is
    /// given back, and nobody is asked again; a mail that could not be sent before is sent now.
    pub async fn request(&self, asking: &Asking<'_>) -> Result<Requested, NotAsked> {
        let _ = asking;
        todo!()
    }

    /// Looks how an approval stands, and while it is pending waits for the human: `wait` at most, and at most
    /// [`LONGEST_WAIT`]. It may look pending earlier than that: a lost answer is asked for again without the wait.
    pub async fn check(&self, id: ApprovalId, wait: Duration) -> Result<Standing, NotAsked> {
        let _ = (id, wait);
        todo!()
    }

    /// Takes a request back, if nobody has answered yet.
    pub async fn withdraw(&self, id: ApprovalId) -> Result<Withdrawal, NotAsked> {
        let _ = id;
        todo!()
    }
}
