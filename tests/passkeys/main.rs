//! Passkeys: an approver enrols one by invitation, and approves with it; and everything that is no passkey of theirs.
#![expect(clippy::expect_used, reason = "a test that cannot go on should stop")]

mod attacks;
mod roads;
mod setting;
