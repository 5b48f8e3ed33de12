//! `sayso-gate` as its users start it: the real program, as a process of its own, in front of a deployment. Each test is a
//! promise, named after what must happen.
#![expect(clippy::expect_used, reason = "a test that cannot go on should stop")]

mod interrupted;
mod kills;
mod lock;
mod outcomes;
mod pinned;
mod refused;
mod settings;
mod shown;
mod variables;
mod verify;
