use std::path::Path;
use std::time::Duration;

use sayso_cloud::{Clock, random};
use sayso_local::host::{Backends, Clocks, Host, Settings};
use sayso_local::outbox::{Fate, Mail};
use sayso_model::{
    Agent as Registration, AgentKey, AgentName, Approver, ApproverId, Audience, Audiences, EmailAddress,
    Limits, Timestamp,
};
use tokio::task::JoinSet;

use crate::{Agent, Browser, Tap, loopback};

/// When every test begins: Sunday 22 November 2026, 12:00 UTC.
const START: i64 = 1_795_348_800;

/// A deployment of its own, with one agent and its approver.
pub struct World {
    /// The time, which only the test moves.
    pub clock: Clock,
    /// The functions.
    pub host: Host,
    /// The table, the mails and the key.
    pub backends: Backends,
    /// What the functions call, counted and breakable.
    pub tap: Tap,
    /// The first agent's key.
    pub agent_key: AgentKey,
    /// Of the functions, where they are not `clock`.
    others: Vec<Clock>,
    /// Made once: it takes tens of milliseconds of a processor, in which nobody's calls get on.
    pub(crate) http: reqwest::Client,
    _tasks: JoinSet<()>,
}

impl World {
    /// In memory, at the first moment of the script.
    pub async fn new() -> Self {
        Self::at(Timestamp::from_unix_seconds(START).expect("a time")).await
    }

    /// In memory, at another time: for what has a clock of its own.
    pub async fn at(start: Timestamp) -> Self {
        Self::by(None, Clock::scripted(start), Limits::default()).await
    }

    /// Over the database in a file, at another time.
    pub async fn over(file: &Path, start: Timestamp) -> Self {
        Self::by(Some(file), Clock::scripted(start), Limits::default()).await
    }

    /// In memory, at the first moment of the script, with these limits.
    pub async fn limited(limits: Limits) -> Self {
        let start = Timestamp::from_unix_seconds(START).expect("a time");
        Self::by(None, Clock::scripted(start), limits).await
    }

    /// In memory, on the machine's clock, which a program of its own goes by: here time passes by itself.
    pub async fn live() -> Self {
        Self::by(None, Clock::system(), Limits::default()).await
    }

    /// In memory, at the first moment of the script, with functions whose clocks are off: `mcp`, `decide` and `redeem` by so many seconds.
    pub async fn off_by([mcp, decide, redeem]: [i64; 3]) -> Self {
        let clock = |off: i64| Clock::scripted(Timestamp::from_unix_seconds(START + off).expect("a time"));
        let (true_clock, page, feedback) = (clock(0), clock(0), clock(0));
        let [mcp, decide, redeem] = [mcp, decide, redeem].map(clock);
        let clocks = Clocks { mcp, page, decide, redeem, enrol: clock(0), feedback };
        let Clocks { mcp, page, decide, redeem, enrol, feedback } = clocks.clone();
        let mut world = Self::with(None, true_clock, clocks, Limits::default()).await;
        world.others = vec![mcp, page, decide, redeem, enrol, feedback];
        world
    }

    async fn by(file: Option<&Path>, clock: Clock, limits: Limits) -> Self {
        Self::with(file, clock.clone(), clock.into(), limits).await
    }

    async fn with(file: Option<&Path>, clock: Clock, clocks: Clocks, limits: Limits) -> Self {
        let backends = match file {
            Some(_) => Backends::start(file, &clock).await.expect("backends"),
            None => crate::backends(&clock).await,
        };
        let mut tasks = JoinSet::new();
        let (tap, endpoints) = Tap::start(&backends.endpoints, &mut tasks).await;
        let settings = Settings { limits, ..Settings::new(0).expect("settings") };
        let host = Host::start(&backends, endpoints, settings, clocks).await.expect("functions");
        let (agent_key, others, http) =
            (random::agent_key(), Vec::new(), loopback::client().build().expect("a client"));
        let world = Self { clock, host, backends, tap, agent_key, others, http, _tasks: tasks };
        world.register(&world.agent_key, "deploy-bot", "alex@example.com", &["production", "staging"]).await;
        world.tap.take_calls();
        world
    }

    /// Registers an agent as the operator does.
    pub async fn register(&self, key: &AgentKey, name: &str, approver: &str, audiences: &[&str]) {
        let audiences = audiences.iter().map(|a| Audience::parse(a).expect("an audience")).collect();
        let id = format!("approver-{}", name);
        let agent = Registration {
            name: AgentName::parse(name).expect("a name"),
            approver: Approver {
                id: ApproverId::parse(&id).expect("an id"),
                email: EmailAddress::parse(approver).expect("an address"),
            },
            audiences: Audiences::new(audiences).expect("audiences"),
        };
        self.host.register_agent(key, &agent).await.expect("registration");
    }

    /// The first agent, as an MCP client of the newest protocol.
    pub async fn agent(&self) -> Agent {
        Agent::connect(&self.host.mcp_url, self.agent_key.expose()).await
    }

    /// A browser without cookies or scripts.
    pub fn browser(&self) -> Browser {
        Browser::new()
    }

    /// Lets time pass.
    pub fn pass(&self, seconds: u64) {
        for clock in self.others.iter().chain([&self.clock]) {
            clock.advance(Duration::from_secs(seconds));
        }
    }

    /// Lets time pass, a poll at a time, until `task` is done.
    pub async fn pass_until_done<T>(&self, task: tokio::task::JoinHandle<T>) -> T {
        let (browser, anything) = (self.browser(), format!("{}/.well-known/jwks.json", self.host.issuer_url));
        while !task.is_finished() {
            self.clock.advance(Duration::from_millis(250));
            // Real work on real sockets happens between two moments of the script: some round trips that take as long
            // as it does, however slow the machine is, keep the script from running ahead.
            for _ in 0..3 {
                browser.open(&anything).await;
            }
        }
        task.await.expect("the task")
    }

    /// The mails that have gone out, oldest first.
    pub fn mails(&self) -> Vec<Mail> {
        self.backends.outbox.mails().expect("the outbox")
    }

    /// The newest mail about an approval meets this fate, and the mail service reports it.
    pub async fn comes_back(&self, approval_id: &str, fate: Fate) {
        let about = |mail: &Mail| mail.tags.iter().any(|(_, value)| value == approval_id);
        let mail = self.mails().into_iter().rev().find(about).expect("a mail about it");
        self.host.report(mail.event(fate, 3)).await.expect("a recorded report");
    }

    /// The deciding link in the newest mail about an approval.
    pub fn link(&self, approval_id: &str) -> Link {
        let start = format!("{}/{approval_id}/", self.host.page_url);
        let texts = self.mails().into_iter().rev().filter_map(|mail| mail.text);
        let found = texts
            .filter_map(|text| text.lines().find(|line| line.starts_with(&start)).map(str::to_owned))
            .next();
        Link(found.expect("a mail with the link"))
    }
}

/// A deciding link: what the approver has and nobody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link(pub String);

impl Link {
    /// The secret at its end.
    pub fn secret(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}
