//! The agent in front of the gate: over our own standard input and output, or over HTTP.

pub(crate) mod http;
pub(crate) mod stdio;
