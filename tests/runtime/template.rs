//! What the template must say about everything else that guards: the key, the table, the logs, the throttle, the alarms.

use std::collections::BTreeSet;

use sayso_tests::Template;

use crate::deployment::FUNCTIONS;

fn says(template: &Template, resource: &str, line: &str) -> bool {
    template.resource(resource).iter().any(|found| found.trim() == line)
}

#[test]
fn only_decide_signs_and_no_administrator_can() {
    let template = Template::read();
    for key in ["SigningKey", "SecondSigningKey"] {
        let actions = |principal: &str| -> BTreeSet<String> {
            template.key_policy(key, principal).into_iter().map(|(action, _)| action).collect()
        };
        for (function, ..) in FUNCTIONS {
            let signs = actions(&format!("{function}Role.Arn")).contains("kms:Sign");
            assert_eq!(signs, function == "Decide", "{function} with {key}");
        }
        let administrators = actions(":root");
        assert!(administrators.contains("kms:PutKeyPolicy"), "{administrators:?}");
        for forbidden in ["kms:Sign", "kms:CreateGrant", "kms:*", "*", "kms:ReEncrypt*"] {
            assert!(!administrators.contains(forbidden), "an administrator has {forbidden}");
        }
    }
    let policy = |key| -> Vec<&str> {
        let lines = template.resource(key);
        lines.into_iter().skip_while(|line| line.trim() != "KeyPolicy:").collect()
    };
    assert_eq!(policy("SigningKey"), policy("SecondSigningKey"));
    // No role says a word about keys: the key's own policy is all there is.
    for (function, ..) in FUNCTIONS {
        assert!(!template.role(function).iter().any(|(action, _)| action.starts_with("kms:")), "{function}");
    }
}

#[test]
fn the_audit_key_is_one_of_its_own_and_no_function_signs_with_it() {
    let template = Template::read();
    let policy = template.resource("AuditKey").join("\n");
    for (function, ..) in FUNCTIONS {
        assert!(!policy.contains(&format!("{function}Role")), "{function} may use the audit key");
        let environment = template.environment(function);
        assert!(!environment.values().any(|value| value.contains("AuditKey")), "{function} is told of it");
    }
    let account: BTreeSet<String> =
        template.key_policy("AuditKey", ":root").into_iter().map(|(action, _)| action).collect();
    // What IAM may give to an operator; without the account's own statement it could give nothing.
    for needed in ["kms:Sign", "kms:Get*", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"] {
        assert!(account.contains(needed), "nobody can be given {needed}");
    }
    for forbidden in ["kms:CreateGrant", "kms:*", "*"] {
        assert!(!account.contains(forbidden), "an administrator has {forbidden}");
    }
    for line in ["KeySpec: ECC_NIST_P256", "KeyUsage: SIGN_VERIFY", "kms:SigningAlgorithm: ECDSA_SHA_256"] {
        assert!(says(&template, "AuditKey", line), "the audit key without {line}");
    }
    assert!(!policy.contains("Condition: Has"), "it is there whichever key signs");
}

/// Neither who decides nor who makes the links can make a passkey count; and who makes one count can sign no approval.
#[test]
fn only_enrol_and_whom_the_account_gives_it_sign_passkeys() {
    let template = Template::read();
    let actions = |principal: &str| -> BTreeSet<String> {
        template.key_policy("EnrolmentKey", principal).into_iter().map(|(action, _)| action).collect()
    };
    for (function, ..) in FUNCTIONS {
        let theirs = actions(&format!("{function}Role.Arn"));
        assert_eq!(theirs.contains("kms:Sign"), function == "Enrol", "{function}");
        let reads = ["Enrol", "Decide"].contains(&function);
        assert_eq!(theirs.contains("kms:GetPublicKey"), reads, "{function}");
        let writes = ["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"];
        let passkeys = template
            .role(function)
            .into_iter()
            .any(|(action, row)| row == "PASSKEY" && writes.contains(&action.as_str()));
        assert_eq!(passkeys, function == "Enrol", "{function} writes passkeys");
    }
    assert_eq!(template.role("Enrol").into_iter().filter(|(_, row)| row != "PASSKEY").count(), 0);
    let account = actions(":root");
    assert!(account.contains("kms:Sign") && account.contains("kms:PutKeyPolicy"), "{account:?}");
    for forbidden in ["kms:CreateGrant", "kms:*", "*"] {
        assert!(!account.contains(forbidden), "an administrator has {forbidden}");
    }
}

#[test]
fn the_table_and_the_keys_outlive_the_stack() {
    let template = Template::read();
    // A table that is protected from deletion could not be rolled back; all else that a first deployment leaves would be litter.
    let retained = [
        ("Table", "Retain"),
        ("SigningKey", "RetainExceptOnCreate"),
        ("SecondSigningKey", "RetainExceptOnCreate"),
        ("AuditKey", "RetainExceptOnCreate"),
        ("EnrolmentKey", "RetainExceptOnCreate"),
        ("SenderIdentity", "RetainExceptOnCreate"),
        ("ApproverIdentity", "RetainExceptOnCreate"),
    ];
    for (resource, policy) in retained {
        let lines = template.resource(resource);
        for line in [format!("DeletionPolicy: {policy}"), "UpdateReplacePolicy: Retain".to_owned()] {
            assert!(lines.iter().any(|there| there.trim() == line), "{resource} without {line}");
        }
    }
    for line in ["DeletionProtectionEnabled: true", "PointInTimeRecoveryEnabled: true", "SSEEnabled: true"] {
        assert!(says(&template, "Table", line), "the table without {line}");
    }
}

#[test]
fn every_function_has_a_throttle_a_log_that_ends_and_its_alarms() {
    let template = Template::read();
    for (function, ..) in FUNCTIONS {
        let reserved = format!("!If [Reserves{function}, !Ref {function}Concurrency, !Ref AWS::NoValue]");
        // Restoring the table takes gates from redeem.
        let stopped = format!("!If [StopsRedeem, 0, {reserved}]");
        let expected = if function == "Redeem" { stopped } else { reserved };
        assert_eq!(template.property(function, "ReservedConcurrentExecutions"), expected);
        let logging = format!("{{ LogGroup: !Ref {function}Logs, LogFormat: JSON, SystemLogLevel: WARN }}");
        assert_eq!(template.property(function, "LoggingConfig"), logging);
        assert!(says(&template, &format!("{function}Logs"), "RetentionInDays: !Ref LogRetentionDays"));
        let counted = template.resource(&format!("{function}LoggedErrors")).join("\n");
        assert!(counted.contains(&format!("MetricName: {function}Failures,")), "{counted}");
        let failures = format!("MetricName: {function}Failures");
        assert!(says(&template, &format!("{function}Failures"), &failures), "{function} fails unheard");
        assert!(
            says(&template, &format!("{function}Crashes"), "MetricName: Errors"),
            "{function} crashes unheard"
        );
        assert!(says(&template, &format!("{function}Throttles"), "MetricName: Throttles"));
    }
    for alarm in template.resources("AWS::CloudWatch::Alarm") {
        assert!(says(&template, alarm, "AlarmActions: [!Ref Alarms]"), "{alarm} tells nobody");
    }
}

/// An alarm counts lines of a log by their words: these are the words that the functions write.
#[test]
fn the_alarms_that_read_logs_look_for_what_is_logged() {
    let template = Template::read();
    let sources = [
        ("UndeliveredMails", "a mail did not arrive", "functions/feedback/src/lib.rs"),
        ("UnsentMails", "ses:SendEmail", "shared/cloud/src/mailer.rs"),
        ("RefusedRedemptions", "a redemption was refused", "functions/redeem/src/problem.rs"),
    ];
    for (filter, words, file) in sources {
        let pattern = template.resource(filter).join("\n");
        assert!(pattern.contains(words), "{filter}: {pattern}");
        let source = std::fs::read_to_string(sayso_tests::workspace().join(file)).expect("a source");
        assert!(source.contains(words), "{file} no longer says: {words}");
    }
}
