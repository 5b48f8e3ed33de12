//! Each function's binary, as Lambda runs it: started with the environment that the template gives, fed by the Runtime
//! API with a Function URL's events.
#![expect(clippy::expect_used, reason = "a test that cannot go on should stop")]

mod approval;
mod deployer;
mod deployment;
mod feedback;
mod initialization;
mod permissions;
mod processor;
mod refusals;
mod rotation;
mod template;
