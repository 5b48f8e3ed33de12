use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::invalid::check_name;
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

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

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
    /// SHA-256 of the RFC 8785 form of `{"arguments": …, "tool": …}`.
    pub fn digest(&self) -> ActionDigest {
        // Both parts are canonical already, a tool's name needs no escape, and "arguments" sorts before "tool".
        let mut hash = Sha256::new();
        hash.update(br#"{"arguments":"#);
        hash.update(self.arguments.as_str());
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
