//! The enrol function on Lambda.

use sayso_cloud::log::{self, not_started};
use sayso_enrol::{Deps, router};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    log::start();
    let deps = Deps::from_env().await.inspect_err(not_started)?;
    lambda_http::run(router(deps)).await
}
