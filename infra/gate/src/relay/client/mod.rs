//! The agents in front of the gate: over standard input and output, or over HTTP.

mod conversation;
pub(crate) mod http;
mod metadata;
mod opener;
mod parameters;
mod reply;
mod routes;
mod sessions;
mod stateless;
pub(crate) mod stdio;
#[cfg(test)]
mod tests;
