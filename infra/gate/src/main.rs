//! `sayso-gate`: the lock as a program. It asks a human before it lets something run, and lets nothing run otherwise.

mod approval;
mod clock;
mod mcp;

fn main() {}
