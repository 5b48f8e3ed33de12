//! The operator's command line, as a process beside a deployment: what it says, to the letter, and what it changes.
#![expect(clippy::expect_used, reason = "a test that cannot go on should stop")]

mod approvals;
mod audit;
mod aws;
mod behind_a_proxy;
mod check;
mod doctor;
mod keys;
mod registered;
mod setting;
mod smoke;
mod transcripts;
