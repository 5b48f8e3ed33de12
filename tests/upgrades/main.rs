//! Rows of earlier code under today's, and rows of tomorrow's: what happens on one table while a deployment is replaced.
#![expect(clippy::expect_used, reason = "a test that cannot go on should stop")]

mod earlier;
mod fixture;
mod later;
mod write;
