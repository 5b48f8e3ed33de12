//! The audit export: what is recorded of approvals as JSON Lines, for keeping it longer than the table does.
//!
//! Line 1 is a header, then come the facts in one order, and the last line is the head. Every line is an RFC 8785 text and
//! carries the SHA-256 of the line before; the head carries the number of entries and the digest of the last one in a JWS
//! of its own type, under a key that signs nothing else. An export names the head of the one before it.
//!
//! **Threat.** Somebody who has the file and not the key: what they remove, change, add or reorder is found by [`Verifier`], and
//! so is an export missing between two. Not done here: anyone who may sign with the audit key and read the table can leave
//! a fact out, or invent one; an approval they cannot invent, because its token is signed by another key, and is compared with
//! what was asked and how it ended, each told once and before it.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

mod chain;
mod fact;
mod head;
mod lines;
mod tokens;
mod verifier;

pub use chain::{Chain, UnsignedHead};
pub use fact::{CorruptRow, Fact, Kind};
pub use verifier::{Finding, Verified, Verifier};

use crate::token::Issuer;
use crate::{Invalid, Timestamp};

/// The `format` of the header.
pub const FORMAT: &str = "sayso-audit/1";

/// The `typ` of the head's JWS: no approval token can pass for a head, nor a head for a token.
pub const TYPE: &str = "sayso-audit+jws";

/// How long before now a range must end, so that no fact with an earlier time is still to be written: AWS refuses calls of an
/// operator whose clock is five minutes off, a function runs for 85 s at most, and its clock may be a minute off.
pub const SETTLING: Duration = Duration::from_secs(600);

/// The longest line, in bytes: above that of a request with 64 KiB of arguments, every character of which is escaped twice.
pub const MAX_LINE: usize = 1024 * 1024;

/// Which facts are in an export: those whose own time is in it. Ranges that follow each other share no fact and miss none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    from: Option<Timestamp>,
    to: Timestamp,
}

impl Range {
    /// From `from` (the beginning, if none) until just before `to`.
    pub fn new(from: Option<Timestamp>, to: Timestamp) -> Result<Self, Invalid> {
        match from {
            Some(from) if from >= to => Err(Invalid::new(format!(
                "a range from {from} to {to} is empty: it must end after it begins"
            ))),
            _ => Ok(Self { from, to }),
        }
    }

    /// Its first moment; none is the beginning of all.
    pub fn from(&self) -> Option<Timestamp> {
        self.from
    }

    /// The first moment after it.
    pub fn to(&self) -> Timestamp {
        self.to
    }

    /// Whether a fact of this time belongs to it.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at) && at < self.to
    }
}

/// SHA-256 of a line's bytes without its line feed. `Display` is base64url without padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineDigest([u8; 32]);

impl LineDigest {
    /// Of a line.
    pub fn of(line: &[u8]) -> Self {
        Self(Sha256::digest(line).into())
    }

    fn parse(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }
}

impl fmt::Display for LineDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// What the first line says: of which deployment an export is, and what should be in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The table's name.
    pub table: String,
    /// Who signed the approval tokens.
    pub issuer: Issuer,
    /// Whose facts.
    pub range: Range,
    /// The head of the export before this one.
    pub previous: Option<LineDigest>,
}

/// The RFC 8785 text of a value that this module made or has read in the strict profile.
#[expect(clippy::expect_used, reason = "strings, lists, objects and whole numbers cannot fail to serialise")]
fn canonical(value: &Value) -> String {
    serde_json_canonicalizer::to_string(value).expect("a value without floating-point numbers")
}
