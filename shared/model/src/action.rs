use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::invalid::check_name;
use crate::text::from_text;
use crate::{CanonicalJson, Invalid};

/// The name of what would be executed: 1 to 128 of the characters MCP allows in a tool's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolName(String);

impl ToolName {
    /// Refuses what MCP does not allow as a tool's name, so no look-alike letter can pass for another.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        check_name("tool", text, 128, "_-./:")?;
        Ok(Self(text.to_owned()))
    }

    /// As [`ToolName::parse`], for a name that is asked for now: it also refuses what people and mail programs read as
    /// an address. A name like `files.read` is one that servers give, and at once a host's: it stays, and whatever shows
    /// a name makes no link of it. Rows that were written before may hold any name.
    pub fn asked(text: &str) -> Result<Self, Invalid> {
        let name = Self::parse(text)?;
        if reads_as_an_address(text) {
            return Err(Invalid::new(
                "`tool` reads as a web address: name what would be executed, like `delete_volume` or `volumes.delete`, and pass an address in `arguments`",
            ));
        }
        Ok(name)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A scheme, a second slash, or a host in front: one that says `www`, an IPv4 address, a name with a port, or one of the
/// three endings that stand for "a web address" and for nothing else.
fn reads_as_an_address(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let host = lower.split(['/', ':']).next().unwrap_or_default();
    let rest = &lower[host.len()..];
    let port = rest.strip_prefix(':').map(|rest| rest.split('/').next().unwrap_or_default());
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let labels: Vec<&str> = host.split('.').filter(|label| !label.is_empty()).collect();
    let dotted = labels.len() > 1;
    lower.contains("//")
        || lower.split('/').any(|part| part.starts_with("www."))
        || (labels.len() == 4 && labels.iter().all(|label| is_number(label)))
        || (dotted && port.is_some_and(is_number))
        || (dotted && labels.last().is_some_and(|last| matches!(*last, "com" | "net" | "org")))
}

from_text!(ToolName);

impl fmt::Display for ToolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What would be executed. This, and nothing an agent says about it, is what a decision binds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// Which tool.
    pub tool: ToolName,
    /// With which arguments, in the form that is hashed, shown and executed.
    pub arguments: CanonicalJson,
}

impl Action {
    /// SHA-256 of the RFC 8785 form of `{"arguments": …, "tool": …}`. Arguments with integers beyond ±(2^53−1) have none: with
    /// them it is that of `{"arguments": …, "integers": "exact", "tool": …}`, each such integer as it is written. A verifier
    /// that knows RFC 8785 alone might round one onto another, and so it never finds this digest.
    pub fn digest(&self) -> ActionDigest {
        // Both parts are canonical already, a tool's name needs no escape, and the names are sorted.
        let mut hash = Sha256::new();
        hash.update(br#"{"arguments":"#);
        hash.update(self.arguments.as_str());
        if self.arguments.has_large_integers() {
            hash.update(br#","integers":"exact""#);
        }
        hash.update(br#","tool":""#);
        hash.update(self.tool.as_str());
        hash.update(br#""}"#);
        ActionDigest(hash.finalize().into())
    }
}

/// An action's digest. `Display` is base64url without padding; equality takes constant time.
#[derive(Debug, Clone, Copy, Eq)]
pub struct ActionDigest([u8; 32]);

impl ActionDigest {
    /// From its text: 43 characters of base64url.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| Invalid::new("a digest is 43 characters of base64url without padding"))
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

from_text!(ActionDigest);

impl PartialEq for ActionDigest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Display for ActionDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::ToolName;

    #[test]
    fn a_tool_that_is_asked_for_is_not_called_like_an_address() {
        let addresses = [
            "https://evil.example/approve",
            "x://y",
            "//evil.example",
            "www.evil.example",
            "WWW.evil.io",
            "ok/www.evil.io",
            "evil.com",
            "EVIL.COM/approve",
            "evil.org.",
            "192.0.2.7",
            "192.0.2.7/ok",
            "evil.example:8443/ok",
        ];
        for name in addresses {
            assert!(ToolName::asked(name).is_err(), "{name}");
            assert!(ToolName::parse(name).is_ok(), "{name}: an earlier row may hold it");
        }
        let names = [
            "delete_volume",
            "volumes.delete",
            "files.read",
            "docker.ps",
            "github/create_issue",
            "acme.billing/refund",
            "ns:tool",
            "com.example.billing/refund",
            "v1.2.3",
            "db.v2:drop",
            "a_tool_with_a_very_long_name.that.goes/on:and_on",
        ];
        for name in names {
            assert!(ToolName::asked(name).is_ok(), "{name}");
        }
    }
}
