use crate::setting::{Operated, expect_transcript, run, steady};

const OPERATING: [&str; 17] = [
    "gate list",
    "approver list",
    "gate add production --description 'The production database'",
    "gate add staging",
    "gate list",
    "approver add alex alex@example.com",
    "approver add sam sam@example.com",
    "approver list",
    "approver list --addresses",
    "agent add ci-bot --approver alex --gate production --gate staging",
    "agent list",
    "agent rotate ci-bot --overlap 24h",
    "agent list",
    "approver add alex alex@new.example --replace",
    "agent list",
    "agent revoke ci-bot",
    "approver remove sam",
];

#[tokio::test(flavor = "multi_thread")]
async fn operating_on_a_terminal() {
    let shown = Operated::new().await.transcript(&OPERATING).await;
    expect_transcript("operating.txt", &shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn operating_by_a_script() {
    let lines = OPERATING.map(|line| format!("--json {line}"));
    let shown = Operated::new().await.transcript(&lines.each_ref().map(String::as_str)).await;
    expect_transcript("operating-json.txt", &shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_and_what_to_do_instead() {
    let operated = Operated::new().await;
    let lines = [
        "agent add ci-bot --approver alex",
        "approver add alex alex@example.com",
        "approver add alex alex@other.example",
        "approver add approver-deploy-bot someone@else.example",
        "agent add ci-bot --approver alex",
        "gate add production",
        "gate add production",
        "agent add ci-bot --approver alex --gate production --gate payments",
        "agent add ci-bot --approver alex",
        "agent add ci-bot --approver alex",
        "agent add deploy-bot --approver alex",
        "gate add staging",
        "agent add other-bot --approver alex",
        "agent rotate nobody",
        "agent revoke nobody",
        "agent rotate ci-bot --overlap tomorrow",
        "approver remove alex",
        "approver remove nobody",
        "approvals show 01JD3V8Q5Z7XW2N4M6K8P0R1ST",
        "approvals show nothing",
        "gate add 'two words'",
    ];
    expect_transcript("refused.txt", &operated.transcript(&lines).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_deployment_it_says_how_to_name_one() {
    let mut shown = String::new();
    for arguments in [
        &["agent", "list"][..],
        &["--local=1", "agent", "list"],
        &["--table", "sayso", "agent", "list"],
        &["--table", "sayso", "--region", "eu-central-1", "agent", "list"],
        &["--table", "sayso", "--local", "agent", "list"],
    ] {
        let ran = run(arguments).await;
        shown.push_str(&format!("$ sayso {}\n{}[{}]\n\n", arguments.join(" "), ran.all, ran.status));
    }
    expect_transcript("unconnected.txt", &steady(&shown, "none"));
}
