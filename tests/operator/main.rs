//! The operator's command line, as a process beside a deployment: what it says, to the letter, and what it changes.

mod approvals;
mod doctor;
mod keys;
mod registered;
mod setting;
mod transcripts;
