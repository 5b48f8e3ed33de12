//! What a deployment and its gates say to each other: three MCP tools, and `redeem`. Both sides use these types, so that
//! they read a message alike.
//!
//! A deployment and a gate are upgraded on different days. So a reader passes over *members* that it does not know, and
//! a *value* that it does not know, where there is a closed list of them (a status, a cause), is
//! [`WireError::Unknown`]: named, and refused. Nothing is used up by then, because only `redeem` uses a token up, and a
//! gate judges the token before it calls that. A proof that it does not know is refused there
//! ([`TokenRefusal::Proof`](crate::token::TokenRefusal::Proof)).

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize as _, Deserializer};
use serde_json::{Number, Value};
use thiserror::Error;

mod check_approval;
mod redeem;
mod request_approval;
mod withdraw_approval;

pub use check_approval::{CheckApprovalArguments, CheckApprovalResult, CheckedStatus};
pub use redeem::{ALREADY_REDEEMED, GateName, NO_SUCH_APPROVAL, Nonce, Receipt, RedemptionRequest};
pub use request_approval::{RequestApprovalArguments, RequestApprovalResult};
pub use withdraw_approval::{WithdrawApprovalArguments, WithdrawApprovalResult};

use crate::{Status, UndeliveredCause};

/// The tool that asks a human.
pub const REQUEST_APPROVAL: &str = "request_approval";

/// The tool that says how an approval stands, and waits for a human.
pub const CHECK_APPROVAL: &str = "check_approval";

/// The tool that takes a request back.
pub const WITHDRAW_APPROVAL: &str = "withdraw_approval";

/// In a tool error's `_meta`: the name of the limit that was reached.
pub const LIMIT_META: &str = "sayso/limit";

/// In a tool error's `_meta`: after how many seconds the same call may succeed.
pub const RETRY_AFTER_META: &str = "sayso/retry_after_seconds";

/// The longest unknown value that an error repeats, in characters.
const MAX_QUOTED: usize = 64;

/// An answer that cannot be acted on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WireError {
    /// A later version's word, where this one knows all that there were.
    #[error("its `{member}` is `{value}`, which this version does not know")]
    Unknown {
        /// Where it stands.
        member: &'static str,
        /// 1 to 64 ASCII letters, digits, `-` and `_`.
        value: String,
    },
    /// Not such a message at all.
    #[error("it is not of the expected shape")]
    Malformed,
}

/// A list of values that a later version may add to.
struct Closed {
    member: &'static str,
    knows: fn(&str) -> bool,
}

const STATUS: Closed = Closed { member: "status", knows: |word| Status::parse(word).is_ok() };
const CAUSE: Closed = Closed { member: "cause", knows: |word| UndeliveredCause::parse(word).is_ok() };

impl Closed {
    fn check(&self, content: &Value) -> Result<(), WireError> {
        let Some(word) = content[self.member].as_str().filter(|word| !(self.knows)(word)) else {
            return Ok(());
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if word.is_empty() || word.len() > MAX_QUOTED || !word.chars().all(plain) {
            return Err(WireError::Malformed);
        }
        Err(WireError::Unknown { member: self.member, value: word.to_owned() })
    }
}

/// An integer as JSON Schema has it: `3600.0` is one.
fn whole_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let Some(number) = Option::<Number>::deserialize(deserializer)? else { return Ok(None) };
    let whole = number.as_f64().filter(|double| double.fract() == 0.0 && double.abs() < 9e15);
    #[expect(clippy::cast_possible_truncation, reason = "integral and within 2^53")]
    let whole = number.as_i64().or(whole.map(|double| double as i64));
    whole.map(Some).ok_or_else(|| D::Error::custom(format!("{number} is not a whole number of seconds")))
}

fn read<T: DeserializeOwned>(content: Value, closed: &[Closed]) -> Result<T, WireError> {
    // A derived struct would also be read from an array of its members.
    if !content.is_object() {
        return Err(WireError::Malformed);
    }
    closed.iter().try_for_each(|list| list.check(&content))?;
    serde_json::from_value(content).map_err(|_| WireError::Malformed)
}
