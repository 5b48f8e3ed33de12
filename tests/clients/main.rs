//! The local host as its users have it: the program itself, started from a shell, asked by clients that are not ours.
#![expect(clippy::expect_used, reason = "a test that cannot go on should stop")]

mod kills;
mod python;
mod ready;
