//! The life of one approval, in which one call of one function goes wrong until it is mended. Whatever breaks: what was
//! told holds, the retry completes it, there is one outcome and one receipt, and nothing secret was said.

use sayso_sdk::{Action, ApprovalToken};
use sayso_tests::{Fault, Page, Protocol, RawAnswer, World, action, asking};
use serde_json::{Value, json};

use crate::document::Told;

/// Who makes the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Ask,
    Check,
    Read,
    Decide,
    Redeem,
}

/// A call of a function: its name, and how many of the same name the function makes before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step(pub(crate) Phase, pub(crate) &'static str, pub(crate) usize);

/// Every call to DynamoDB: the agent's row, the pointer with the counters, the request, the notice; the rows, and the
/// outcome that is waited for; the rows; the rows and the outcome; the rows and the redemption.
pub(crate) const DYNAMODB: [Step; 12] = [
    Step(Phase::Ask, "GetItem", 0),
    Step(Phase::Ask, "TransactWriteItems", 0),
    Step(Phase::Ask, "PutItem", 0),
    Step(Phase::Ask, "PutItem", 1),
    Step(Phase::Check, "GetItem", 0),
    Step(Phase::Check, "BatchGetItem", 0),
    POLL,
    Step(Phase::Read, "BatchGetItem", 0),
    Step(Phase::Decide, "BatchGetItem", 0),
    Step(Phase::Decide, "PutItem", 0),
    Step(Phase::Redeem, "BatchGetItem", 0),
    Step(Phase::Redeem, "PutItem", 0),
];

const POLL: Step = Step(Phase::Check, "GetItem", 1);

pub(crate) const SES: [Step; 1] = [Step(Phase::Ask, "SendEmail", 0)];

pub(crate) const KMS: [Step; 1] = [Step(Phase::Decide, "Sign", 0)];

impl Step {
    pub(crate) fn writes(&self) -> bool {
        !self.1.contains("Get")
    }
}

/// One mail that SES may have taken without our knowing, and the one that the retry sends.
const MAX_MAILS: usize = 2;

const NONCE: &str = "0123456789abcdef";

/// How long it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lasting {
    /// Until it is mended, in between of which somebody is told.
    UntilMended,
    /// So short, or so harmless, that nobody may notice: one call, or many that are none the worse for it.
    Unnoticed(usize),
}

struct Life {
    world: World,
    broken: Step,
    fault: Fault,
    lasting: Lasting,
    told: Told,
}

/// Plays it; what was told while it was broken, and after.
pub(crate) async fn play(broken: Step, fault: Fault, lasting: Lasting) -> Told {
    let mut life = Life { world: World::new().await, broken, fault, lasting, told: Told::default() };
    let id = life.asks().await;
    life.checks(&id).await;
    let page = life.reads(&id).await;
    life.decides(&id, &page).await;
    let token = life.is_approved(&id).await;
    life.redeems(&token).await;
    life.ends_well(&id, &token).await;
    life.told
}

impl Life {
    /// Says whether somebody is going to be told.
    fn breaks(&self, phase: Phase) -> bool {
        let Step(broken, call, before) = self.broken;
        if broken != phase {
            return false;
        }
        (0..before).for_each(|_| self.world.tap.break_next(call, Fault::Pass));
        match self.lasting {
            Lasting::UntilMended => self.world.tap.break_all(call, self.fault.clone()),
            Lasting::Unnoticed(times) => {
                (0..times).for_each(|_| self.world.tap.break_next(call, self.fault.clone()));
            }
        }
        self.lasting == Lasting::UntilMended
    }

    /// A tool's answer; while time passes, if it is one that is waited for on the script's clock.
    async fn calls(&self, tool: &'static str, arguments: Value) -> RawAnswer {
        let raw = self.world.raw();
        let call = async move { raw.call(Protocol::New, tool, &arguments.to_string()).await };
        if self.broken == POLL || matches!(self.fault, Fault::Cancel(_)) {
            self.world.pass_until_done(tokio::spawn(call)).await
        } else {
            call.await
        }
    }

    async fn asks(&mut self) -> String {
        let mut first = None;
        if self.breaks(Phase::Ask) {
            let answer = self.calls("request_approval", asking("t")).await;
            self.told.agent.insert(said(&answer));
            self.world.tap.mend();
            first = answer.tool().filter(|answer| !answer.is_error);
        }
        let answer = self.asks_until_mailed().await;
        let id = answer["approval_id"].as_str().expect("an id").to_owned();
        if let Some(first) = first {
            assert_eq!(first.field("approval_id"), id, "what was told before holds");
        }
        id
    }

    /// As the answers say: again, for at most as long as a sender may take.
    async fn asks_until_mailed(&mut self) -> Value {
        for _ in 0..4 {
            let answer = self.calls("request_approval", asking("t")).await;
            let told = answer.tool().unwrap_or_else(|| panic!("{}", answer.body));
            assert!(!told.is_error, "{:?}: {}", self.broken, told.text);
            if self.broken.0 == Phase::Ask {
                self.told.next.insert(said(&answer));
            }
            if told.structured["mail_sent"] == true {
                return told.structured;
            }
            assert_eq!(self.lasting, Lasting::UntilMended, "{:?}: {}", self.broken, told.text);
            self.world.pass(45);
        }
        panic!("{:?}: the mail never goes out", self.broken)
    }

    async fn checks(&mut self, id: &str) {
        // The poll that breaks ends the wait, however long a slow table took to count it.
        let seconds = if self.broken == POLL { 45 } else { 0 };
        let waiting = json!({"approval_id": id, "wait_seconds": seconds});
        let look = json!({"approval_id": id, "wait_seconds": 0});
        if self.breaks(Phase::Check) {
            self.told.agent.insert(said(&self.calls("check_approval", waiting).await));
            self.world.tap.mend();
        }
        if self.broken.0 == Phase::Check {
            let answer = self.calls("check_approval", look).await;
            assert_eq!(answer.tool().expect("an answer").structured["status"], "pending", "{}", answer.body);
            self.told.next.insert(said(&answer));
        }
    }

    async fn reads(&mut self, id: &str) -> Page {
        let (browser, link) = (self.world.browser(), self.world.link(id));
        if self.breaks(Phase::Read) {
            self.told.approver.insert(browser.open(&link.0).await.text());
            self.world.tap.mend();
        }
        let page = browser.open(&link.0).await;
        assert_eq!(page.forms().len(), 1, "{:?}: {}", self.broken, page.text());
        if self.broken.0 == Phase::Read {
            self.told.next.insert(page.text());
        }
        page
    }

    async fn decides(&mut self, id: &str, page: &Page) {
        let (browser, code) = (self.world.browser(), page.code());
        let submit = async |note| {
            let typed = [("code", code.as_str()), ("note", note)];
            browser.submit(&page.form(), &typed, Some(("verdict", "approve"))).await
        };
        let row = format!("OUTCOME#{id}");
        let broken = self.breaks(Phase::Decide);
        let first = submit("first").await;
        let recorded = self.world.table().row(&row).await;
        if broken {
            assert_eq!(first.status, 500, "{:?}: {}", self.broken, first.text());
            self.told.approver.insert(first.text());
            self.world.tap.mend();
            let check = json!({"approval_id": id, "wait_seconds": 0});
            let seen = self.calls("check_approval", check).await.tool().expect("an answer");
            let stands = if recorded.is_some() { "approved" } else { "pending" };
            assert_eq!(seen.field("status"), stands, "{:?}", self.broken);
            let again = submit("second").await;
            assert_eq!(again.status, 200, "{:?}: {}", self.broken, again.text());
            self.told.next.insert(again.text());
        }
        if !broken {
            assert_eq!(first.status, 200, "{:?}: {}", self.broken, first.text());
            self.told.next.extend((self.broken.0 == Phase::Decide).then(|| first.text()));
        }
        let after = self.world.table().row(&row).await;
        assert!(after.is_some() && recorded.is_none_or(|before| Some(before) == after), "decided twice");
    }

    /// Approved, with a token that verifies: a gate will judge it.
    async fn is_approved(&self, id: &str) -> ApprovalToken {
        let check = json!({"approval_id": id, "wait_seconds": 0});
        let seen = self.calls("check_approval", check).await.tool().expect("an answer");
        assert_eq!(seen.field("status"), "approved", "{:?}", self.broken);
        ApprovalToken::from_text(seen.field("approval_token"))
    }

    async fn redeems(&mut self, token: &ApprovalToken) {
        let redemption = json!({
            "token": token.expose(), "digest": asked().digest().to_string(), "audience": "production",
            "gate": "by hand", "nonce": NONCE,
        });
        if self.breaks(Phase::Redeem) {
            // What the issuer says, and what the gate's library makes of it. A gate that waits three times for an issuer
            // that is silent says the same later.
            let (status, _, problem) = self.world.redeem(&redemption).await;
            assert_eq!(status, 503, "{:?}: {problem}", self.broken);
            self.told.gate.insert(problem["detail"].as_str().expect("a sentence").to_owned());
            if !matches!(self.fault, Fault::Silence | Fault::KeepAnswer) {
                let now = self.world.clock.now();
                let refused = self.world.gate("gate").permit(token, asked(), now).await;
                self.told.gate.insert(refused.expect_err("nothing runs").to_string());
            }
            self.world.tap.mend();
        }
        let recorded = self.redemptions().await;
        let (status, _, receipt) = self.world.redeem(&redemption).await;
        assert_eq!(status, 200, "{:?}: the retry completes: {receipt}", self.broken);
        assert!(recorded <= 1 && self.redemptions().await == 1, "{:?}", self.broken);
        if self.broken.0 == Phase::Redeem {
            self.told.next.insert(receipt.to_string());
        }
    }

    async fn redemptions(&self) -> usize {
        self.world.table().keys("REDEMPTION#").await.len()
    }

    /// One request, one outcome, one receipt, few mails whose links all work, and nothing secret in what was said.
    async fn ends_well(&mut self, id: &str, token: &ApprovalToken) {
        let (world, broken) = (&self.world, self.broken);
        let again = world.gate("another").permit(token, asked(), world.clock.now()).await;
        let told = again.expect_err("once, and never again").to_string();
        assert!(told.starts_with("This approval was used at"), "{broken:?}: {told}");
        for kind in ["REQUEST#", "OUTCOME#", "REDEMPTION#", "OPEN#"] {
            assert_eq!(world.table().keys(kind).await.len(), 1, "{broken:?}: {kind}");
        }
        let mails = world.mails();
        assert!((1..=MAX_MAILS).contains(&mails.len()), "{broken:?}: {} mails", mails.len());
        let links: Vec<String> = mails.into_iter().filter_map(|mail| mail.text).collect();
        let start = format!("{}/{id}/", world.host.page_url);
        let links: Vec<&str> =
            links.iter().flat_map(|text| text.lines()).filter(|l| l.starts_with(&start)).collect();
        for link in &links {
            let status = world.browser().open(link).await.status;
            assert_eq!(status, 200, "{broken:?}: a dead link");
        }
        let secrets = links.iter().filter_map(|link| link.rsplit('/').next());
        let never = secrets.chain([token.expose(), NONCE, world.agent_key.expose(), "alex@example.com"]);
        // AWS's words and ours about it are the log's.
        let never: Vec<&str> =
            never.chain(["Exception", "dynamodb", "kms:", "ses:", "as the test asked"]).collect();
        let Told { agent, approver, gate, next } = &self.told;
        for said in [agent, approver, gate, next].into_iter().flatten() {
            assert!(never.iter().all(|secret| !said.contains(secret)), "{broken:?}: {said}");
        }
    }
}

/// What [`asking`] asks for.
fn asked() -> Action {
    action(&asking("t")["arguments"].to_string())
}

/// The sentence in a tool's answer, or in the error that came instead.
pub(crate) fn said(answer: &RawAnswer) -> String {
    match (answer.tool(), answer.error()) {
        (Some(tool), _) if tool.is_error => tool.text,
        (Some(tool), _) => tool.field("next").to_owned(),
        (None, Some((_, message))) => message,
        (None, None) => panic!("{} {}", answer.status, answer.body),
    }
}
