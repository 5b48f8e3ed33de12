//! `sayso-gate mcp` as a process, from both sides: between clients and servers that are not ours (the Python client and the
//! Inspector before it, three public servers of two languages and both protocol eras behind it), and with raw lines of ours.
#![expect(clippy::expect_used, reason = "a test that cannot go on should stop")]

mod closed;
mod crashes;
mod exact;
mod gated;
mod inspector;
mod raw;
mod revised;
mod same;
mod setting;
mod story;
