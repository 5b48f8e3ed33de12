use std::path::Path;

use std::collections::BTreeSet;

use crate::aws::{Account, Aws, address};
use crate::setting::{Operated, expect_transcript, run, run_in, steady, words};

const CREDENTIALS: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "not-a-secret")];

/// Runs each line against the account; gives what a terminal would have shown, and what was called.
async fn checked(account: Account, lines: &[&str]) -> (String, Vec<String>) {
    let aws = Aws::of(account).await;
    let environment = [&CREDENTIALS[..], &[("AWS_ENDPOINT_URL", aws.url.as_str())]].concat();
    let mut shown = String::new();
    for line in lines {
        let ran = run_in(Path::new("."), &environment, &words(line)).await;
        shown.push_str(&format!("$ sayso {line}\n{}[{}]\n\n", ran.all, ran.status));
    }
    (shown, aws.calls())
}

const BEFORE: &str =
    "--region eu-central-1 deploy check --sender sayso@example.com --approver alex@example.org";
const AFTER: &str = "--region eu-central-1 --table sayso deploy check --sender sayso@example.com --reserve 0";

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_ready() {
    let by_script = format!("--json {BEFORE}");
    let (shown, calls) = checked(Account::ready(), &[BEFORE, AFTER, &by_script]).await;
    expect_transcript("check-ready.txt", &shown);
    assert!(!calls.contains(&"Scan".to_owned()), "out of the sandbox nobody needs to know who decides");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_new() {
    let two = format!("{BEFORE} --approver sam@example.org --approver alex@example.org");
    let lines =
        [two.as_str(), "--region eu-south-2 deploy check --sender bot@other.example --waits-per-agent 1"];
    let (shown, _) = checked(Account::new_and_empty(), &lines).await;
    expect_transcript("check-new.txt", &shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_neglected() {
    let after = AFTER.replace(" --reserve 0", "");
    let (shown, _) = checked(Account::neglected(), &[&after]).await;
    expect_transcript("check-neglected.txt", &shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_ses_has_shut_down_and_a_sender_that_is_an_address_alone() {
    let mut account =
        Account { identities: vec![("sayso@example.com", address("SUCCESS"))], ..Account::ready() };
    account.sending["EnforcementStatus"] = "SHUTDOWN".into();
    account.sending["SendingEnabled"] = false.into();
    let (shown, _) = checked(account, &[BEFORE]).await;
    expect_transcript("check-shutdown.txt", &shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_read_is_named_and_the_rest_goes_on() {
    let denied = Account { denied: "*", ..Account::ready() };
    let (shown, _) = checked(denied, &[AFTER]).await;
    expect_transcript("check-denied.txt", &shown);
    for call in [
        "GetAccount",
        "GetEmailIdentity",
        "GetAccountSettings",
        "DescribeTable",
        "DescribeTimeToLive",
        "DescribeContinuousBackups",
    ] {
        let (shown, _) = checked(Account { denied: call, ..Account::ready() }, &[AFTER]).await;
        let failed: Vec<&str> = shown.lines().filter(|line| line.starts_with("FAILED")).collect();
        assert!(failed.iter().all(|line| line.contains(call)) && !failed.is_empty(), "{call}: {shown}");
        assert!(shown.contains("[1]"), "{shown}");
    }
    let sandboxed = Account { denied: "Scan", sending: Account::new_and_empty().sending, ..Account::ready() };
    let (shown, _) = checked(sandboxed, &[AFTER]).await;
    assert!(shown.contains("these credentials are not allowed to call dynamodb:Scan"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_another_name_or_another_kind() {
    let (shown, _) = checked(Account { table: None, ..Account::ready() }, &[AFTER]).await;
    assert!(shown.contains("compare --table and --region") && shown.contains("[1]"), "{shown}");
    let mut account = Account::ready();
    if let Some(table) = &mut account.table {
        table["KeySchema"][0]["AttributeName"] = "id".into();
    }
    let (shown, _) = checked(account, &[AFTER]).await;
    assert!(shown.contains("this is not a table of Sayso's") && shown.contains("[1]"), "{shown}");
}

/// The registered ones are read from a real table; in the sandbox each of them must be verified.
#[tokio::test(flavor = "multi_thread")]
async fn in_the_sandbox_whoever_is_registered_is_looked_up_too() {
    let operated = Operated::ready().await;
    operated.does(&["approver", "add", "sam", "sam@example.org"]).await;
    let aws = Aws::of(Account::new_and_empty()).await;
    let table = operated.world.backends.endpoints.dynamodb.clone().expect("a table");
    let environment = [
        &CREDENTIALS[..],
        &[("AWS_ENDPOINT_URL", aws.url.as_str()), ("AWS_ENDPOINT_URL_DYNAMODB", table.as_str())],
    ]
    .concat();
    // Where the engine has it.
    let named = format!("--table {}", operated.world.backends.table);
    let after = AFTER.replace("--table sayso", &named).replace("eu-central-1", "us-east-1");
    let ran = run_in(Path::new("."), &environment, &words(&after)).await;
    let of = |line: &&str| line.contains("  approver  ");
    let found: Vec<&str> = ran.out.lines().filter(of).map(|line| &line[..9]).collect();
    assert_eq!(found, ["FAILED   ", "ok       "], "{}", ran.all);
    assert!(!ran.all.contains("alex@") && !ran.all.contains("sam@"), "{}", ran.all);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_only_reads() {
    let mut called = BTreeSet::new();
    for account in [Account::ready(), Account::new_and_empty(), Account::neglected()] {
        let sandboxed = Account { table: Account::ready().table, ..account };
        called.extend(checked(sandboxed, &[BEFORE, AFTER]).await.1);
    }
    let reads = |call: &String| {
        call == "Scan" || ["Get", "List", "Describe"].iter().any(|verb| call.starts_with(verb))
    };
    assert!(called.iter().all(reads) && called.len() == 8, "{called:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_sender_or_an_account_it_says_what_is_missing() {
    let mut shown = String::new();
    for line in [
        "--region eu-central-1 deploy check",
        "deploy check --sender sayso@example.com",
        "--region eu-central-1 deploy check --sender sayso@example.com",
        "deploy check --sender nobody",
        "--local deploy check",
        "--local --json deploy check",
    ] {
        let ran = run(&words(line)).await;
        shown.push_str(&format!("$ sayso {line}\n{}[{}]\n\n", ran.all, ran.status));
    }
    expect_transcript("check-unconnected.txt", &steady(&shown, "none"));
}
