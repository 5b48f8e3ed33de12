//! Logs, one line an event. Only Sayso's own events, which carry ids and codes;
//! the SDK's could carry a link or an address.

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Starts logging to standard output, in JSON. Without `timestamp` and `level`, Lambda takes a line for one of its own making
/// (Lambda Developer Guide, "Log-level filtering"). Call once, first thing in `main`.
pub fn start() {
    let format = tracing_subscriber::fmt::layer().json().flatten_event(true);
    tracing_subscriber::registry().with(own_events()).with(format).init();
}

/// Starts logging to standard error, for a person at a terminal.
pub fn start_on_stderr() {
    let format = tracing_subscriber::fmt::layer().compact().without_time().with_writer(std::io::stderr);
    tracing_subscriber::registry().with(own_events()).with(format).init();
}

fn own_events() -> Targets {
    Targets::new().with_target("sayso", Level::INFO)
}

/// Logs that a function cannot start, as an event that the alarm counts. (Rust prints an `Err` of `main` as plain text, which the
/// alarm does not count.)
pub fn not_started(error: &impl std::fmt::Display) {
    tracing::error!(failure = %error, "the function cannot start");
}
