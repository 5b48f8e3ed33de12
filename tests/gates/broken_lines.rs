//! Whatever the line or the other end does: a receipt of this very attempt, or nothing runs.

use sayso_sdk::{Gate, Permit, Refusal};
use sayso_tests::{Approved, Front, Trouble, World, action};
use serde_json::{Value, json};

const REDEEM: &str = "/redeem";

struct Line {
    world: World,
    front: Front,
    gate: Gate,
}

impl Line {
    async fn new() -> Self {
        let world = World::new().await;
        let front = Front::start(&world.host.issuer_url).await;
        let gate = World::gate_of(&front.url, "gate");
        Self { world, front, gate }
    }

    async fn approve(&self) -> Approved {
        self.world.approve_for(&self.front.url, action("{}")).await
    }

    async fn permit(&self, approved: &Approved) -> Result<Permit, Refusal> {
        self.gate.permit(&approved.token, action("{}"), self.world.clock.now()).await
    }

    async fn redemptions(&self) -> usize {
        self.world.table().keys("REDEMPTION#").await.len()
    }
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_and_is_the_same_receipt() {
    let line = Line::new().await;
    for troubles in [
        &[Trouble::LoseAnswer][..],
        &[Trouble::LoseRequest],
        &[Trouble::LoseAnswer, Trouble::LoseAnswer],
        &[Trouble::Answer(502, None, "Bad Gateway".to_owned()), Trouble::LoseRequest],
        &[Trouble::Answer(429, None, String::new())],
    ] {
        let approved = line.approve().await;
        let before = line.redemptions().await;
        troubles.iter().for_each(|trouble| line.front.trouble(REDEEM, trouble.clone()));
        let permit = line.permit(&approved).await.expect("a permit");
        assert_eq!(permit.receipt().id, approved.request.id);
        assert_eq!(line.redemptions().await, before + 1);
        let asked = line.front.take_requests().into_iter().filter(|path| path == REDEEM).count();
        assert_eq!(asked, troubles.len() + 1);
    }
}

#[tokio::test]
async fn it_gives_up_after_a_few_and_nothing_runs() {
    let line = Line::new().await;
    let lost = |trouble: Trouble| {
        (0..sayso_sdk::ATTEMPTS).for_each(|_| line.front.trouble(REDEEM, trouble.clone()));
    };
    let approved = line.approve().await;
    lost(Trouble::LoseRequest);
    assert_eq!(line.permit(&approved).await.err(), Some(Refusal::Unanswered));
    assert_eq!((line.redemptions().await, line.front.take_requests().len()), (0, 1 + sayso_sdk::ATTEMPTS));
    // The token is as good as before.
    assert!(line.permit(&approved).await.is_ok());

    let approved = line.approve().await;
    lost(Trouble::LoseAnswer);
    assert_eq!(line.permit(&approved).await.err(), Some(Refusal::Unanswered));
    // It was used up unseen: a new attempt is told so, and does not run either.
    assert_eq!(line.permit(&approved).await.err().map(|refusal| refusal.reason()), Some("already_redeemed"));
}

#[tokio::test]
async fn what_is_no_receipt_of_this_attempt_lets_nothing_run() {
    let line = Line::new().await;
    let approved = line.approve().await;
    let receipt = json!({
        "approval_id": approved.request.id.to_string(),
        "redeemed_at": "2026-11-22T12:00:00Z",
        "gate": "gate",
        "tool": "drop_table",
        "digest": approved.request.action.digest().to_string(),
        "proven_by": "email-link",
    });
    let but = |member: &str, value: Value| {
        let mut receipt = receipt.clone();
        receipt[member] = value;
        receipt.to_string()
    };
    let elsewhere = Some(("location", format!("{}/redeem", line.world.host.issuer_url)));
    let used = r#"{"reason":"already_redeemed","redeemed_at":"yesterday","gate":"gate"}"#;
    let twice = receipt.to_string().replacen('{', r#"{"gate":"another","#, 1);
    let rows = [
        (200, None, but("approval_id", json!("01JD3V8Q5Z7XW2N4M6K8P0R1ST")), "wrong_receipt"),
        (200, None, but("digest", json!("A".repeat(43))), "wrong_receipt"),
        (200, None, but("tool", json!("drop_tables")), "wrong_receipt"),
        (200, None, but("gate", json!("another")), "wrong_receipt"),
        (200, None, but("redeemed_at", json!("soon")), "not_understood"),
        (200, None, but("proven_by", json!(null)), "not_understood"),
        (200, None, twice, "not_understood"),
        (200, None, "<html>Welcome</html>".to_owned(), "not_understood"),
        (200, None, String::new(), "not_understood"),
        (200, None, "true".to_owned(), "not_understood"),
        (200, None, " ".repeat(1 << 20), "not_understood"),
        (201, None, receipt.to_string(), "not_understood"),
        (204, None, String::new(), "not_understood"),
        (302, elsewhere.clone(), String::new(), "not_understood"),
        (307, elsewhere, String::new(), "not_understood"),
        (401, None, "{}".to_owned(), "not_understood"),
        (403, None, r#"{"reason":"something_new"}"#.to_owned(), "not_understood"),
        (403, None, r#"{"reason":"expired"}"#.to_owned(), "expired"),
        (404, None, "{}".to_owned(), "not_understood"),
        (409, None, used.to_owned(), "not_understood"),
        (409, None, "{}".to_owned(), "not_understood"),
    ];
    for (status, header, body, reason) in rows {
        let shown = body.chars().take(100).collect::<String>();
        line.front.trouble(REDEEM, Trouble::Answer(status, header, body));
        let refusal = line.permit(&approved).await.expect_err("nothing runs");
        assert_eq!(refusal.reason(), reason, "{status} {shown}");
    }
    assert_eq!(line.redemptions().await, 0);
    // The right one, from the same hand, would do: it is what was wrong with the others that was refused.
    line.front.trouble(REDEEM, Trouble::Answer(200, None, but("a_later_member", json!(1))));
    assert!(line.permit(&approved).await.is_ok());
}

#[tokio::test]
async fn an_issuer_that_judges_otherwise_is_heard() {
    let line = Line::new().await;
    let approved = line.approve().await;
    line.world.pass(3600 + 30);
    // The gate's clock is behind.
    let refused = line.gate.permit(&approved.token, action("{}"), approved.request.created_at).await;
    assert_eq!(refused.err().map(|refusal| refusal.reason()), Some("expired"));
    assert_eq!(line.front.take_requests(), ["/.well-known/jwks.json", REDEEM]);
}
