use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::token::{ApprovalToken, LEEWAY_SECONDS};
use crate::{
    Approval, ApprovalId, GateMasks, Masks, Notice, NoticeState, Outcome, Receipt, Request, Timestamp,
    Undelivered, masked_arguments,
};

/// What an entry is about. Facts of one approval and one second are in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// What was asked.
    Request,
    /// That mails did not arrive.
    Undelivered,
    /// What became of the mail.
    Mail,
    /// How it ended.
    Outcome,
    /// The approval token, once nobody accepts it any more.
    Token,
    /// That the token was used.
    Redemption,
    /// A row that cannot be believed. It belongs to no time: every export names it, after all facts.
    Corrupt,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::Request,
        Self::Undelivered,
        Self::Mail,
        Self::Outcome,
        Self::Token,
        Self::Redemption,
        Self::Corrupt,
    ];

    /// Its name in an entry.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Undelivered => "undelivered",
            Self::Mail => "mail",
            Self::Outcome => "outcome",
            Self::Token => "token",
            Self::Redemption => "redemption",
            Self::Corrupt => "corrupt",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something that happened, and when. What it says of secrets is at most what nobody can use any more.
#[derive(Debug, Clone)]
pub enum Fact {
    /// Something was asked, at the time it was.
    Request(Request),
    /// The mail service reported that mails had not arrived; without their addresses.
    Undelivered {
        /// Of which approval.
        id: ApprovalId,
        /// When that was written down.
        at: Timestamp,
        /// All that were written down at that moment.
        reports: Vec<Undelivered>,
    },
    /// How the mail went. Until the approval ends it may be tried again: so it is told
    /// with the outcome and its time.
    Mail {
        /// Of which approval.
        id: ApprovalId,
        /// When the approval ended; its deadline, if how it ended cannot be believed.
        at: Timestamp,
        /// As it is recorded.
        notice: Notice,
    },
    /// It ended. `expired` is judged by the clock, whether or not somebody has recorded it.
    Outcome {
        /// Of which approval.
        id: ApprovalId,
        /// What happened.
        outcome: Outcome,
    },
    /// The token of an approval, at the first moment at which no gate accepts it: before, it would permit something.
    Token {
        /// Of which approval.
        id: ApprovalId,
        /// Its `exp`, and the leeway between two clocks.
        at: Timestamp,
        /// The token.
        token: ApprovalToken,
    },
    /// The token was used.
    Redemption(Receipt),
}

impl Fact {
    /// Everything that has happened to an approval by `to`, its use apart.
    pub fn of(
        request: &Request,
        notice: Option<Notice>,
        outcome: Option<Outcome>,
        to: Timestamp,
    ) -> Vec<Self> {
        let id = request.id;
        let mut facts = vec![Self::Request(request.clone())];
        let outcome = match Approval::judge(request.clone(), outcome, to) {
            Approval::Open(_) => return facts,
            Approval::Overdue(overdue) => overdue.expire().outcome,
            Approval::Closed(closed) => closed.outcome,
        };
        facts.extend(notice.map(|notice| Self::Mail { id, at: outcome.at(), notice }));
        if let Outcome::Approved { decision, token } = &outcome {
            let at = no_longer_accepted(decision.at, request.token_lifetime.duration());
            facts.push(Self::Token { id, at, token: token.clone() });
        }
        facts.push(Self::Outcome { id, outcome });
        facts
    }

    /// The reports of one approval, by their moments.
    pub fn undelivered(id: ApprovalId, reports: Vec<Undelivered>) -> Vec<Self> {
        let mut moments: BTreeMap<Timestamp, Vec<Undelivered>> = BTreeMap::new();
        for report in reports {
            moments.entry(report.at).or_default().push(report);
        }
        moments.into_iter().map(|(at, reports)| Self::Undelivered { id, at, reports }).collect()
    }

    /// When it happened.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Request(request) => request.created_at,
            Self::Undelivered { at, .. } | Self::Mail { at, .. } | Self::Token { at, .. } => *at,
            Self::Outcome { outcome, .. } => outcome.at(),
            Self::Redemption(receipt) => receipt.redeemed_at,
        }
    }

    /// Of which approval.
    pub fn approval_id(&self) -> ApprovalId {
        match self {
            Self::Request(request) => request.id,
            Self::Undelivered { id, .. }
            | Self::Mail { id, .. }
            | Self::Outcome { id, .. }
            | Self::Token { id, .. } => *id,
            Self::Redemption(receipt) => receipt.id,
        }
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Request(_) => Kind::Request,
            Self::Undelivered { .. } => Kind::Undelivered,
            Self::Mail { .. } => Kind::Mail,
            Self::Outcome { .. } => Kind::Outcome,
            Self::Token { .. } => Kind::Token,
            Self::Redemption(_) => Kind::Redemption,
        }
    }

    /// Its place among all facts: no two have the same.
    pub fn order(&self) -> (Timestamp, ApprovalId, Kind) {
        (self.at(), self.approval_id(), self.kind())
    }

    pub(super) fn says(&self, masks: &GateMasks) -> Value {
        match self {
            Self::Request(request) => asked(request, masks.of(&request.audience)),
            Self::Undelivered { reports, .. } => came_back(reports),
            Self::Mail { notice, .. } => mailed(notice),
            Self::Outcome { outcome, .. } => ended(outcome),
            Self::Token { token, .. } => json!({"token": token.expose()}),
            Self::Redemption(receipt) => json!({
                "gate": receipt.gate.as_str(),
                "tool": receipt.tool.as_str(),
                "digest": receipt.digest.to_string(),
                "proven_by": receipt.proven_by.as_str(),
            }),
        }
    }
}

/// The first moment at which no gate takes a token any more, whatever its clock within the leeway.
pub(super) fn no_longer_accepted(signed_at: Timestamp, lifetime: Duration) -> Timestamp {
    signed_at.plus(lifetime).plus(Duration::from_secs(LEEWAY_SECONDS.unsigned_abs()))
}

fn asked(request: &Request, masks: &Masks) -> Value {
    let (arguments, masked) = masked_arguments(&request.action.arguments, masks);
    let mut says = json!({
        "agent": request.agent.as_str(),
        "approver": request.approver.as_str(),
        "audience": request.audience.as_str(),
        "tool": request.action.tool.as_str(),
        // The canonical text itself: a parser could change a number in it.
        "arguments": arguments,
        "digest": request.action.digest().to_string(),
        "summary": request.summary.as_str(),
        "reason": request.reason.as_ref().map(|reason| reason.as_str()),
        "closes_at": request.closes_at.to_string(),
        "token_lifetime_seconds": request.token_lifetime.duration().as_secs(),
    });
    if !masked.is_empty() {
        says["masked"] = masked.into();
    }
    says
}

fn came_back(reports: &[Undelivered]) -> Value {
    let mails = reports
        .iter()
        .map(|report| json!({"message_id": report.message_id.as_str(), "cause": report.cause.as_str()}));
    json!({"mails": mails.collect::<Vec<_>>()})
}

fn mailed(notice: &Notice) -> Value {
    let (state, message_id, at) = match &notice.state {
        NoticeState::Accepted { message_id, at } => ("accepted", Some(message_id.as_str()), *at),
        NoticeState::Failed => ("failed", None, None),
        NoticeState::Sending { .. } => ("sending", None, None),
    };
    let at = at.map(|at| at.to_string());
    json!({"attempts": notice.attempt, "state": state, "message_id": message_id, "accepted_at": at})
}

fn ended(outcome: &Outcome) -> Value {
    let mut says = json!({"outcome": outcome.status()});
    if let Some(decision) = outcome.decision() {
        says["proven_by"] = decision.proven_by.as_str().into();
        if let Some(passkey) = &decision.passkey {
            says["passkey"] = passkey.to_string().into();
        }
        says["note"] = decision.note.as_ref().map(|note| note.as_str()).into();
    }
    if let Outcome::Approved { token, .. } = outcome {
        says["token_sha256"] = token.sha256().into();
    }
    says
}

/// A row that is not what its writers can have written. Exports have them sorted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CorruptRow {
    row: String,
    attribute: String,
    problem: String,
    id: Option<ApprovalId>,
}

impl CorruptRow {
    /// By its key, and what is wrong with which attribute. Anybody may have written these: control characters are escaped,
    /// and what is long is cut.
    pub fn new(row: &str, attribute: &str, problem: &str) -> Self {
        let id = row.split_once('#').and_then(|(_, id)| ApprovalId::parse(id).ok());
        Self { row: visible(row), attribute: visible(attribute), problem: visible(problem), id }
    }

    pub(super) fn approval_id(&self) -> Option<ApprovalId> {
        self.id
    }

    pub(super) fn says(&self) -> Value {
        json!({"row": self.row, "attribute": self.attribute, "problem": self.problem})
    }
}

fn visible(text: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_unicode().to_string() } else { c.to_string() };
    text.chars().take(300).map(escaped).collect()
}
