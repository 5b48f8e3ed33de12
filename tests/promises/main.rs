//! The promises of docs/promises.md, each as a test that quotes it. `the_documentation_and_the_tests_promise_the_same` keeps the two
//! lists equal.

mod answering;
mod asking;
mod cost;
mod deciding;
mod documents;
mod gate;
mod promised;
mod token;
mod undeliverable;
