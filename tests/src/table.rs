use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use sayso_cloud::Aws;
use sayso_local::host::Backends;

use crate::World;

/// A row as DynamoDB has it.
pub type Row = HashMap<String, AttributeValue>;

/// The table itself, behind the functions' backs: what somebody with rights to it can do. Not seen by the [`crate::Tap`].
#[derive(Clone)]
pub struct Table {
    client: Client,
    name: String,
}

impl World {
    /// The table behind the functions' backs.
    pub fn table(&self) -> Table {
        Table::of(&self.backends)
    }

    /// Deletes the rows whose time is up, as DynamoDB does within days: as somebody with rights to the table could.
    pub async fn sweep(&self) {
        self.table().delete_before(self.clock.now().as_unix_seconds()).await;
    }
}

impl Table {
    /// The table of any deployment.
    pub fn of(backends: &Backends) -> Self {
        let client = Aws::at(backends.endpoints.clone()).dynamodb();
        Self { client, name: backends.table.clone() }
    }

    /// The client, for anything else.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Every row.
    pub async fn rows(&self) -> Vec<Row> {
        let mut pages = self.client.scan().table_name(&self.name).into_paginator().send();
        let mut rows = Vec::new();
        while let Some(page) = pages.next().await {
            rows.extend(page.expect("a page").items.unwrap_or_default());
        }
        rows
    }

    /// The keys that begin with `prefix`, sorted.
    pub async fn keys(&self, prefix: &str) -> Vec<String> {
        let rows = self.rows().await;
        let mut keys: Vec<String> = rows.iter().map(|row| string(row, "pk")).collect();
        keys.retain(|key| key.starts_with(prefix));
        keys.sort();
        keys
    }

    /// One row.
    pub async fn row(&self, pk: &str) -> Option<Row> {
        let key = AttributeValue::S(pk.to_owned());
        let get = self.client.get_item().table_name(&self.name).key("pk", key).consistent_read(true);
        get.send().await.expect("an answer").item
    }

    /// Writes a row over whatever is there.
    pub async fn put(&self, row: Row) {
        self.client.put_item().table_name(&self.name).set_item(Some(row)).send().await.expect("a write");
    }

    /// Takes a row away.
    pub async fn delete(&self, pk: &str) {
        let key = AttributeValue::S(pk.to_owned());
        self.client.delete_item().table_name(&self.name).key("pk", key).send().await.expect("a write");
    }

    async fn delete_before(&self, now: i64) {
        for row in self.rows().await {
            if number(&row, "ttl") >= now || !row.contains_key("ttl") {
                continue;
            }
            let delete = self.client.delete_item().table_name(&self.name).key("pk", row["pk"].clone());
            let still_due = delete
                .condition_expression("#ttl < :now")
                .expression_attribute_names("#ttl", "ttl")
                .expression_attribute_values(":now", AttributeValue::N(now.to_string()));
            if let Err(error) = still_due.send().await {
                // Replaced since it was read.
                assert!(error.into_service_error().is_conditional_check_failed_exception(), "no write");
            }
        }
    }
}

/// A text of a row; empty when it is not there.
pub fn string(row: &Row, attribute: &str) -> String {
    row.get(attribute).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default()
}

/// A whole number of a row; zero when it is not there.
pub fn number(row: &Row, attribute: &str) -> i64 {
    let number = row.get(attribute).and_then(|value| value.as_n().ok());
    number.and_then(|digits| digits.parse().ok()).unwrap_or_default()
}
