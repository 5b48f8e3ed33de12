//! Mails are not sent without end.

use sayso_model::SENDING_LIMIT;
use sayso_tests::{Fault, Protocol, World, asking};

/// How long an agent goes on asking, and how often, in seconds.
const LONG: u64 = 900;
const EVERY: u64 = 15;

async fn ask(world: &World) {
    let answer = world.raw().tool(Protocol::New, "request_approval", &asking("t").to_string()).await;
    assert!(!answer.is_error && answer.field("status") == "pending", "{}", answer.text);
}

/// Each mail is delivered, and nobody learns of it: as often as a sender may be taken for dead, and not as often as is asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_sess_answers_are_lost_an_agent_that_asks_without_end_mails_once_in_a_while() {
    for fault in [Fault::LoseAnswer, Fault::DoAndReset] {
        let world = World::new().await;
        world.tap.break_all("SendEmail", fault);
        for _ in 0..LONG / EVERY {
            ask(&world).await;
            world.pass(EVERY);
        }
        let most = 1 + LONG / SENDING_LIMIT.as_secs();
        let sent = u64::try_from(world.mails().len()).expect("a number");
        assert!((2..=most).contains(&sent), "{sent} mails in {LONG} s");
        world.tap.mend();
        world.pass(SENDING_LIMIT.as_secs());
        ask(&world).await;
        assert_eq!(world.mails().len() as u64, sent + 1);
        world.pass(SENDING_LIMIT.as_secs());
        ask(&world).await;
        assert_eq!(world.mails().len() as u64, sent + 1, "it is known to be out");
    }
}
