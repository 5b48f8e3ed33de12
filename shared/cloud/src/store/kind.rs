use std::fmt::Display;

use sayso_model::ApprovalId;

/// Every kind of row. A row's only key, `pk`, begins with its kind. ARCHITECTURE.md lists who writes which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An agent's key.
    Agent,
    /// A gate, and what mails about it do not show.
    Gate,
    /// Somebody who decides.
    Approver,
    /// A revision for each agent's name, and what it takes to approve what the agent asks.
    Name,
    /// Which request is an agent's open one for an action.
    Open,
    /// Which request an agent's idempotency key stands for.
    Idempotency,
    /// What limits count.
    Limit,
    /// What was asked.
    Request,
    /// What is known of the mail.
    Notice,
    /// Which later requests name this one as their earlier.
    Newer,
    /// Mails that did not arrive.
    Undelivered,
    /// How it ended.
    Outcome,
    /// That the token was used.
    Redemption,
    /// An approver's passkeys.
    Passkey,
    /// How often a passkey's authenticator says it has signed.
    SignCount,
}

impl Kind {
    /// The kinds that record what happened to an approval: [`ApprovalRows`](super::rows::ApprovalRows) has a place for each.
    pub(crate) const OF_AN_APPROVAL: [Self; 5] =
        [Self::Request, Self::Notice, Self::Undelivered, Self::Outcome, Self::Redemption];

    /// What the key of each such row begins with.
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::Agent => "AGENT#",
            Self::Gate => "GATE#",
            Self::Approver => "APPROVER#",
            Self::Name => "NAME#",
            Self::Open => "OPEN#",
            Self::Idempotency => "IDEMPOTENCY#",
            Self::Limit => "LIMIT#",
            Self::Request => "REQUEST#",
            Self::Notice => "NOTICE#",
            Self::Newer => "NEWER#",
            Self::Undelivered => "UNDELIVERED#",
            Self::Outcome => "OUTCOME#",
            Self::Redemption => "REDEMPTION#",
            Self::Passkey => "PASSKEY#",
            Self::SignCount => "SIGN_COUNT#",
        }
    }

    /// The key of the row about `what`.
    pub(crate) fn key(self, what: impl Display) -> String {
        format!("{}{what}", self.prefix())
    }

    /// Which row of which approval a key is of. The error says what is wrong with it.
    pub(crate) fn of_an_approval(key: &str) -> Result<(Self, ApprovalId), String> {
        let kind = Self::OF_AN_APPROVAL.into_iter().find(|kind| key.starts_with(kind.prefix()));
        let Some(kind) = kind else {
            let prefix = key.split_once('#').map_or(key, |(prefix, _)| prefix);
            return Err(format!("{prefix}# is no kind of row that an approval has"));
        };
        let id = ApprovalId::parse(&key[kind.prefix().len()..]);
        id.map(|id| (kind, id)).map_err(|_| "it ends in no approval's id".to_owned())
    }
}
