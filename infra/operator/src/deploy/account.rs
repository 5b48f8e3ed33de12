//! Which account it is, and whether its region has what the template needs.

use sayso_cloud::{Aws, Failure};

use super::finding::Findings;
use super::region;

/// Regions without Lambda Function URLs, as AWS lists them (Lambda Developer Guide, "Creating and managing Lambda function
/// URLs", November 2026). The list gets shorter with time, so this is only a warning.
const WITHOUT_FUNCTION_URLS: [&str; 11] = [
    "ap-east-2",
    "ap-south-2",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-west-1",
    "eu-central-2",
    "eu-south-2",
    "il-central-1",
    "me-central-1",
];

/// KMS and its elliptic-curve keys are in every region, so they are not checked.
pub(super) async fn look(aws: &Aws, findings: &mut Findings) {
    let caller = aws_sdk_sts::Client::new(aws.config()).get_caller_identity().send().await;
    match caller.map_err(|e| Failure::call("sts:GetCallerIdentity", &e)) {
        Ok(caller) => {
            let found = format!("{}, in {}", caller.account().unwrap_or("unknown"), region(aws));
            if caller.arn().is_some_and(|arn| arn.ends_with(":root")) {
                let advice = "deploy as a role with the permissions in docs/deploying.md, and keep no access keys of the root user";
                findings.attention("account", format!("{found}, as its root user"), advice);
            } else {
                findings.well("account", found);
            }
        }
        Err(failure) => findings.unread("account", &failure, "the account's menu in the AWS console"),
    }
    let region = region(aws);
    if WITHOUT_FUNCTION_URLS.contains(&region) {
        findings.attention(
            "region",
            format!("{region} had no Lambda Function URLs when this version was made"),
            "deploy with FrontDoor=http-api, or check whether the Lambda Developer Guide (Function URLs) still says so",
        );
    } else {
        findings.well("region", "has Lambda Function URLs");
    }
}
