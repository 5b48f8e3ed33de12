//! Rows of earlier code under today's, and rows of tomorrow's: what happens on one table while a deployment is replaced. And
//! what a deployment and a gate of different versions say to each other.
#![expect(clippy::expect_used, reason = "a test that cannot go on should stop")]

mod answers;
mod earlier;
mod fixture;
mod later;
mod write;
