use sayso_tests::Fault;

use crate::setting::{Operated, expect_transcript};

/// What a canary leaves: its approval's records, and no key.
async fn nobody_is_left(operated: &Operated) {
    assert_eq!(operated.world.table().keys("AGENT#").await.len(), 1, "deploy-bot alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_works() {
    let operated = Operated::live().await;
    let shown = operated.transcript(&["doctor", "--json doctor"]).await;
    expect_transcript("doctor.txt", &shown);
    nobody_is_left(&operated).await;
    let to: Vec<_> = operated.world.mails().into_iter().flat_map(|mail| mail.to).collect();
    assert_eq!(to, ["canary@example.com", "canary@example.com"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_and_what_to_do_about_it() {
    let wrong = [
        ("SendEmail", Fault::Refuse(400, "MessageRejected"), "mail.txt"),
        ("Sign", Fault::Refuse(400, "AccessDeniedException"), "sign.txt"),
        ("PutItem", Fault::Refuse(400, "AccessDeniedException"), "register.txt"),
    ];
    for (call, fault, name) in wrong {
        let operated = Operated::live().await;
        operated.world.tap.break_next(call, fault);
        let shown = operated.transcript(&["doctor"]).await;
        expect_transcript(&format!("doctor-{name}"), &shown);
        nobody_is_left(&operated).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_must_be_named_where_there_is_no_outbox_to_read() {
    let arguments = ["--local=1", "doctor", "--wait", "1h"];
    let ran = crate::setting::run(&arguments).await;
    assert!(ran.status == 2 && ran.all.contains("from 60s to 15m"), "{}", ran.all);
}
