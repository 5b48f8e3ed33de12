//! The deployment's table, as DynamoDB describes it.

use sayso_cloud::operator::{Registry, TableHealth};

use super::finding::Findings;

const CONSOLE: &str = "the DynamoDB console, Tables";

pub(super) async fn look(registry: &Registry, findings: &mut Findings) {
    match registry.table_health().await {
        Ok(health) => described(&health, findings),
        Err(failure) => findings.unread("table", &failure, CONSOLE),
    }
    match registry.expiry().await {
        Err(failure) => findings.unread("expiry", &failure, CONSOLE),
        Ok(expiry) if expiry.status == "ENABLED" && expiry.attribute.as_deref() == Some("ttl") => {
            findings.well("expiry", "rows are deleted after their `ttl`");
        }
        Ok(expiry) => findings.attention(
            "expiry",
            format!("{}, by {}", expiry.status, expiry.attribute.as_deref().unwrap_or("no attribute")),
            "answered approvals are kept forever. Unless you want that (docs/deploying.md, taking it down), run `aws dynamodb update-time-to-live --time-to-live-specification Enabled=true,AttributeName=ttl --table-name …`",
        ),
    }
    match registry.is_backed_up().await {
        Err(failure) => findings.unread("backups", &failure, CONSOLE),
        Ok(true) => findings.well("backups", "it can be restored to any moment of its recovery period"),
        Ok(false) => findings.attention(
            "backups",
            "point-in-time recovery is off",
            "deploy the template again, or `aws dynamodb update-continuous-backups --point-in-time-recovery-specification PointInTimeRecoveryEnabled=true --table-name …`",
        ),
    }
}

fn described(health: &TableHealth, findings: &mut Findings) {
    if !health.is_keyed {
        let found = "its key is not `pk`: this is not a table of Sayso's";
        return findings.failed("table", found, "compare --table with the stack's output TableName");
    }
    match health.status.as_str() {
        "ACTIVE" => findings.well("table", "is active"),
        "UPDATING" => findings.attention("table", "is being updated", "run it again when that is done"),
        other => findings.failed("table", format!("is {other}"), format!("look at {CONSOLE}")),
    }
    if health.is_protected {
        findings.well("protection", "deletion protection is on");
    } else {
        findings.attention(
            "protection",
            "deletion protection is off",
            "deploy the template again, or `aws dynamodb update-table --deletion-protection-enabled --table-name …`",
        );
    }
    if health.is_encrypted_by_kms {
        findings.well("encryption", "with a key in AWS KMS");
    } else {
        findings.attention(
            "encryption",
            "with a DynamoDB-owned key, whose use CloudTrail does not show",
            "deploy the template again, or `aws dynamodb update-table --sse-specification Enabled=true --table-name …`",
        );
    }
}
