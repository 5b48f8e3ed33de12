use std::fmt;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use ulid::Ulid;

use crate::invalid::check_prose;
use crate::text::text_traits;
use crate::{
    Action, AgentName, ApproverId, Audience, Invalid, LinkSecretHash, Timestamp, TokenLifetime, ToolName,
};

/// What an agent asked, complete and never changed afterwards.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Locates the approval; no authority.
    pub id: ApprovalId,
    /// Who asked, and who alone may check.
    pub agent: AgentName,
    /// Who was asked.
    pub approver: ApproverId,
    /// The gate the token will be for.
    pub audience: Audience,
    /// What would be executed.
    pub action: Action,
    /// The agent's words.
    pub summary: Summary,
    /// The agent's words.
    pub reason: Option<Reason>,
    /// When it was asked.
    pub created_at: Timestamp,
    /// From this moment on nobody can decide.
    pub closes_at: Timestamp,
    /// How long a token will be valid: fixed when asked, so that the page says what will be signed.
    pub token_lifetime: TokenLifetime,
    /// Of the link in the first mail.
    pub link_secret_hash: LinkSecretHash,
}

impl Request {
    /// Whether another request of the same agent follows this one: it is for the same tool, and was not made before it.
    pub fn is_followed_by(&self, other: ApprovalId, tool: &ToolName) -> bool {
        self.id != other && self.action.tool == *tool && self.created_at <= other.made_at()
    }

    /// Of everything a page shows: what an approver has read, to the letter.
    pub fn fingerprint(&self) -> RequestFingerprint {
        let fields = [
            self.id.to_string(),
            self.agent.to_string(),
            self.approver.to_string(),
            self.audience.to_string(),
            self.action.digest().to_string(),
            self.summary.as_str().to_owned(),
            self.reason.as_ref().map(|reason| reason.as_str().to_owned()).unwrap_or_default(),
            self.created_at.to_string(),
            self.closes_at.to_string(),
            self.token_lifetime.duration().as_secs().to_string(),
        ];
        let mut hash = Sha256::new();
        for field in fields {
            // Each with its length, so that no text can move from one field to the next.
            hash.update(u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(field);
        }
        RequestFingerprint(hash.finalize().into())
    }
}

/// SHA-256 over everything a page shows of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestFingerprint([u8; 32]);

impl RequestFingerprint {
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// An approval's id: a ULID in its one canonical spelling (26 upper-case characters).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApprovalId(Ulid);

impl ApprovalId {
    /// From the time and 80 random bits (the upper 48 bits of `random` are not used).
    pub fn new(now: Timestamp, random: u128) -> Self {
        let milliseconds = u64::try_from(now.as_unix_seconds()).unwrap_or_default().saturating_mul(1000);
        Self(Ulid::from_parts(milliseconds, random))
    }

    /// When it was made, as the id itself says.
    pub fn made_at(self) -> Timestamp {
        let seconds = i64::try_from(self.0.timestamp_ms() / 1000).unwrap_or(i64::MAX);
        Timestamp::from_unix_seconds(seconds).unwrap_or(Timestamp::LATEST)
    }

    /// From its text; other spellings of the same ULID are refused, so one approval has one id.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match Ulid::from_string(text) {
            Ok(ulid) if ulid.to_string() == text => Ok(Self(ulid)),
            _ => Err(Invalid::new(
                "`approval_id` must be the 26-character id that request_approval returned, like 01JD3V8Q5Z7XW2N4M6K8P0R1ST",
            )),
        }
    }
}

impl fmt::Display for ApprovalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

text_traits!(ApprovalId);

macro_rules! prose {
    ($(#[$doc:meta])* $type:ident, $name:literal, $most:literal, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $type(String);

        impl $type {
            /// From its text.
            pub fn parse(text: &str) -> Result<Self, Invalid> {
                check_prose($name, text, $most, $allowed)?;
                Ok(Self(text.to_owned()))
            }

            /// The text, as written: untrusted.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        text_traits!($type);
    };
}

prose! {
    /// What the agent says it is about to do: one line, 1 to 500 characters.
    Summary, "summary", 500, &[]
}
prose! {
    /// Why the agent says it wants to: 1 to 2,000 characters, tab and line feed allowed.
    Reason, "reason", 2_000, &['\t', '\n']
}

/// How long a request stays open: 60 seconds to 7 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpiresIn(Duration);

impl ExpiresIn {
    /// A week.
    pub const LONGEST: Duration = Duration::from_secs(604_800);

    /// `seconds` from 60 to 604,800.
    pub fn from_seconds(seconds: i64) -> Result<Self, Invalid> {
        match u64::try_from(seconds) {
            Ok(fits) if (60..=604_800).contains(&fits) => Ok(Self(Duration::from_secs(fits))),
            _ => Err(Invalid::new(format!(
                "`expires_in_seconds` must be 60 to 604800 (a minute to a week), not {seconds}"
            ))),
        }
    }

    /// The time.
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl Default for ExpiresIn {
    /// One hour.
    fn default() -> Self {
        Self(Duration::from_secs(3600))
    }
}

/// The agent's own name for one request, so that a retry is known as one: 1 to 200 characters without control
/// characters. Kept only as a hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// From its text.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        check_prose("idempotency_key", text, 200, &[])?;
        Ok(Self(text.to_owned()))
    }

    /// SHA-256 in lower-case hexadecimal: a fixed-size part of a table key whatever the agent wrote.
    pub fn hash(&self) -> String {
        base16ct::lower::encode_string(&Sha256::digest(self.0.as_bytes()))
    }
}
