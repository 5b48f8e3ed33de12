//! What people see, in a real browser: every page on a phone and on a desktop, in light and in dark. The pictures are
//! kept in target/screenshots.
#![expect(clippy::expect_used, reason = "a test that cannot go on should stop")]

mod audited;
mod framed;
mod keyboard;
mod looks;
mod picture;
mod scenes;
