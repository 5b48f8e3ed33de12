use aws_sdk_dynamodb::types::{KeyType, PointInTimeRecoveryStatus, SseStatus};

use super::Registry;
use crate::Failure;

/// The table's settings, as DynamoDB describes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableHealth {
    /// `ACTIVE` when it can be used.
    pub status: String,
    /// Whether its one key is `pk`, as Sayso's is.
    pub is_keyed: bool,
    /// Whether deletion protection is on.
    pub is_protected: bool,
    /// Whether a KMS key encrypts it, and not a DynamoDB-owned key.
    pub is_encrypted_by_kms: bool,
}

/// The table's time to live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiry {
    /// `ENABLED`, `DISABLED`, or a change to one of them.
    pub status: String,
    /// The attribute that holds the time of deletion.
    pub attribute: Option<String>,
}

impl Registry {
    /// Reads the table's settings.
    pub async fn table_health(&self) -> Result<TableHealth, Failure> {
        let call = "dynamodb:DescribeTable";
        let answer = self.client.describe_table().table_name(&self.table).send().await;
        let table = answer.map_err(|e| Failure::call(call, &e))?.table;
        let table = table.ok_or_else(|| Failure::Call { call, code: "no table in the answer".to_owned() })?;
        let keyed = |key: &aws_sdk_dynamodb::types::KeySchemaElement| {
            key.attribute_name == "pk" && key.key_type == KeyType::Hash
        };
        let encryption = table.sse_description.as_ref().and_then(|encryption| encryption.status.as_ref());
        Ok(TableHealth {
            status: table.table_status.as_ref().map_or("unknown", |status| status.as_str()).to_owned(),
            is_keyed: table.key_schema().len() == 1 && table.key_schema().iter().all(keyed),
            is_protected: table.deletion_protection_enabled == Some(true),
            is_encrypted_by_kms: encryption == Some(&SseStatus::Enabled),
        })
    }

    /// Reads the table's time to live.
    pub async fn expiry(&self) -> Result<Expiry, Failure> {
        let answer = self.client.describe_time_to_live().table_name(&self.table).send().await;
        let answer = answer.map_err(|e| Failure::call("dynamodb:DescribeTimeToLive", &e))?;
        let expiry = answer.time_to_live_description;
        let status = expiry.as_ref().and_then(|expiry| expiry.time_to_live_status.as_ref());
        Ok(Expiry {
            status: status.map_or("unknown", |status| status.as_str()).to_owned(),
            attribute: expiry.as_ref().and_then(|expiry| expiry.attribute_name.clone()),
        })
    }

    /// Whether point-in-time recovery is on.
    pub async fn is_backed_up(&self) -> Result<bool, Failure> {
        let answer = self.client.describe_continuous_backups().table_name(&self.table).send().await;
        let answer = answer.map_err(|e| Failure::call("dynamodb:DescribeContinuousBackups", &e))?;
        let recovery = answer.continuous_backups_description;
        let recovery = recovery.and_then(|backups| backups.point_in_time_recovery_description);
        let status = recovery.and_then(|recovery| recovery.point_in_time_recovery_status);
        Ok(status == Some(PointInTimeRecoveryStatus::Enabled))
    }
}
