//! The rows as stored. Every field is parsed on the way in: a row that does not parse is corrupt, by name.

use sayso_model::passkey::CredentialId;
use sayso_model::token::ApprovalToken;
use sayso_model::{
    Action, AgentName, ApprovalId, ApproverId, Audience, CanonicalJson, Decision, LinkSecretHash, MessageId,
    Note, Notice, NoticeState, Outcome, ProvenBy, Reason, Request, Retention, Summary, Timestamp,
    TokenLifetime, ToolName,
};
use serde::{Deserialize, Serialize};

use super::kind::Kind;
use crate::Failure;

/// When DynamoDB may forget an approval's facts, in seconds since the epoch.
pub(super) fn ttl(closes_at: Timestamp, retention: Retention) -> i64 {
    closes_at.plus(retention.duration()).as_unix_seconds()
}

/// How much longer than its request an outcome stays, in seconds: so that no difference between two clocks lets it go first,
/// and the request look as if nobody had answered.
pub(crate) const OUTCOME_STAYS: i64 = 86_400;

fn outcome_ttl(closes_at: Timestamp, retention: Retention) -> i64 {
    ttl(closes_at, retention) + OUTCOME_STAYS
}

/// Names row and attribute when a value does not parse.
pub(super) struct Row<'a>(pub(super) &'a str);

impl Row<'_> {
    pub(crate) fn parsed<T, E: ToString>(
        &self,
        attribute: &'static str,
        value: Result<T, E>,
    ) -> Result<T, Failure> {
        value.map_err(|e| Failure::corrupt(self.0, attribute, e))
    }

    pub(super) fn time(&self, attribute: &'static str, seconds: i64) -> Result<Timestamp, Failure> {
        self.parsed(attribute, Timestamp::from_unix_seconds(seconds))
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct RequestItem {
    pub(super) pk: String,
    agent: String,
    approver: String,
    audience: String,
    tool: String,
    arguments: String,
    summary: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    created_at: i64,
    closes_at: i64,
    token_lifetime: u64,
    link_secret_hash: String,
    ttl: i64,
}

impl RequestItem {
    /// Whether the row's time is over, though DynamoDB has not deleted it yet: rows of one approval go one by one, and
    /// what is left of it must not be read as something else.
    pub(crate) fn is_forgotten(&self, now: Timestamp) -> bool {
        self.ttl <= now.as_unix_seconds()
    }

    pub(super) fn new(request: &Request, retention: Retention) -> Self {
        Self {
            pk: Kind::Request.key(request.id),
            agent: request.agent.as_str().to_owned(),
            approver: request.approver.as_str().to_owned(),
            audience: request.audience.as_str().to_owned(),
            tool: request.action.tool.as_str().to_owned(),
            arguments: request.action.arguments.as_str().to_owned(),
            summary: request.summary.as_str().to_owned(),
            reason: request.reason.as_ref().map(|reason| reason.as_str().to_owned()),
            created_at: request.created_at.as_unix_seconds(),
            closes_at: request.closes_at.as_unix_seconds(),
            token_lifetime: request.token_lifetime.duration().as_secs(),
            link_secret_hash: request.link_secret_hash.to_string(),
            ttl: ttl(request.closes_at, retention),
        }
    }

    pub(crate) fn parse(self, id: ApprovalId) -> Result<Request, Failure> {
        let row = Row(&self.pk);
        let arguments = row.parsed("arguments", CanonicalJson::parse(&self.arguments))?;
        if arguments.as_str() != self.arguments {
            return Err(Failure::corrupt(&self.pk, "arguments", "not in canonical form"));
        }
        Ok(Request {
            id,
            agent: row.parsed("agent", AgentName::parse(&self.agent))?,
            approver: row.parsed("approver", ApproverId::parse(&self.approver))?,
            audience: row.parsed("audience", Audience::parse(&self.audience))?,
            action: Action { tool: row.parsed("tool", ToolName::parse(&self.tool))?, arguments },
            summary: row.parsed("summary", Summary::parse(&self.summary))?,
            reason: row.parsed("reason", self.reason.as_deref().map(Reason::parse).transpose())?,
            created_at: row.time("created_at", self.created_at)?,
            closes_at: row.time("closes_at", self.closes_at)?,
            token_lifetime: row.parsed("token_lifetime", TokenLifetime::from_seconds(self.token_lifetime))?,
            link_secret_hash: row
                .parsed("link_secret_hash", LinkSecretHash::parse(&self.link_secret_hash))?,
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct NoticeItem {
    pk: String,
    attempt: u32,
    #[serde(flatten)]
    state: NoticeStateItem,
    links: Vec<String>,
    ttl: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum NoticeStateItem {
    Sending {
        since: i64,
    },
    Accepted {
        message_id: String,
        /// Absent from rows that an early version wrote.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        accepted_at: Option<i64>,
    },
    Failed,
}

impl NoticeItem {
    pub(super) fn new(request: &Request, notice: &Notice, retention: Retention) -> Self {
        let state = match &notice.state {
            NoticeState::Sending { since } => NoticeStateItem::Sending { since: since.as_unix_seconds() },
            NoticeState::Accepted { message_id, at } => NoticeStateItem::Accepted {
                message_id: message_id.as_str().to_owned(),
                accepted_at: at.map(Timestamp::as_unix_seconds),
            },
            NoticeState::Failed => NoticeStateItem::Failed,
        };
        Self {
            pk: Kind::Notice.key(request.id),
            attempt: notice.attempt,
            state,
            links: notice.links.iter().map(ToString::to_string).collect(),
            ttl: ttl(request.closes_at, retention),
        }
    }

    pub(crate) fn parse(self) -> Result<Notice, Failure> {
        let row = Row(&self.pk);
        let links = self.links.iter().map(|link| LinkSecretHash::parse(link)).collect::<Result<_, _>>();
        let state = match self.state {
            NoticeStateItem::Sending { since } => NoticeState::Sending { since: row.time("since", since)? },
            NoticeStateItem::Accepted { message_id, accepted_at } => {
                let at = accepted_at.map(|at| row.time("accepted_at", at)).transpose()?;
                NoticeState::Accepted {
                    message_id: row.parsed("message_id", MessageId::parse(&message_id))?,
                    at,
                }
            }
            NoticeStateItem::Failed => NoticeState::Failed,
        };
        Ok(Notice { attempt: self.attempt, state, links: row.parsed("links", links)? })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct OutcomeItem {
    pk: String,
    #[serde(flatten)]
    outcome: OutcomeStateItem,
    ttl: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum OutcomeStateItem {
    Approved {
        #[serde(flatten)]
        decision: DecisionItem,
        token: String,
    },
    Denied {
        #[serde(flatten)]
        decision: DecisionItem,
    },
    Expired {
        at: i64,
    },
    Withdrawn {
        at: i64,
    },
}

#[derive(Serialize, Deserialize)]
struct DecisionItem {
    at: i64,
    proven_by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    passkey: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

impl DecisionItem {
    fn new(decision: &Decision) -> Self {
        Self {
            at: decision.at.as_unix_seconds(),
            proven_by: decision.proven_by.as_str().to_owned(),
            passkey: decision.passkey.as_ref().map(ToString::to_string),
            note: decision.note.as_ref().map(|note| note.as_str().to_owned()),
        }
    }

    fn parse(self, row: &Row<'_>) -> Result<Decision, Failure> {
        let note = self.note.as_deref().map(Note::parse).transpose();
        let passkey = self.passkey.as_deref().map(CredentialId::parse).transpose();
        Ok(Decision {
            at: row.time("at", self.at)?,
            proven_by: row.parsed("proven_by", ProvenBy::parse(&self.proven_by))?,
            passkey: row.parsed("passkey", passkey)?,
            note: row.parsed("note", note)?.flatten(),
        })
    }
}

impl OutcomeItem {
    pub(super) fn new(request: &Request, outcome: &Outcome, retention: Retention) -> Self {
        let state = match outcome {
            Outcome::Approved { decision, token } => OutcomeStateItem::Approved {
                decision: DecisionItem::new(decision),
                token: token.expose().to_owned(),
            },
            Outcome::Denied(decision) => OutcomeStateItem::Denied { decision: DecisionItem::new(decision) },
            Outcome::Expired { at } => OutcomeStateItem::Expired { at: at.as_unix_seconds() },
            Outcome::Withdrawn { at } => OutcomeStateItem::Withdrawn { at: at.as_unix_seconds() },
        };
        Self {
            pk: Kind::Outcome.key(request.id),
            outcome: state,
            ttl: outcome_ttl(request.closes_at, retention),
        }
    }

    /// What the row says; whether an approval holds is for the store to verify.
    pub(crate) fn parse(self) -> Result<Outcome, Failure> {
        let row = Row(&self.pk);
        Ok(match self.outcome {
            OutcomeStateItem::Approved { decision, token } => {
                Outcome::Approved { decision: decision.parse(&row)?, token: ApprovalToken::from_text(&token) }
            }
            OutcomeStateItem::Denied { decision } => Outcome::Denied(decision.parse(&row)?),
            OutcomeStateItem::Expired { at } => Outcome::Expired { at: row.time("at", at)? },
            OutcomeStateItem::Withdrawn { at } => Outcome::Withdrawn { at: row.time("at", at)? },
        })
    }
}
