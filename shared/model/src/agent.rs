use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::Invalid;
use crate::invalid::check_name;
use crate::text::from_text;

/// What the operator registered for one agent key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Owns the approvals: an agent's keys may be many, and may change.
    pub name: AgentName,
    /// Who decides. The operator's choice, never the agent's.
    pub approver: Approver,
    /// The gates the agent may ask for.
    pub audiences: Audiences,
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $field:literal, $most:literal, $punctuation:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(String);

        impl $type {
            /// From its text.
            pub fn parse(text: &str) -> Result<Self, Invalid> {
                check_name($field, text, $most, $punctuation)?;
                Ok(Self(text.to_owned()))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        from_text!($type);

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// The operator's name for an agent, shown to approvers: 1 to 64 ASCII letters, digits, `_`, `-`, `.`.
    AgentName, "agent name", 64, "_-."
}

impl AgentName {
    /// The first 32 bits of its SHA-256, in hexadecimal: tells agents apart where counting them has to be short. Two agents
    /// with one tag share what is counted.
    pub fn tag(&self) -> String {
        base16ct::lower::encode_string(&Sha256::digest(self.as_str())[..4])
    }
}
name! {
    /// A pseudonymous id of an approver: in tokens and records, where the address never is.
    ApproverId, "approver id", 64, "_-"
}
name! {
    /// The gate a token is for, as in the `aud` of RFC 7519: 1 to 128 ASCII letters, digits, `_-.:/`.
    Audience, "audience", 128, "_-.:/"
}

/// The gates an agent may ask for: one at least; the first is meant when the agent names none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audiences(Vec<Audience>);

impl Audiences {
    /// Refuses an empty list.
    pub fn new(audiences: Vec<Audience>) -> Result<Self, Invalid> {
        if audiences.is_empty() {
            Err(Invalid::new("an agent needs at least one audience"))
        } else {
            Ok(Self(audiences))
        }
    }

    /// The audience an agent asked for, or the first; refuses one that the operator did not allow.
    pub fn choose(&self, asked: Option<&str>) -> Result<&Audience, Invalid> {
        let found = match asked {
            None => self.0.first(),
            Some(asked) => self.0.iter().find(|audience| audience.as_str() == asked),
        };
        found.ok_or_else(|| {
            let allowed = self.0.iter().map(Audience::as_str).collect::<Vec<_>>().join("`, `");
            Invalid::new(format!("`audience` must be one the operator allowed this agent: `{allowed}`; leave it out for the first"))
        })
    }

    /// All of them, the default first.
    pub fn iter(&self) -> impl Iterator<Item = &Audience> {
        self.0.iter()
    }
}

/// The human who decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approver {
    /// For tokens and records.
    pub id: ApproverId,
    /// Where the question goes.
    pub email: EmailAddress,
}

/// An address a mail can be sent to, in a conservative subset of RFC 5321: ASCII, no quoting, no comments, so that
/// it is safe in a header. `Debug` is masked and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// From its text.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
        let label = |l: &str| {
            !l.is_empty()
                && l.len() <= 63
                && !l.starts_with('-')
                && !l.ends_with('-')
                && l.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        };
        let fits = text.rsplit_once('@').is_some_and(|(local, domain)| {
            let dots = local.starts_with('.') || local.ends_with('.') || local.contains("..");
            !local.is_empty()
                && local.len() <= 64
                && local.chars().all(atom)
                && !dots
                && domain.split('.').all(label)
        });
        if fits && text.len() <= 254 {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new("an e-mail address must look like name@example.com, in ASCII"))
        }
    }

    /// The address itself: for the mail's envelope and for storage, never for a log or an agent.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// `no-reply@` the same domain: where an answer belongs that nobody reads. Where that is too long to be an address,
    /// the address itself.
    pub fn no_reply(&self) -> Self {
        let domain = self.0.rsplit_once('@').map_or("", |(_, domain)| domain);
        Self::parse(&format!("no-reply@{domain}")).unwrap_or_else(|_| self.clone())
    }

    /// For an agent or a page: `a•••@example.com`.
    pub fn masked(&self) -> String {
        let (local, domain) = self.0.rsplit_once('@').unwrap_or_default();
        let first = local.chars().next().unwrap_or('•');
        format!("{first}•••@{domain}")
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

/// An agent's bearer key, as the agent presents it. Shown once when it is made, kept only as an [`AgentKeyHash`].
#[derive(Clone)]
pub struct AgentKey(String);

impl AgentKey {
    /// A key as received: the `b64token` of RFC 6750, at most 256 characters.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let body = text.trim_end_matches('=');
        check_name("agent key", body, 256, "-._~+/")?;
        Ok(Self(text.to_owned()))
    }

    /// A new key from 32 random bytes.
    pub fn from_random(bytes: [u8; 32]) -> Self {
        use base64::Engine as _;
        Self(format!("sayso_agent_{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The key itself, to be shown once, to the person who configures the agent.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is stored. One SHA-256 is enough: the key is 256 random bits, not a password.
    pub fn hash(&self) -> AgentKeyHash {
        AgentKeyHash(Sha256::digest(self.0.as_bytes()).into())
    }
}

impl fmt::Debug for AgentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AgentKey(…)")
    }
}

/// SHA-256 of an agent key. `Display` is lower-case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AgentKeyHash([u8; 32]);

impl AgentKeyHash {
    /// From its text: 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let digit = |c: u8| char::from(c).to_digit(16).filter(|_| !c.is_ascii_uppercase());
        let byte = |pair: &[u8]| match pair {
            [high, low] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
            _ => None,
        };
        let bytes = text.as_bytes().chunks(2).map(byte).collect::<Option<Vec<_>>>();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| Invalid::new("a key's hash is 64 lower-case hexadecimal digits"))
    }
}

from_text!(AgentKeyHash);

from_text!(AgentKey);

from_text!(EmailAddress);

impl fmt::Display for AgentKeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base16ct::lower::encode_string(&self.0))
    }
}

impl fmt::Debug for AgentKeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AgentKeyHash(…)")
    }
}
