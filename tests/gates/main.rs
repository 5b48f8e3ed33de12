//! The gate library and `POST /redeem` over real HTTP: what lets one action run once, and everything that does not.
#![expect(clippy::expect_used, reason = "a test that cannot go on should stop")]

mod actions;
mod answers;
mod asking;
mod bad_tokens;
mod broken_lines;
mod keys;
mod once;
mod recorded;
#[expect(unreachable_pub, reason = "it stands in docs/verifying.md as others would use it")]
mod verify;
mod verifying;
