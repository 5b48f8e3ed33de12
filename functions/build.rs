//! Refuses to build a function for the processor of the machine that builds it: it would end on Lambda's with
//! `Illegal instruction`, at its first call and not before. The flag may come from anywhere, a Cargo configuration in the
//! user's home among it.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "Cargo speaks to a build script by its environment"
)]

use std::env;
use std::process::exit;

fn main() {
    println!("cargo:rerun-if-changed=../build.rs");
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let is_native = flags.split('\u{1f}').any(|flag| flag.ends_with("target-cpu=native"));
    if is_native && env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        eprintln!(
            "target-cpu=native is in RUSTFLAGS or in a Cargo configuration: on Lambda's processors this would end with `Illegal instruction`. Build without it: CARGO_ENCODED_RUSTFLAGS= sam build"
        );
        exit(1);
    }
}
