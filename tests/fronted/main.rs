//! `sayso-gate mcp` between clients and servers that are not ours: the Python client and the Inspector before it, three
//! public servers of two languages and both protocol eras behind it.
#![expect(clippy::expect_used, reason = "a test that cannot go on should stop")]

mod gated;
mod inspector;
mod same;
mod setting;
