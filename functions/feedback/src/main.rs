//! The feedback function, on Lambda: invoked by EventBridge, and by nothing else.

use lambda_http::{Error, LambdaEvent, lambda_runtime, service_fn};
use sayso_cloud::log::{self, not_started};
use sayso_feedback::{Deps, record};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    log::start();
    let deps = Deps::from_env().inspect_err(not_started)?;
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| async {
        // An error has Lambda try again: twice, within minutes.
        record(&deps, event.payload).await.map_err(Error::from)
    }))
    .await
}
