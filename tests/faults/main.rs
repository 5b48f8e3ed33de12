//! What breaks outside of Sayso, and what everybody is told then: the rows of `docs/failures.md`, each of them played, and
//! every word that the document quotes held against what was said.
#![expect(clippy::expect_used, reason = "a test that cannot go on should stop")]

mod at_start;
mod clocks;
mod cold_starts;
#[path = "../runtime/deployment.rs"]
#[expect(dead_code, reason = "the runtime suite's own: a part of it is enough here")]
mod deployment;
mod document;
mod elsewhere;
mod frozen;
mod life;
mod limits;
mod mails;
mod reports;
mod services;
