//! The promises of the README, each as a test that quotes it. `the_readme_and_the_tests_promise_the_same` keeps the two
//! lists equal.

mod answering;
mod asking;
mod cost;
mod deciding;
mod gate;
mod readme;
mod token;
mod undeliverable;
