//! An approval's life. What may happen next is a method of the state it is in, and takes that state away.

use std::fmt;
use std::sync::Arc;

use crate::invalid::check_prose;
use crate::passkey::{CredentialId, PasskeyProof};
use crate::text::text_traits;
use crate::token::{ApprovalToken, Claims, Issuer, KeyId, Signature, UnsignedToken};
use crate::{EmailLinkProof, Invalid, Request, Status, Timestamp};

/// A request and how it stands at one moment.
#[derive(Debug, Clone, PartialEq)]
pub enum Approval {
    /// Someone may still decide, and the agent may still withdraw.
    Open(OpenApproval),
    /// The deadline has passed and nobody has recorded it yet. The first function that sees this and may write records it.
    Overdue(OverdueApproval),
    /// Exactly one thing happened, for good.
    Closed(ClosedApproval),
}

impl Approval {
    /// Judges by the recorded outcome, or by the deadline where there is none. A request holds up to 64 KiB: it is shared.
    pub fn judge(request: impl Into<Arc<Request>>, outcome: Option<Outcome>, now: Timestamp) -> Self {
        let request = request.into();
        match outcome {
            Some(outcome) => Self::Closed(ClosedApproval { request, outcome }),
            None if now < request.closes_at => Self::Open(OpenApproval(request)),
            None => Self::Overdue(OverdueApproval(request)),
        }
    }

    /// What was asked.
    pub fn request(&self) -> &Request {
        match self {
            Self::Open(open) => &open.0,
            Self::Overdue(overdue) => &overdue.0,
            Self::Closed(closed) => &closed.request,
        }
    }
}

/// An approval that nobody has answered, before its deadline.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenApproval(Arc<Request>);

impl OpenApproval {
    /// What was asked.
    pub fn request(&self) -> &Request {
        &self.0
    }

    /// The approver says yes: not an approval until it is signed.
    pub fn approve(
        self,
        proof: impl Into<Proof>,
        note: Option<Note>,
        issuer: &Issuer,
        key: &KeyId,
        now: Timestamp,
    ) -> ApprovalToSign {
        let decision = proof.into().decided(note, now);
        let unsigned = UnsignedToken::new(key, &Claims::new(&self.0, &decision, issuer));
        ApprovalToSign { request: self.0, decision, unsigned }
    }

    /// The approver says no.
    pub fn deny(self, proof: impl Into<Proof>, note: Option<Note>, now: Timestamp) -> ClosedApproval {
        let decision = proof.into().decided(note, now);
        ClosedApproval { request: self.0, outcome: Outcome::Denied(decision) }
    }

    /// The agent no longer wants it.
    pub fn withdraw(self, now: Timestamp) -> ClosedApproval {
        ClosedApproval { request: self.0, outcome: Outcome::Withdrawn { at: now } }
    }
}

/// A yes that lacks its signature.
#[derive(Debug)]
pub struct ApprovalToSign {
    request: Arc<Request>,
    decision: Decision,
    unsigned: UnsignedToken,
}

impl ApprovalToSign {
    /// SHA-256 of the JWS signing input: what the key signs.
    pub fn digest(&self) -> [u8; 32] {
        self.unsigned.digest()
    }

    /// Completes the approval.
    pub fn signed(self, signature: &Signature) -> ClosedApproval {
        let token = self.unsigned.signed(signature);
        ClosedApproval {
            request: self.request,
            outcome: Outcome::Approved { decision: self.decision, token },
        }
    }
}

/// An approval whose deadline has passed without an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct OverdueApproval(Arc<Request>);

impl OverdueApproval {
    /// Nobody answered: not a denial. It ended at its deadline, whenever that is noticed.
    pub fn expire(self) -> ClosedApproval {
        let at = self.0.closes_at;
        ClosedApproval { request: self.0, outcome: Outcome::Expired { at } }
    }
}

/// An approval that is over.
#[derive(Debug, Clone, PartialEq)]
pub struct ClosedApproval {
    /// What was asked.
    pub request: Arc<Request>,
    /// What happened.
    pub outcome: Outcome,
}

/// What happened, once and for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Yes, with the token that carries it.
    Approved {
        /// When and how.
        decision: Decision,
        /// Signed at the moment of approval.
        token: ApprovalToken,
    },
    /// No.
    Denied(Decision),
    /// Nobody answered.
    Expired {
        /// The deadline.
        at: Timestamp,
    },
    /// The agent took it back.
    Withdrawn {
        /// When.
        at: Timestamp,
    },
}

impl Outcome {
    /// The word for it.
    pub fn status(&self) -> Status {
        Status::from(self)
    }

    /// When it happened.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Approved { decision, .. } | Self::Denied(decision) => decision.at,
            Self::Expired { at } | Self::Withdrawn { at } => *at,
        }
    }

    /// The human's part, where there is one.
    pub fn decision(&self) -> Option<&Decision> {
        match self {
            Self::Approved { decision, .. } | Self::Denied(decision) => Some(decision),
            Self::Expired { .. } | Self::Withdrawn { .. } => None,
        }
    }
}

/// A human's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// When.
    pub at: Timestamp,
    /// How we know who it was.
    pub proven_by: ProvenBy,
    /// The passkey that proved it, if one did.
    pub passkey: Option<CredentialId>,
    /// The approver's words to the agent.
    pub note: Option<Note>,
}

/// How a decision was proven. Named by what was shown, never as "human verified".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProvenBy {
    /// The mailed link and the code its page showed: access to the mailbox.
    EmailLink,
    /// One of the approver's passkeys, unlocked by whoever holds it.
    Passkey,
}

impl ProvenBy {
    /// The name in records and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EmailLink => "email-link",
            Self::Passkey => "passkey",
        }
    }

    /// From its name.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match text {
            "email-link" => Ok(Self::EmailLink),
            "passkey" => Ok(Self::Passkey),
            _ => Err(Invalid::new("a proof is `email-link` or `passkey`")),
        }
    }

    /// From a token's `amr`; `None` for a proof of a later version.
    pub(crate) fn from_amr(amr: &[String]) -> Option<Self> {
        [Self::EmailLink, Self::Passkey].into_iter().find(|known| known.amr() == amr)
    }

    /// The token's `amr` (RFC 8176 names authentication methods; `email`, `passkey` and `uv`, for "user verified", are ours).
    pub fn amr(self) -> Vec<String> {
        let methods: &[&str] = match self {
            Self::EmailLink => &["email"],
            Self::Passkey => &["passkey", "uv"],
        };
        methods.iter().map(|&method| method.to_owned()).collect()
    }
}

/// What an approver has shown for this very request. Each kind can be made only by what checks it.
#[derive(Debug)]
pub enum Proof {
    /// See [`DecidingLink::prove`](crate::DecidingLink::prove).
    EmailLink(EmailLinkProof),
    /// See [`Passkey::prove`](crate::passkey::Passkey::prove).
    Passkey(PasskeyProof),
}

impl Proof {
    /// What is recorded of it.
    pub fn kind(&self) -> ProvenBy {
        match self {
            Self::EmailLink(_) => ProvenBy::EmailLink,
            Self::Passkey(_) => ProvenBy::Passkey,
        }
    }

    fn decided(self, note: Option<Note>, at: Timestamp) -> Decision {
        let proven_by = self.kind();
        let passkey = match self {
            Self::EmailLink(_) => None,
            Self::Passkey(proof) => Some(proof.credential().clone()),
        };
        Decision { at, proven_by, passkey, note }
    }
}

impl From<PasskeyProof> for Proof {
    fn from(proof: PasskeyProof) -> Self {
        Self::Passkey(proof)
    }
}

impl From<EmailLinkProof> for Proof {
    fn from(proof: EmailLinkProof) -> Self {
        Self::EmailLink(proof)
    }
}

impl fmt::Display for ProvenBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

text_traits!(ProvenBy);

/// The approver's words to the agent: 1 to 1,000 characters, tab and line feed allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note(String);

impl Note {
    /// From its text, or from a form's field, where a line ends in CR LF (HTML) and blank means none.
    pub fn parse(text: &str) -> Result<Option<Self>, Invalid> {
        let text = text.replace("\r\n", "\n");
        if text.trim().is_empty() {
            return Ok(None);
        }
        check_prose("note", &text, 1_000, &['\t', '\n'])?;
        Ok(Some(Self(text)))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl serde::Serialize for Note {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
