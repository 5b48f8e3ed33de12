//! Many at once, and everything that can break between two steps. Each test is a promise, named after what must happen.
#![expect(clippy::expect_used, reason = "a test that cannot go on should stop")]

mod crashes;
mod history;
mod limits;
mod mailing;
mod one_outcome;
mod same_request;
mod shares;
mod together;
