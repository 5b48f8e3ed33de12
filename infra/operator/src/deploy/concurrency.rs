//! Whether the account has enough concurrent executions for the deployment's reservations.

use sayso_cloud::{Aws, Failure};

use super::finding::Findings;
use super::region;

/// How many must stay unreserved in an account (Lambda Developer Guide, "Configuring reserved concurrency").
const STAYS_UNRESERVED: i32 = 100;

/// `waits` is how many checks of one agent can wait at a time.
pub(super) async fn look(aws: &Aws, reserve: u16, waits: u8, findings: &mut Findings) {
    const CHECK: &str = "concurrency";
    let call = "lambda:GetAccountSettings";
    let settings = aws_sdk_lambda::Client::new(aws.config()).get_account_settings().send().await;
    let limit = settings.map_err(|e| Failure::call(call, &e)).and_then(|settings| {
        settings
            .account_limit
            .ok_or_else(|| Failure::Call { call, code: "no limits in the answer".to_owned() })
    });
    let limit = match limit {
        Ok(limit) => limit,
        Err(failure) => return findings.unread(CHECK, &failure, "the Lambda console, Dashboard"),
    };
    let most = limit.concurrent_executions;
    let unreserved = limit.unreserved_concurrent_executions.unwrap_or(most);
    let free = (unreserved - STAYS_UNRESERVED).max(0);
    let found = format!("{most} at a time, {unreserved} of them unreserved: {free} can be reserved");
    if most < STAYS_UNRESERVED && free < i32::from(reserve).max(1) {
        let found = format!(
            "{found}. Agents that wait for an answer can hold all of them: page, decide and redeem then answer 429"
        );
        let raise = raise(region(aws));
        if waits == 1 {
            return findings.attention(
                CHECK,
                found,
                format!("ask for more before many agents depend on this: {raise}. Each of them holds one while it waits, 20 s at most"),
            );
        }
        return findings.failed(
            CHECK,
            found,
            format!("ask for more before anybody depends on this: {raise}. Until then deploy with the …Concurrency parameters at 0 (checks wait 20 s at most) and WaitsPerAgent at 1 (then --waits-per-agent 1)"),
        );
    }
    if reserve == 0 {
        return findings.well(CHECK, found);
    }
    if free >= i32::from(reserve) {
        return findings.well(CHECK, format!("{found}, and {reserve} are needed"));
    }
    let raise = raise(region(aws));
    findings.attention(
        CHECK,
        format!("{found}, but {reserve} are needed"),
        format!(
            "deploy with the …Concurrency parameters at 0, and ask for more: {raise}, or Service Quotas, AWS Lambda, Concurrent executions. If the deployment has reserved its share already, add --reserve 0"
        ),
    );
}

fn raise(region: &str) -> String {
    format!(
        "`aws service-quotas request-service-quota-increase --service-code lambda --quota-code L-B99A9384 --desired-value 1000 --region {region}`"
    )
}
