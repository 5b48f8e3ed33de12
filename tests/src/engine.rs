use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use sayso_cloud::{Aws, Clock, Endpoints, optional, random};
use sayso_local::engine::PARTITION_KEY;
use sayso_local::host::Backends;

/// Where another DynamoDB than the embedded one answers on this machine, such as `http://127.0.0.1:4566`.
const ENDPOINT: &str = "SAYSO_DYNAMODB_ENDPOINT";

/// DynamoDB, SES and KMS for one test: all in memory, in this process; or with a table of its own in the DynamoDB that
/// `SAYSO_DYNAMODB_ENDPOINT` names. The table stays there: such an engine is started for a run of the tests.
pub async fn backends(clock: &Clock) -> Backends {
    let mut backends = Backends::start(None, clock).await.expect("backends");
    if let Some(endpoint) = optional(ENDPOINT, loopback).expect("a variable") {
        backends.endpoints.dynamodb = Some(endpoint);
        backends.table = format!("sayso-{}", random::approval_id(clock.now()));
        create_table(&backends.endpoints, &backends.table).await;
    }
    backends
}

/// The tests write tables full of nonsense, with credentials that nobody checks.
fn loopback(url: &str) -> Result<String, &'static str> {
    let is_here = url.starts_with("http://127.0.0.1:") || url.starts_with("http://localhost:");
    if is_here { Ok(url.to_owned()) } else { Err("it is not http on this machine's loopback") }
}

/// The table of `template.yaml`, as far as a function can tell; but no row expires by itself, since an engine's own sweep
/// goes by the wall clock and would take away what is open in scripted time. [`crate::World::sweep`] does it.
async fn create_table(endpoints: &Endpoints, table: &str) {
    let client = Aws::at(endpoints.clone()).dynamodb();
    let key = KeySchemaElement::builder().attribute_name(PARTITION_KEY).key_type(KeyType::Hash);
    let text = AttributeDefinition::builder().attribute_name(PARTITION_KEY);
    let create = client
        .create_table()
        .table_name(table)
        .key_schema(key.build().expect("a key"))
        .attribute_definitions(text.attribute_type(ScalarAttributeType::S).build().expect("an attribute"))
        .billing_mode(BillingMode::PayPerRequest);
    create.send().await.expect("a table");
}
