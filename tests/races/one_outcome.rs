//! Approve, deny, withdraw and the deadline, all at once: one of them happens, and everyone is told that one.

use std::collections::BTreeSet;

use sayso_cloud::Clock;
use sayso_model::token::{ApprovalToken, Expectations, Issuer, Jwks, verify};
use sayso_model::{Action, Audience, CanonicalJson, ToolName};
use sayso_model::{Limits, WaitLimit};
use sayso_tests::{Dice, Protocol, World, asking};

use crate::together::{all_at_once, client, outcome_on, status, told_by};

/// What one of the many does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Approve,
    Deny,
    Withdraw,
    /// Checks until there is an answer.
    Check,
    /// Looks at the approver's page until there is an answer.
    Look,
    /// Lets the deadline pass, once.
    Deadline,
}

/// Who takes part, and how many.
type Mix = [(Part, usize); 6];

/// Everything a client needs, owned.
#[derive(Clone)]
struct Scene {
    raw: sayso_tests::Raw,
    browser: sayso_tests::Browser,
    clock: Clock,
    id: String,
    link: String,
    form: sayso_tests::Form,
    code: String,
}

impl Scene {
    async fn new(world: &World, table: &str) -> Self {
        let id = world.agent().await.ask(table).await.field("approval_id").to_owned();
        let (link, browser) = (world.link(&id).0, world.browser());
        let page = browser.open(&link).await;
        let (form, code) = (page.form(), page.code());
        Self { raw: client(world), browser, clock: world.clock.clone(), id, link, form, code }
    }

    /// Plays a part, and gives back the status that it was told; the deadline is told nothing.
    async fn play(self, part: Part) -> Option<String> {
        let id = format!(r#"{{"approval_id":"{}"}}"#, self.id);
        let now = format!(r#"{{"approval_id":"{}","wait_seconds":0}}"#, self.id);
        match part {
            Part::Approve | Part::Deny => {
                let verdict = if part == Part::Approve { "approve" } else { "deny" };
                let page = self
                    .browser
                    .submit(&self.form, &[("code", &self.code)], Some(("verdict", verdict)))
                    .await;
                let told = told_by(&page);
                let wanted = if part == Part::Approve { "approved" } else { "denied" };
                assert_eq!(page.status, if told == wanted { 200 } else { 409 }, "{part:?} {told}");
                Some(told)
            }
            Part::Withdraw => Some(status(&self.raw.call(Protocol::New, "withdraw_approval", &id).await)),
            Part::Check => loop {
                let told = status(&self.raw.call(Protocol::Old, "check_approval", &now).await);
                if told != "pending" {
                    return Some(told);
                }
            },
            Part::Look => loop {
                let page = self.browser.open(&self.link).await;
                assert_eq!(page.status, 200);
                if let Some(told) = outcome_on(&page) {
                    return Some(told);
                }
            },
            Part::Deadline => {
                // Somewhere in the middle: after some of the others, before the rest.
                self.browser.open(&self.link).await;
                self.clock.advance(std::time::Duration::from_secs(3_600));
                None
            }
        }
    }
}

/// One race; gives back the winner.
async fn race(world: &World, table: &str, mix: Mix, dice: &mut Dice) -> String {
    let scene = Scene::new(world, table).await;
    let before = world.table().keys("OUTCOME#").await.len();
    let mut parts: Vec<Part> =
        mix.into_iter().flat_map(|(part, count)| std::iter::repeat_n(part, count)).collect();
    assert!(parts.len() >= 50);
    dice.shuffle(&mut parts);
    let told = all_at_once(parts.iter().map(|part| {
        // Every client has connections of its own.
        let own = Scene { raw: client(world), browser: world.browser(), ..scene.clone() };
        own.play(*part)
    }))
    .await;
    let by = |look: bool| -> BTreeSet<String> {
        let told = parts.iter().zip(&told).filter(|(part, _)| (**part == Part::Look) == look);
        told.filter_map(|(_, told)| told.clone()).collect()
    };
    let answers = by(false);
    assert_eq!(answers.len(), 1, "{mix:?}: {answers:?}");
    assert!(by(true).is_subset(&answers), "{mix:?}: it is {answers:?}, and a page said {:?}", by(true));
    let winner = answers.into_iter().next().expect("one");

    assert_eq!(world.table().keys("OUTCOME#").await.len(), before + 1, "one outcome");
    let last = world.agent().await.check(&scene.id).await;
    assert_eq!(last.field("status"), winner, "and it stays");
    assert_eq!(told_by(&scene.browser.open(&scene.link).await), winner);
    let status_page = scene.browser.open(&format!("{}/{}", world.host.page_url, scene.id)).await;
    assert_eq!(told_by(&status_page), winner);
    if winner == "approved" {
        assert_token_permits(world, table, last.field("approval_token")).await;
    } else {
        assert!(last.structured.get("approval_token").is_none(), "{}", last.text);
    }
    winner
}

async fn assert_token_permits(world: &World, table: &str, token: &str) {
    let jwks = world.browser().open(&format!("{}/.well-known/jwks.json", world.host.issuer_url)).await;
    let jwks: Jwks = serde_json::from_str(&jwks.html).expect("a key set");
    let asked = asking(table);
    let action = Action {
        tool: ToolName::parse(asked["tool"].as_str().unwrap_or_default()).expect("a tool"),
        arguments: CanonicalJson::parse(&asked["arguments"].to_string()).expect("arguments"),
    };
    let expectations = Expectations {
        issuer: Issuer::parse(&world.host.issuer_url).expect("an issuer"),
        audience: Audience::parse("production").expect("an audience"),
    };
    // The clock may be past the deadline by now; the decision was before it.
    let verified = verify(&ApprovalToken::from_text(token), &jwks, &expectations, &action, world.clock.now());
    assert!(verified.is_ok(), "{verified:?}");
}

const fn mix(
    approve: usize,
    deny: usize,
    withdraw: usize,
    check: usize,
    look: usize,
    deadline: usize,
) -> Mix {
    [
        (Part::Approve, approve),
        (Part::Deny, deny),
        (Part::Withdraw, withdraw),
        (Part::Check, check),
        (Part::Look, look),
        (Part::Deadline, deadline),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_races_there_is_one_outcome_and_everyone_is_told_that_one() {
    let world = World::new().await;
    let mut dice = Dice::new(20_261_122);
    let mut winners = BTreeSet::new();
    let mixes = [
        // One kind alone, so that each wins at least once.
        (mix(40, 0, 0, 8, 4, 0), Some("approved")),
        (mix(0, 40, 0, 8, 4, 0), Some("denied")),
        (mix(0, 0, 40, 8, 4, 0), Some("withdrawn")),
        (mix(0, 0, 0, 40, 10, 1), Some("expired")),
        // All against all.
        (mix(16, 16, 16, 8, 4, 0), None),
        (mix(16, 16, 16, 8, 4, 1), None),
        (mix(30, 2, 2, 16, 4, 1), None),
        (mix(2, 30, 2, 16, 4, 1), None),
        (mix(2, 2, 30, 16, 4, 1), None),
        (mix(12, 12, 12, 12, 12, 1), None),
    ];
    for (round, (mix, expected)) in mixes.into_iter().enumerate() {
        let winner = race(&world, &format!("t{round}"), mix, &mut dice).await;
        assert!(expected.is_none_or(|expected| expected == winner), "{mix:?}: {winner}");
        winners.insert(winner);
    }
    assert_eq!(winners.len(), 4, "every kind of outcome was raced for and won");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_decides_after_the_deadline_however_many_try() {
    let world = World::new().await;
    for round in 0..3 {
        let scene = Scene::new(&world, &format!("t{round}")).await;
        world.pass(3_600);
        let parts = [Part::Approve, Part::Deny, Part::Withdraw, Part::Check, Part::Look];
        let told = all_at_once((0..60).map(|at| {
            let own = Scene { raw: client(&world), browser: world.browser(), ..scene.clone() };
            own.play(parts[at % parts.len()])
        }))
        .await;
        assert!(told.iter().flatten().all(|told| told == "expired"), "{told:?}");
        assert_eq!(world.table().keys("OUTCOME#").await.len(), round + 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_who_wait_are_all_told_and_get_the_same_token() {
    let waits = WaitLimit::parse("50").expect("a limit");
    let world = World::limited(Limits { waits, ..Limits::default() }).await;
    let scene = Scene::new(&world, "customers_2019").await;
    let arguments = format!(r#"{{"approval_id":"{}","wait_seconds":50}}"#, scene.id);
    let waiting: Vec<_> = (0..50)
        .map(|_| {
            let (raw, arguments) = (client(&world), arguments.clone());
            tokio::spawn(async move { raw.tool(Protocol::New, "check_approval", &arguments).await })
        })
        .collect();
    let mut read = 0;
    while read < 50 {
        read += world.tap.take_calls().iter().filter(|call| *call == "BatchGetItem").count();
        tokio::task::yield_now().await;
    }
    scene.clone().play(Part::Approve).await;
    let mut tokens = BTreeSet::new();
    for task in waiting {
        let told = world.pass_until_done(task).await;
        assert_eq!(told.field("status"), "approved", "{}", told.text);
        tokens.insert(told.field("approval_token").to_owned());
    }
    assert_eq!(tokens.len(), 1);
}
