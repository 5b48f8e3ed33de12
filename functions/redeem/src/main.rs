//! The redeem function on Lambda.

use sayso_redeem::{Deps, router};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    sayso_cloud::log::start();
    lambda_http::run(router(Deps::from_env().await?)).await
}
