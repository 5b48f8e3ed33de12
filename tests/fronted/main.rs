//! `sayso-gate mcp` between real clients and real servers, as processes.

mod closed;
mod crashes;
mod exact;
mod raw;
mod story;
