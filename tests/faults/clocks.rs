//! One clock of the four is a minute off.

use sayso_sdk::{ApprovalToken, Permit, Refusal};
use sayso_tests::{Page, Protocol, Verdict, World, action, asking};
use serde_json::{Value, json};

use crate::document::{Told, row};

const MINUTE: i64 = 60;

/// How long the request is open and the token valid, in seconds.
const OPEN: u64 = 600;
const VALID: u64 = 3_600;

struct Apart {
    world: World,
    told: Told,
}

impl Apart {
    async fn new(off_by: [i64; 3]) -> Self {
        Self { world: World::off_by(off_by).await, told: Told::default() }
    }

    async fn tool(&self, name: &'static str, arguments: Value) -> Value {
        self.world.raw().tool(Protocol::New, name, &arguments.to_string()).await.structured
    }

    /// Asks for [`OPEN`] seconds, and opens the page; the approval's id with it.
    async fn ask(&self) -> (String, Page) {
        let mut arguments = asking("t");
        arguments["expires_in_seconds"] = json!(OPEN);
        let asked = self.tool("request_approval", arguments).await;
        let id = asked["approval_id"].as_str().expect("an id").to_owned();
        let page = self.world.browser().open(&self.world.link(&id).0).await;
        (id, page)
    }

    async fn decide(&self, page: &Page) -> Page {
        self.world
            .browser()
            .submit(&page.form(), &[("code", &page.code())], Some(("verdict", "approve")))
            .await
    }

    async fn check(&self, id: &str) -> Value {
        self.tool("check_approval", json!({"approval_id": id, "wait_seconds": 0})).await
    }

    /// Asked and approved at once; what is to be redeemed.
    async fn approved(&mut self) -> ApprovalToken {
        let (id, page) = self.ask().await;
        assert_eq!(self.decide(&page).await.status, 200);
        let approved = self.check(&id).await;
        self.told.next.insert(sentence(&approved));
        ApprovalToken::from_text(approved["approval_token"].as_str().expect("a token"))
    }

    /// By a gate whose clock is off by so much.
    async fn permit(&self, token: &ApprovalToken, off_by: i64) -> Result<Permit, Refusal> {
        let now = self.world.clock.now().as_unix_seconds() + off_by;
        let now = sayso_sdk::Timestamp::from_unix_seconds(now).expect("a time");
        self.world.gate("gate").permit(token, action(&asking("t")["arguments"].to_string()), now).await
    }

    /// Not valid yet by somebody's clock: half a minute later it is, by the leeway. Nothing was used up.
    async fn is_refused_for_half_a_minute(&mut self, gate_off_by: i64) {
        let token = self.approved().await;
        for _ in 0..2 {
            let refused = self.permit(&token, gate_off_by).await.expect_err("not valid yet");
            assert_eq!(refused.reason(), "not_yet_valid");
            self.told.gate.insert(refused.to_string());
            self.world.pass(15);
        }
        assert!(self.world.table().keys("REDEMPTION#").await.len() <= 1);
        assert!(self.permit(&token, gate_off_by).await.is_ok(), "half a minute later it is");
    }

    /// Expired by somebody's clock, half a minute before it has: by the leeway, not a whole one.
    async fn expires_half_a_minute_early(&mut self, gate_off_by: i64) {
        let token = self.approved().await;
        self.world.pass(VALID - 30);
        let refused = self.permit(&token, gate_off_by).await.expect_err("expired");
        assert_eq!(refused.reason(), "expired");
        self.told.gate.insert(refused.to_string());
        assert!(self.world.table().keys("REDEMPTION#").await.is_empty());
    }

    async fn outcomes(&self) -> usize {
        self.world.table().keys("OUTCOME#").await.len()
    }
}

fn sentence(answer: &Value) -> String {
    answer["next"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_mcp_that_is_ahead_says_expired_a_minute_before_anybody_else_would() {
    let mut apart = Apart::new([MINUTE, 0, 0]).await;
    let (id, page) = apart.ask().await;
    apart.world.pass(OPEN);
    apart.told.agent.insert(sentence(&apart.check(&id).await));
    // For decide it is open for a minute yet; what is recorded stands.
    let late = apart.decide(&page).await;
    assert_eq!((late.status, apart.outcomes().await), (409, 1));
    apart.told.approver.insert(late.text());
    apart.told.next.insert(sentence(&apart.check(&id).await));
    row("mcp-ahead").is_what_was(&apart.told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_mcp_that_is_behind_hears_from_decide_that_it_has_expired() {
    let mut apart = Apart::new([-MINUTE, 0, 0]).await;
    let (id, page) = apart.ask().await;
    apart.world.pass(OPEN - 30);
    let late = apart.decide(&page).await;
    assert_eq!((late.status, apart.outcomes().await), (409, 1));
    apart.told.approver.insert(late.text());
    apart.told.agent.insert(sentence(&apart.check(&id).await));
    apart.told.next.insert(sentence(&apart.check(&id).await));
    row("mcp-behind").is_what_was(&apart.told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_a_decide_that_is_ahead_is_refused_for_half_a_minute() {
    let mut apart = Apart::new([0, MINUTE, 0]).await;
    apart.is_refused_for_half_a_minute(0).await;
    row("decide-ahead").is_what_was(&apart.told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decide_that_is_behind_takes_an_answer_for_a_minute_longer() {
    let mut apart = Apart::new([0, -MINUTE, 0]).await;
    let (id, page) = apart.ask().await;
    apart.world.pass(OPEN + 30);
    let decided = apart.decide(&page).await;
    assert_eq!((decided.status, apart.outcomes().await), (200, 1));
    apart.told.approver.insert(decided.text());
    let approved = apart.check(&id).await;
    apart.told.agent.insert(sentence(&approved));
    apart.told.next.insert(sentence(&apart.check(&id).await));
    let token = ApprovalToken::from_text(approved["approval_token"].as_str().expect("a token"));
    assert!(apart.permit(&token, 0).await.is_ok());
    row("decide-behind").is_what_was(&apart.told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redeem_that_is_ahead_lets_tokens_expire_half_a_minute_early() {
    let mut apart = Apart::new([0, 0, MINUTE]).await;
    apart.expires_half_a_minute_early(0).await;
    row("redeem-ahead").is_what_was(&apart.told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redeem_that_is_behind_refuses_for_half_a_minute() {
    let mut apart = Apart::new([0, 0, -MINUTE]).await;
    apart.is_refused_for_half_a_minute(0).await;
    row("redeem-behind").is_what_was(&apart.told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_that_is_ahead_lets_tokens_expire_half_a_minute_early() {
    let mut apart = Apart::new([0, 0, 0]).await;
    apart.expires_half_a_minute_early(MINUTE).await;
    row("gate-ahead").is_what_was(&apart.told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_that_is_behind_refuses_for_half_a_minute() {
    let mut apart = Apart::new([0, 0, 0]).await;
    apart.is_refused_for_half_a_minute(-MINUTE).await;
    row("gate-behind").is_what_was(&apart.told);
}

/// Counted from when decide says that it was, by mcp's clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cool_down_is_a_minute_longer_or_shorter_and_no_more() {
    for (off_by, left) in [(MINUTE, 660), (-MINUTE, 540)] {
        let apart = Apart::new([0, off_by, 0]).await;
        let (id, _) = apart.ask().await;
        apart.world.browser().decide(&apart.world.link(&id), Verdict::Deny, "").await;
        let again = apart.world.raw().tool(Protocol::New, "request_approval", &asking("t").to_string()).await;
        assert_eq!(again.meta[sayso_model::wire::RETRY_AFTER_META], left, "{}", again.text);
        apart.world.pass(left);
        let asked = apart.tool("request_approval", asking("t")).await;
        assert_eq!(asked["status"], "pending", "{asked}");
    }
}
