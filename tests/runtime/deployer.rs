//! The policy of whoever deploys, in docs/deploying.md, against what the templates make: CloudFormation calls on the deployer's
//! behalf, so a type of resource whose calls the policy lacks cannot be made, changed or removed.

use std::collections::BTreeSet;
use std::fs;

use sayso_tests::workspace;
use serde_json::Value;

const TEMPLATES: [&str; 3] = ["template.yaml", "infra/domain.yaml", "infra/http-api.yaml"];

/// What CloudFormation calls for a type: from the `handlers` of its schema in the CloudFormation registry (cfn-lint brings them
/// along), without those for properties that no template here has.
const CALLS: &[(&str, &[&str])] = &[
    (
        "AWS::ApiGatewayV2::Api",
        &["apigateway:DELETE", "apigateway:GET", "apigateway:PATCH", "apigateway:POST", "apigateway:PUT"],
    ),
    (
        "AWS::ApiGatewayV2::Integration",
        &["apigateway:DELETE", "apigateway:GET", "apigateway:PATCH", "apigateway:POST", "apigateway:PUT"],
    ),
    (
        "AWS::ApiGatewayV2::Route",
        &["apigateway:DELETE", "apigateway:GET", "apigateway:PATCH", "apigateway:POST", "apigateway:PUT"],
    ),
    (
        "AWS::ApiGatewayV2::Stage",
        &[
            "apigateway:DELETE",
            "apigateway:GET",
            "apigateway:PATCH",
            "apigateway:POST",
            "apigateway:TagResource",
            "apigateway:UntagResource",
        ],
    ),
    (
        "AWS::Budgets::Budget",
        &[
            "budgets:ListTagsForResource",
            "budgets:ModifyBudget",
            "budgets:TagResource",
            "budgets:UntagResource",
            "budgets:ViewBudget",
        ],
    ),
    (
        "AWS::CloudFormation::Stack",
        &["cloudformation:CreateStack", "cloudformation:UpdateStack", "cloudformation:DeleteStack"],
    ),
    (
        "AWS::CloudFront::Distribution",
        &[
            "cloudfront:CreateDistribution",
            "cloudfront:DeleteDistribution",
            "cloudfront:GetDistribution",
            "cloudfront:GetDistributionConfig",
            "cloudfront:ListTagsForResource",
            "cloudfront:TagResource",
            "cloudfront:UntagResource",
            "cloudfront:UpdateDistribution",
        ],
    ),
    (
        "AWS::CloudWatch::Alarm",
        &[
            "cloudwatch:DeleteAlarms",
            "cloudwatch:DescribeAlarms",
            "cloudwatch:ListTagsForResource",
            "cloudwatch:PutMetricAlarm",
            "cloudwatch:TagResource",
            "cloudwatch:UntagResource",
        ],
    ),
    (
        "AWS::CloudWatch::Dashboard",
        &["cloudwatch:DeleteDashboards", "cloudwatch:GetDashboard", "cloudwatch:PutDashboard"],
    ),
    (
        "AWS::DynamoDB::Table",
        &[
            "dynamodb:CreateTable",
            "dynamodb:DeleteTable",
            "dynamodb:DescribeContinuousBackups",
            "dynamodb:DescribeContributorInsights",
            "dynamodb:DescribeKinesisStreamingDestination",
            "dynamodb:DescribeTable",
            "dynamodb:DescribeTimeToLive",
            "dynamodb:GetResourcePolicy",
            "dynamodb:ListTagsOfResource",
            "dynamodb:TagResource",
            "dynamodb:UntagResource",
            "dynamodb:UpdateContinuousBackups",
            "dynamodb:UpdateTable",
            "dynamodb:UpdateTimeToLive",
        ],
    ),
    (
        "AWS::Events::Rule",
        &[
            "events:DeleteRule",
            "events:DescribeRule",
            "events:ListTagsForResource",
            "events:ListTargetsByRule",
            "events:PutRule",
            "events:PutTargets",
            "events:RemoveTargets",
            "events:TagResource",
            "events:UntagResource",
        ],
    ),
    (
        "AWS::IAM::Role",
        &[
            "iam:CreateRole",
            "iam:DeleteRole",
            "iam:DeleteRolePermissionsBoundary",
            "iam:DeleteRolePolicy",
            "iam:GetRole",
            "iam:GetRolePolicy",
            "iam:ListAttachedRolePolicies",
            "iam:ListRolePolicies",
            "iam:PutRolePermissionsBoundary",
            "iam:PutRolePolicy",
            "iam:TagRole",
            "iam:UntagRole",
            "iam:UpdateAssumeRolePolicy",
            "iam:UpdateRole",
            "iam:UpdateRoleDescription",
        ],
    ),
    (
        "AWS::KMS::Key",
        &[
            "kms:CreateKey",
            "kms:DescribeKey",
            "kms:GetKeyPolicy",
            "kms:GetKeyRotationStatus",
            "kms:ListResourceTags",
            "kms:PutKeyPolicy",
            "kms:ScheduleKeyDeletion",
            "kms:TagResource",
            "kms:UntagResource",
            "kms:UpdateKeyDescription",
        ],
    ),
    (
        "AWS::Logs::LogGroup",
        &[
            "logs:AssociateKmsKey",
            "logs:CreateLogGroup",
            "logs:DeleteLogGroup",
            "logs:DeleteRetentionPolicy",
            "logs:DescribeIndexPolicies",
            "logs:DescribeLogGroups",
            "logs:DescribeResourcePolicies",
            "logs:DisassociateKmsKey",
            "logs:GetDataProtectionPolicy",
            "logs:ListTagsForResource",
            "logs:PutRetentionPolicy",
            "logs:TagResource",
            "logs:UntagResource",
        ],
    ),
    (
        "AWS::Logs::MetricFilter",
        &["logs:DeleteMetricFilter", "logs:DescribeMetricFilters", "logs:PutMetricFilter"],
    ),
    (
        "AWS::Route53::RecordSetGroup",
        &[
            "route53:ChangeResourceRecordSets",
            "route53:GetChange",
            "route53:GetHostedZone",
            "route53:ListHostedZones",
            "route53:ListResourceRecordSets",
        ],
    ),
    (
        "AWS::SES::ConfigurationSet",
        &[
            "ses:CreateConfigurationSet",
            "ses:DeleteConfigurationSet",
            "ses:DescribeConfigurationSet",
            "ses:GetConfigurationSet",
            "ses:PutConfigurationSetDeliveryOptions",
            "ses:PutConfigurationSetReputationOptions",
            "ses:PutConfigurationSetSendingOptions",
            "ses:TagResource",
            "ses:UntagResource",
        ],
    ),
    (
        "AWS::SES::ConfigurationSetEventDestination",
        &[
            "ses:CreateConfigurationSetEventDestination",
            "ses:DeleteConfigurationSetEventDestination",
            "ses:DescribeConfigurationSet",
            "ses:GetConfigurationSetEventDestinations",
            "ses:UpdateConfigurationSetEventDestination",
        ],
    ),
    (
        "AWS::SES::EmailIdentity",
        &[
            "ses:CreateEmailIdentity",
            "ses:DeleteEmailIdentity",
            "ses:GetEmailIdentity",
            "ses:ListTagsForResource",
            "ses:PutEmailIdentityConfigurationSetAttributes",
            "ses:PutEmailIdentityDkimAttributes",
            "ses:PutEmailIdentityFeedbackAttributes",
            "ses:PutEmailIdentityMailFromAttributes",
            "ses:TagResource",
            "ses:UntagResource",
        ],
    ),
    ("AWS::Lambda::Permission", &["lambda:AddPermission", "lambda:GetPolicy", "lambda:RemovePermission"]),
    (
        "AWS::Lambda::Url",
        &[
            "lambda:CreateFunctionUrlConfig",
            "lambda:DeleteFunctionUrlConfig",
            "lambda:GetFunctionUrlConfig",
            "lambda:UpdateFunctionUrlConfig",
        ],
    ),
    // SAM makes a function of it, and a permission for its event; it keeps the role that it is given.
    (
        "AWS::Serverless::Function",
        &[
            "iam:PassRole",
            "lambda:AddPermission",
            "lambda:CreateFunction",
            "lambda:DeleteFunction",
            "lambda:DeleteFunctionConcurrency",
            "lambda:GetFunction",
            "lambda:GetPolicy",
            "lambda:PutFunctionConcurrency",
            "lambda:RemovePermission",
            "lambda:TagResource",
            "lambda:UpdateFunctionCode",
            "lambda:UpdateFunctionConfiguration",
        ],
    ),
    (
        "AWS::SNS::Subscription",
        &[
            "sns:GetSubscriptionAttributes",
            "sns:SetSubscriptionAttributes",
            "sns:Subscribe",
            "sns:Unsubscribe",
        ],
    ),
    (
        "AWS::SNS::Topic",
        &[
            "sns:CreateTopic",
            "sns:DeleteTopic",
            "sns:GetDataProtectionPolicy",
            "sns:GetTopicAttributes",
            "sns:ListSubscriptionsByTopic",
            "sns:ListTagsForResource",
            "sns:SetTopicAttributes",
            "sns:TagResource",
            "sns:UntagResource",
        ],
    ),
    (
        "AWS::SQS::Queue",
        &[
            "sqs:CreateQueue",
            "sqs:DeleteQueue",
            "sqs:GetQueueAttributes",
            "sqs:GetQueueUrl",
            "sqs:ListQueueTags",
            "sqs:SetQueueAttributes",
            "sqs:TagQueue",
            "sqs:UntagQueue",
        ],
    ),
    ("AWS::SNS::TopicPolicy", &["sns:GetTopicAttributes", "sns:SetTopicAttributes"]),
    ("AWS::SQS::QueuePolicy", &["sqs:GetQueueAttributes", "sqs:SetQueueAttributes"]),
];

fn file(path: &str) -> String {
    fs::read_to_string(workspace().join(path)).expect("a file")
}

/// The types of everything that a template makes.
fn types(template: &str) -> BTreeSet<String> {
    let lines = file(template);
    let types = lines.lines().filter_map(|line| line.trim().strip_prefix("Type: "));
    types.filter(|name| name.starts_with("AWS::")).map(str::to_owned).collect()
}

/// The actions that the policy in the guide allows: patterns, whose `*` is only at the end.
fn granted() -> Vec<String> {
    let guide = file("docs/deploying.md");
    let section = guide.split("## Who may deploy").nth(1).expect("the section");
    let policy = section.split("```json").nth(1).and_then(|rest| rest.split("```").next());
    let policy: Value = serde_json::from_str(policy.expect("the policy")).expect("JSON");
    let statements = policy["Statement"].as_array().expect("statements");
    let actions = statements.iter().flat_map(|statement| {
        assert_eq!(statement["Effect"], "Allow");
        let action = &statement["Action"];
        let listed = action.as_array().cloned().unwrap_or_else(|| vec![action.clone()]);
        listed.into_iter().map(|action| action.as_str().expect("an action").to_owned())
    });
    actions.collect()
}

fn allows(pattern: &str, action: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => action.starts_with(start),
        None => action == pattern,
    }
}

#[test]
fn whoever_deploys_may_make_change_and_remove_all_that_the_templates_make() {
    let granted = granted();
    for template in TEMPLATES {
        let types = types(template);
        assert!(!types.is_empty(), "{template}");
        for made in types {
            let calls = CALLS.iter().find(|(known, _)| *known == made);
            let (_, calls) =
                calls.unwrap_or_else(|| panic!("what does {made} in {template} take? Say so in CALLS"));
            let lacking: Vec<_> =
                calls.iter().filter(|call| !granted.iter().any(|pattern| allows(pattern, call))).collect();
            assert!(lacking.is_empty(), "docs/deploying.md does not allow {lacking:?}, which {made} takes");
        }
    }
}

#[test]
fn the_policy_grants_nothing_for_what_no_template_makes() {
    let needed: Vec<&str> = CALLS.iter().flat_map(|(_, calls)| calls.iter().copied()).collect();
    // SAM's own: its bucket, the transform, the change sets.
    let of_sam = ["cloudformation:GetTemplateSummary", "cloudformation:ValidateTemplate", "s3:*"];
    for pattern in granted() {
        let used = needed.iter().any(|call| allows(&pattern, call)) || of_sam.contains(&pattern.as_str());
        assert!(used, "{pattern} is allowed, and nothing takes it");
    }
}

/// Parameters, outputs and alarms are written like `SenderEmail`; what else looks like one is not the template's.
#[test]
fn what_the_guide_names_is_in_the_template() {
    let guide = file("docs/deploying.md");
    let template = TEMPLATES.map(file).concat();
    let defined: BTreeSet<&str> = template
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split_once(':'))
        .map(|(name, _)| name)
        .collect();
    let quoted = guide
        .lines()
        .filter(|line| !line.starts_with("    {"))
        .flat_map(|line| line.split('`').skip(1).step_by(2));
    let is_name = |word: &&str| {
        word.starts_with(|c: char| c.is_ascii_uppercase())
            && word.chars().all(|c| c.is_ascii_alphabetic())
            && word.contains(|c: char| c.is_ascii_lowercase())
    };
    let named: BTreeSet<&str> = quoted.filter(is_name).filter(|word| *word != "MessageRejected").collect();
    assert!(named.len() > 20, "{named:?}");
    let unknown: Vec<_> = named.difference(&defined).collect();
    assert!(unknown.is_empty(), "docs/deploying.md names what template.yaml has not: {unknown:?}");
}

/// One that was not tried may break what it builds: zig 0.16 broke aws-lc on arm64.
#[test]
fn what_the_guides_have_installed_to_build_with_is_what_is_tried_here() {
    let tried = file("tests/requirements.txt");
    for guide in ["docs/deploying.md", "template.yaml"] {
        let text = file(guide);
        let lines: Vec<&str> =
            text.lines().filter(|line| line.contains("pip install") && line.contains("ziglang")).collect();
        assert_eq!(lines.len(), 1, "{guide}");
        let words = lines[0].split("pip install ").nth(1).expect("packages").split(['`', ' ']);
        let pinned: Vec<&str> = words.take_while(|word| word.contains("==")).collect();
        assert!(
            pinned.len() >= 2 && pinned.iter().all(|pin| tried.lines().any(|line| line == *pin)),
            "{guide}: {pinned:?}"
        );
    }
}

#[test]
fn the_first_deployment_tags_what_it_makes() {
    let settings = file("samconfig.toml");
    assert!(settings.lines().any(|line| line == r#"tags = ["application=sayso"]"#), "{settings}");
}
