use std::collections::{BTreeMap, BTreeSet};

use sayso_cloud::random;
use sayso_model::IdempotencyKey;
use sayso_model::wire::LIMIT_META;
use sayso_tests::{
    Answer, Browser, Dice, Fault, Page, Protocol, Raw, RawAnswer, Row, Table, Verdict, World, asking, number,
    string,
};
use serde_json::json;

use super::audit::Audit;
use super::{AGENTS, Op};
use crate::together::{id_of, mailed_links, outcome_on};

/// A refusal that no SDK tries again after: as good as a caller that died.
const DENIED: (u16, &str) = (400, "AccessDeniedException");

/// What an agent was told of.
pub(super) struct Known {
    pub(super) id: String,
    pub(super) agent: usize,
    /// What anybody tried to make of it.
    pub(super) tried: Vec<&'static str>,
    /// What it became, as soon as anybody was told.
    pub(super) told: Option<String>,
    pub(super) token: Option<String>,
}

/// Plays a history, and remembers what everybody was told.
pub(super) struct Player {
    pub(super) world: World,
    table: Table,
    agents: Vec<Raw>,
    browser: Browser,
    pub(super) known: Vec<Known>,
    /// Every id ever told, in the order they came.
    order: Vec<String>,
    /// By agent and key: the action and the approval that the key was told to stand for.
    keys: BTreeMap<(usize, usize), (usize, String)>,
    audit: Audit,
    pub(super) attempts_to_mail: usize,
    history: Vec<Op>,
    seed: u64,
}

impl Player {
    pub(super) async fn new(world: World, seed: u64) -> Self {
        let mut agents = Vec::new();
        for at in 0..AGENTS {
            let key = random::agent_key();
            world
                .register(&key, &format!("bot-{at}"), &format!("approver{at}@example.com"), &["production"])
                .await;
            agents.push(Raw::new(&world.host.mcp_url, key.expose()));
        }
        let (browser, audit) = (world.browser(), Audit::default());
        let (known, keys, history) = (Vec::new(), BTreeMap::new(), Vec::new());
        Self {
            table: world.table(),
            world,
            agents,
            browser,
            known,
            order: Vec::new(),
            keys,
            audit,
            attempts_to_mail: 0,
            history,
            seed,
        }
    }

    /// Where a history went wrong.
    pub(super) fn place(&self) -> String {
        let last = &self.history[self.history.len().saturating_sub(12)..];
        format!("seed {}, step {}, after {last:#?}", self.seed, self.history.len())
    }

    pub(super) async fn step(&mut self, op: Op) {
        self.history.push(op);
        let count = self.known.len();
        let of = |which: usize| (count > 0).then(|| which % count.max(1));
        match op {
            Op::Ask { agent, action, key, expires_in } => self.ask(agent, action, key, expires_in).await,
            Op::Check { which } => self.on(of(which), Self::check).await,
            Op::Pry { which } => self.on(of(which), Self::pry).await,
            Op::Withdraw { which } => self.on(of(which), Self::withdraw).await,
            Op::Approve { which } => {
                self.on(of(which), async |player, at| player.decide(at, Verdict::Approve).await).await
            }
            Op::Deny { which } => {
                self.on(of(which), async |player, at| player.decide(at, Verdict::Deny).await).await
            }
            Op::WrongCode { which } => self.on(of(which), Self::wrong_code).await,
            Op::Open { which } => self.on(of(which), Self::open).await,
            Op::AdvanceTime { seconds } => self.world.pass(seconds),
            Op::SweepTtl { seed } => self.sweep(Dice::new(seed)).await,
            Op::BreakNextCall { call, done } => {
                let fault = if done {
                    Fault::DoAndRefuse(DENIED.0, DENIED.1)
                } else {
                    Fault::Refuse(DENIED.0, DENIED.1)
                };
                self.world.tap.break_next(call, fault);
            }
        }
        self.attempts_to_mail +=
            self.world.tap.take_calls().iter().filter(|call| *call == "SendEmail").count();
        self.audit().await;
    }

    async fn audit(&mut self) {
        let table = self.table.rows().await;
        self.forget_what_is_gone(&table);
        let (mut audit, place) = (std::mem::take(&mut self.audit), self.place());
        audit.check(self, &table, &place).await;
        self.audit = audit;
    }

    async fn sweep(&self, mut dice: Dice) {
        let now = self.world.clock.now().as_unix_seconds();
        let mut rows = self.table.rows().await;
        // Ids are random, and a seed is to give the same history again: so in the order in which they came.
        rows.sort_by_cached_key(|row| {
            let (key, named) = (string(row, "pk"), string(row, "approval_id"));
            let id = if named.is_empty() { id_of(&key).to_owned() } else { named };
            let came = self.order.iter().position(|known| *known == id).unwrap_or(usize::MAX);
            (came, key.split('#').next().unwrap_or_default().to_owned(), key)
        });
        for row in rows {
            let due = row.contains_key("ttl") && number(&row, "ttl") < now;
            if due && dice.below(2) == 0 {
                self.table.delete(&string(&row, "pk")).await;
            }
        }
    }

    /// Everything still kept can be asked for once more, by everybody, when nothing fails any longer.
    pub(super) async fn finish(&mut self) {
        self.world.tap.mend();
        for at in 0..self.known.len() {
            self.check(at).await;
            self.open(at).await;
        }
        self.audit().await;
        self.audit.check_links(self, &self.place()).await;
    }

    async fn on(&mut self, at: Option<usize>, act: impl AsyncFn(&mut Self, usize)) {
        if let Some(at) = at {
            act(self, at).await;
        }
    }

    /// What was deleted may only be gone when its time was over: the audit has seen to that.
    fn forget_what_is_gone(&mut self, table: &[Row]) {
        // A row past its time counts as deleted, deleted or not.
        let now = self.world.clock.now().as_unix_seconds();
        let kept = table.iter().filter(|row| !row.contains_key("ttl") || number(row, "ttl") > now);
        let kept: BTreeSet<String> = kept.map(|row| string(row, "pk")).collect();
        for known in std::mem::take(&mut self.known) {
            if kept.contains(&format!("REQUEST#{}", known.id)) {
                self.known.push(known);
            } else {
                assert!(self.audit.is_over(&known.id, &self.world), "{} is lost: {}", known.id, self.place());
                self.keys.retain(|_, (_, id)| *id != known.id);
            }
        }
    }

    /// The tool's answer; nothing when a call failed, which must then be an error with an id and nothing else.
    fn answer(&self, answer: &RawAnswer) -> Option<Answer> {
        if let Some((code, message)) = answer.error() {
            assert_eq!(code, -32_603, "{message}: {}", self.place());
            assert!(
                message.contains("tell your operator error ") && !message.contains("AccessDenied"),
                "{message}"
            );
            return None;
        }
        Some(answer.tool().unwrap_or_else(|| panic!("{}: {}", answer.body, self.place())))
    }

    async fn call(&self, agent: usize, tool: &str, arguments: serde_json::Value) -> Option<Answer> {
        let answer = self.agents[agent].call(Protocol::New, tool, &arguments.to_string()).await;
        self.answer(&answer)
    }

    async fn ask(&mut self, agent: usize, action: usize, key: Option<usize>, expires_in: u64) {
        let mut arguments = asking(&format!("t{action}"));
        arguments["expires_in_seconds"] = json!(expires_in);
        if let Some(key) = key {
            arguments["idempotency_key"] = json!(format!("k{key}"));
        }
        let promised = self.promised(agent, key).await;
        let Some(answer) = self.call(agent, "request_approval", arguments).await else { return };
        if answer.meta[LIMIT_META] == "denied_cool_down" {
            assert!(self.was_denied(agent, &answer), "{}: {}", answer.text, self.place());
            return;
        }
        if answer.is_error {
            let used = promised.as_ref().is_some_and(|(used_for, _)| *used_for != action);
            // A call that failed may have left its key with an action that nobody was told of.
            assert!(
                answer.text.contains("`idempotency_key`") && (used || promised.is_none()),
                "{}: {}",
                answer.text,
                self.place()
            );
            return;
        }
        let id = answer.field("approval_id").to_owned();
        if let Some((used_for, promised)) = promised {
            assert_eq!((used_for, &promised), (action, &id), "a key stands for one: {}", self.place());
        }
        if let Some(key) = key {
            self.keys.insert((agent, key), (action, id.clone()));
        }
        let at = self.known.iter().position(|known| known.id == id).unwrap_or_else(|| {
            self.order.push(id.clone());
            self.known.push(Known { id, agent, tried: Vec::new(), told: None, token: None });
            self.known.len() - 1
        });
        assert_eq!(self.known[at].agent, agent, "another agent's approval: {}", self.place());
        self.hear(at, &answer);
    }

    /// A refusal to ask again names the approval that a human has denied.
    fn was_denied(&self, agent: usize, answer: &Answer) -> bool {
        let denied = |known: &&Known| known.tried.contains(&"denied") && answer.text.contains(&known.id);
        self.known.iter().find(denied).is_some_and(|known| known.agent == agent)
    }

    /// What the key was told to stand for, while it is kept.
    async fn promised(&self, agent: usize, key: Option<usize>) -> Option<(usize, String)> {
        let promised = self.keys.get(&(agent, key?)).cloned()?;
        let hash = IdempotencyKey::parse(&format!("k{}", key?)).ok()?.hash();
        let row = self.table.row(&format!("IDEMPOTENCY#bot-{agent}#{hash}")).await?;
        (number(&row, "ttl") > self.world.clock.now().as_unix_seconds()).then_some(promised)
    }

    async fn check(&mut self, at: usize) {
        let (agent, id) = (self.known[at].agent, self.known[at].id.clone());
        let answer = self.call(agent, "check_approval", json!({"approval_id": id, "wait_seconds": 0})).await;
        self.hear_answer(at, answer);
    }

    async fn pry(&mut self, at: usize) {
        let (agent, id) = ((self.known[at].agent + 1) % AGENTS, self.known[at].id.clone());
        for tool in ["check_approval", "withdraw_approval"] {
            if let Some(answer) = self.call(agent, tool, json!({"approval_id": id})).await {
                assert!(answer.is_error && answer.text.contains("You have no approval"), "{}", answer.text);
            }
        }
    }

    async fn withdraw(&mut self, at: usize) {
        let (agent, id) = (self.known[at].agent, self.known[at].id.clone());
        self.known[at].tried.push("withdrawn");
        let answer = self.call(agent, "withdraw_approval", json!({"approval_id": id})).await;
        assert!(answer.as_ref().is_none_or(|answer| answer.field("status") != "pending"), "{}", self.place());
        self.hear_answer(at, answer);
    }

    fn hear_answer(&mut self, at: usize, answer: Option<Answer>) {
        if let Some(answer) = answer {
            assert!(!answer.is_error, "{}: {}", answer.text, self.place());
            self.hear(at, &answer);
        }
    }

    fn hear(&mut self, at: usize, answer: &Answer) {
        let token =
            answer.structured.get("approval_token").and_then(|token| token.as_str()).map(str::to_owned);
        let status = answer.field("status").to_owned();
        let checked = answer.structured.get("retry_after_seconds").is_some()
            || answer.structured.get("decided_at").is_some();
        if checked {
            assert_eq!(token.is_some(), status == "approved", "{}: {}", answer.text, self.place());
        }
        if let Some(token) = token {
            let first = self.known[at].token.get_or_insert_with(|| token.clone());
            assert_eq!(*first, token, "one token");
        }
        self.told(at, &status);
    }

    /// Whatever anybody is told agrees with what anybody was told before.
    fn told(&mut self, at: usize, status: &str) {
        let place = self.place();
        let known = &mut self.known[at];
        if status == "pending" {
            assert_eq!(known.told, None, "pending again: {place}");
            return;
        }
        assert!(status == "expired" || known.tried.contains(&status), "{status}, and nobody tried: {place}");
        let first = known.told.get_or_insert_with(|| status.to_owned());
        assert_eq!(first, status, "another outcome: {place}");
    }

    /// The page behind the newest link, when there is a mail and nothing fails.
    async fn page(&self, at: usize) -> Option<Page> {
        let link = mailed_links(&self.world, &self.known[at].id).pop()?;
        let page = self.browser.open(&link).await;
        // Past its retention an approval goes row by row, and the record of a later mail's link may go first.
        if page.status == 404 && self.audit.is_over(&self.known[at].id, &self.world) {
            return None;
        }
        assert!(matches!(page.status, 200 | 500), "{} for a mailed link: {}", page.status, self.place());
        assert!(page.status == 200 || page.text().contains("error "), "{}", page.text());
        (page.status == 200).then_some(page)
    }

    async fn open(&mut self, at: usize) {
        if let Some(page) = self.page(at).await {
            self.see(at, &page);
        }
    }

    fn see(&mut self, at: usize, page: &Page) {
        match outcome_on(page) {
            Some(status) => self.told(at, &status),
            None => self.told(at, "pending"),
        }
    }

    async fn decide(&mut self, at: usize, verdict: Verdict) {
        let Some(page) = self.page(at).await else { return };
        self.see(at, &page);
        if page.forms().is_empty() {
            return;
        }
        let (button, status) =
            if verdict == Verdict::Approve { ("approve", "approved") } else { ("deny", "denied") };
        self.known[at].tried.push(status);
        let code = page.code();
        let answer = self.browser.submit(&page.form(), &[("code", &code)], Some(("verdict", button))).await;
        if answer.status == 500 {
            assert!(answer.text().contains("error ") && outcome_on(&answer).is_none(), "{}", answer.text());
        } else {
            assert!(matches!(answer.status, 200 | 409), "{}: {}", answer.status, self.place());
            self.see(at, &answer);
            assert_eq!(
                answer.status == 200,
                self.known[at].told.as_deref() == Some(status),
                "{}",
                self.place()
            );
        }
    }

    async fn wrong_code(&mut self, at: usize) {
        let Some(page) = self.page(at).await else { return };
        if page.forms().is_empty() {
            return;
        }
        let code = page.code();
        let wrong: String = code.chars().map(|digit| if digit == '9' { '0' } else { '9' }).collect();
        for button in ["approve", "deny"] {
            let answer =
                self.browser.submit(&page.form(), &[("code", &wrong)], Some(("verdict", button))).await;
            assert!(matches!(answer.status, 422 | 500), "{}: {}", answer.status, self.place());
        }
    }

    /// When an approval's facts may be forgotten, in seconds since the epoch.
    pub(super) fn keeps_until(row: &Row) -> i64 {
        number(row, "closes_at") + 90 * 86_400
    }
}
