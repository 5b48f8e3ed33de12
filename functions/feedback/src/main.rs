//! The feedback function, on Lambda: invoked by EventBridge, and by nothing else.

use lambda_http::{Error, LambdaEvent, lambda_runtime, service_fn};
use sayso_feedback::{Deps, record};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    sayso_cloud::log::start();
    let deps = Deps::from_env()?;
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| async {
        // An error has Lambda try again: twice, within minutes.
        record(&deps, event.payload).await.map_err(Error::from)
    }))
    .await
}
