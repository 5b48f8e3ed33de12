//! SES's reports cannot be written down.

use sayso_local::outbox::Fate;
use sayso_tests::{Fault, World};

use crate::document::{Told, row};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_that_is_not_written_comes_again() {
    let faults = [
        Fault::Refuse(400, "ThrottlingException"),
        Fault::Refuse(400, "AccessDeniedException"),
        Fault::Refuse(500, "InternalServerError"),
        Fault::Reset,
        Fault::LoseAnswer,
        Fault::DoAndReset,
    ];
    let mut told = Told::default();
    for fault in faults {
        let world = World::new().await;
        let agent = world.agent().await;
        let id = agent.ask("t").await.field("approval_id").to_owned();
        let report = world.mails().pop().expect("a mail").event(Fate::Bounce, 3);
        world.tap.break_all("UpdateItem", fault);
        world.host.report(report.clone()).await.expect_err("a failure, which has Lambda try again");
        told.agent.insert(agent.check(&id).await.field("next").to_owned());
        world.tap.mend();
        for _ in 0..2 {
            world.host.report(report.clone()).await.expect("a record");
        }
        told.next.insert(agent.check(&id).await.field("next").to_owned());
        assert_eq!(world.table().keys("UNDELIVERED#").await.len(), 1);
    }
    row("feedback-unwritten").is_what_was(&told);
}
