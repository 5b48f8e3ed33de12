//! What may be asked is counted in the table: no crowd gets past a limit, nothing that failed is counted, and a request
//! that is pending is never in the way of its own retry.

use std::collections::{BTreeMap, BTreeSet};

use sayso_cloud::random;
use sayso_model::wire::{LIMIT_META, RETRY_AFTER_META};
use sayso_model::{
    Agent as Registration, AgentName, Approver, ApproverId, Audience, Audiences, CoolDown, EmailAddress,
    HourlyLimit, Limits, PendingLimit,
};
use sayso_tests::{Answer, Dice, Fault, Protocol, Raw, Row, Verdict, World, asking, number, string};
use serde_json::{Value, json};

use crate::together::{all_at_once, client, id_of};

const CROWD: usize = 50;

fn limits(requests: u32, mails: u32, pending: u32) -> Limits {
    Limits {
        requests: HourlyLimit::parse(&requests.to_string()).expect("a limit"),
        mails: HourlyLimit::parse(&mails.to_string()).expect("a limit"),
        pending: PendingLimit::parse(&pending.to_string()).expect("a limit"),
        cool_down: CoolDown::parse_seconds("600").expect("ten minutes"),
        waits: Limits::default().waits,
    }
}

/// As many agents as there are names, all with one approver.
pub(crate) async fn agents(world: &World, names: &[&str]) -> Vec<Raw> {
    let mut agents = Vec::new();
    for name in names {
        let key = random::agent_key();
        let approver = Approver {
            id: ApproverId::parse("alex").expect("an id"),
            email: EmailAddress::parse("alex@example.com").expect("an address"),
        };
        let audiences = Audiences::new(vec![Audience::parse("production").expect("an audience")]);
        let name = AgentName::parse(name).expect("a name");
        let agent = Registration { name, approver, audiences: audiences.expect("one") };
        world.host.register_agent(&key, &agent).await.expect("registration");
        agents.push(Raw::new(&world.host.mcp_url, key.expose()));
    }
    agents
}

/// One request an action, at the same moment, by these clients in turn.
async fn ask_at_once(clients: &[Raw], actions: impl IntoIterator<Item = String>) -> Vec<Answer> {
    let calls = actions.into_iter().enumerate().map(|(at, action)| {
        let raw = clients[at % clients.len()].clone();
        async move { raw.tool(Protocol::New, "request_approval", &asking(&action).to_string()).await }
    });
    all_at_once(calls).await
}

fn actions(prefix: &str) -> Vec<String> {
    (0..CROWD).map(|at| format!("{prefix}{at}")).collect()
}

/// The ids of those who got through; the others were told this limit, and when to come back.
fn through(answers: &[Answer], limit: &str) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for answer in answers {
        if answer.is_error {
            assert_limited(answer, limit);
        } else {
            assert_eq!(answer.field("status"), "pending");
            ids.insert(answer.field("approval_id").to_owned());
        }
    }
    ids
}

/// Gives back the seconds, which the text says as well.
fn assert_limited(answer: &Answer, limit: &str) -> u64 {
    assert!(answer.is_error, "{}", answer.text);
    assert_eq!(answer.meta[LIMIT_META], limit, "{}", answer.text);
    // Some clients would hold it against the schema of an answer.
    assert_eq!(answer.structured, Value::Null);
    let seconds = answer.meta[RETRY_AFTER_META].as_u64().expect("seconds");
    assert!(answer.text.ends_with(&format!("(retry_after_seconds: {seconds}).")), "{}", answer.text);
    assert!(seconds > 0);
    seconds
}

async fn assert_opened(world: &World, ids: &BTreeSet<String>) {
    let requests = world.table().keys("REQUEST#").await;
    assert_eq!(requests.iter().map(|key| id_of(key).to_owned()).collect::<BTreeSet<_>>(), *ids);
    assert_eq!(world.mails().len(), ids.len());
    assert_eq!(world.table().keys("OPEN#").await.len(), ids.len(), "nothing is left of what was refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_crowd_makes_more_requests_in_an_hour_than_one_agent_may() {
    let world = World::limited(limits(7, 1_000, 100)).await;
    // Twenty minutes into the hour.
    world.pass(1_200);
    let clients = [client(&world), client(&world)];
    let limit = "requests_per_agent_per_hour";
    let answers = ask_at_once(&clients, actions("a")).await;
    let first = through(&answers, limit);
    assert_eq!(first.len(), 7);
    assert_opened(&world, &first).await;
    let refused = answers.iter().find(|answer| answer.is_error).expect("one of them");
    assert_eq!(assert_limited(refused, limit), 2_400, "the hour has forty minutes left");

    // What is pending may be asked for again, looked at and taken back.
    let pending: Vec<String> = actions("a")
        .into_iter()
        .zip(&answers)
        .filter(|(_, answer)| !answer.is_error)
        .map(|(action, _)| action)
        .collect();
    let again = ask_at_once(&clients, pending.iter().cycle().take(CROWD).cloned()).await;
    assert_eq!(through(&again, "none"), first);
    let agent = world.agent().await;
    for id in &first {
        assert_eq!(agent.check(id).await.field("status"), "pending");
    }
    let taken_back = first.first().expect("one");
    let withdrawn = agent.call("withdraw_approval", json!({"approval_id": taken_back})).await;
    assert_eq!(withdrawn.field("status"), "withdrawn");
    assert_limited(&agent.call("request_approval", asking("b")).await, limit);

    world.pass(2_399);
    assert_eq!(assert_limited(&agent.call("request_approval", asking("b")).await, limit), 1);
    world.pass(1);
    let second = through(&ask_at_once(&clients, actions("c")).await, limit);
    assert_eq!(second.len(), 7);
    assert_opened(&world, &first.union(&second).cloned().collect()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_crowd_of_agents_mails_an_approver_more_often_than_allowed() {
    let world = World::limited(limits(1_000, 9, 100)).await;
    let crowd = agents(&world, &["a", "b", "c", "d", "e"]).await;
    let opened = through(&ask_at_once(&crowd, actions("t")).await, "mails_per_approver_per_hour");
    // The last two are for agents that have asked nothing yet, and all of these may have.
    assert!((7..=9).contains(&opened.len()), "{}", opened.len());
    assert_opened(&world, &opened).await;
    // Another agent's approver is another.
    let other = world.agent().await.ask("t").await;
    assert_eq!(other.field("status"), "pending");
    world.pass(3_600);
    let opened = through(&ask_at_once(&crowd, actions("u")).await, "mails_per_approver_per_hour");
    assert!((7..=9).contains(&opened.len()), "{}", opened.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_crowd_has_more_requests_pending_than_one_agent_may() {
    let world = World::limited(limits(1_000, 1_000, 5)).await;
    let clients = [client(&world), client(&world)];
    let limit = "pending_per_agent";
    let mut opened = through(&ask_at_once(&clients, actions("a")).await, limit);
    assert_eq!(opened.len(), 5);
    assert_opened(&world, &opened).await;
    let agent = world.agent().await;
    assert_eq!(assert_limited(&agent.call("request_approval", asking("b")).await, limit), 60);

    // Each that is over makes room for one.
    let over: Vec<String> = opened.iter().take(3).cloned().collect();
    agent.call("withdraw_approval", json!({"approval_id": over[0]})).await;
    for (id, verdict) in [(&over[1], Verdict::Deny), (&over[2], Verdict::Approve)] {
        world.browser().decide(&world.link(id), verdict, "").await;
    }
    let more = through(&ask_at_once(&clients, actions("c")).await, limit);
    assert_eq!(more.len(), 3);
    opened.extend(more);
    assert_opened(&world, &opened).await;

    // So does a deadline, whether or not anybody has noticed it.
    world.pass(3_590);
    assert_eq!(assert_limited(&agent.call("request_approval", asking("b")).await, limit), 10);
    world.pass(10);
    assert_eq!(through(&ask_at_once(&clients, actions("d")).await, limit).len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_just_denied_is_not_asked_again_at_once() {
    let world = World::new().await;
    let agent = world.agent().await;
    let mut request = asking("t");
    request["idempotency_key"] = json!("release-42");
    // Denied in the last second, so that its own time is long over before the cool-down is.
    request["expires_in_seconds"] = json!(60);
    let id = agent.call("request_approval", request.clone()).await.field("approval_id").to_owned();
    world.pass(59);
    world.browser().decide(&world.link(&id), Verdict::Deny, "").await;
    world.pass(100);
    world.sweep().await;
    for answer in ask_at_once(&[client(&world)], vec!["t".to_owned(); CROWD]).await {
        assert_eq!(assert_limited(&answer, "denied_cool_down"), 500);
        assert!(answer.text.contains(&id), "{}", answer.text);
    }
    assert_eq!(world.mails().len(), 1);
    // A key still brings its old answer, and another key is no way round.
    assert_eq!(agent.call("request_approval", request.clone()).await.field("status"), "denied");
    request["idempotency_key"] = json!("release-43");
    assert_limited(&agent.call("request_approval", request).await, "denied_cool_down");
    // Another action, another gate and another agent are other questions.
    agent.ask("u").await;
    let mut elsewhere = asking("t");
    elsewhere["audience"] = json!("staging");
    assert_eq!(agent.call("request_approval", elsewhere).await.field("status"), "pending");
    let other = agents(&world, &["other"]).await;
    assert_eq!(through(&ask_at_once(&other, ["t".to_owned()]).await, "none").len(), 1);

    world.pass(500);
    let asked = through(&ask_at_once(&[client(&world)], vec!["t".to_owned(); CROWD]).await, "none");
    assert!(asked.len() == 1 && !asked.contains(&id));
}

#[tokio::test]
async fn only_a_denial_has_a_cool_down() {
    let world = World::new().await;
    let agent = world.agent().await;
    let approved = agent.ask("t").await.field("approval_id").to_owned();
    world.browser().decide(&world.link(&approved), Verdict::Approve, "").await;
    let withdrawn = agent.ask("t").await.field("approval_id").to_owned();
    agent.call("withdraw_approval", json!({"approval_id": withdrawn})).await;
    agent.ask("t").await;
    world.pass(3_600);
    agent.ask("t").await;
    assert_eq!(world.mails().len(), 4);
}

/// Every step of the one request that an agent may make, broken in every way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_broke_is_counted_once_or_not_at_all() {
    let denied = (400, "AccessDeniedException");
    let steps = [("TransactWriteItems", 0), ("PutItem", 0), ("SendEmail", 0), ("PutItem", 1)];
    let faults = [
        Fault::Refuse(denied.0, denied.1),
        Fault::DoAndRefuse(denied.0, denied.1),
        Fault::LoseAnswer,
        Fault::Cancel("TransactionConflict"),
    ];
    for (call, before) in steps {
        for fault in &faults {
            let what = format!("{call} {before} {fault:?}");
            if matches!(fault, Fault::Cancel(_)) && call != "TransactWriteItems" {
                continue;
            }
            let world = World::limited(limits(1, 1, 1)).await;
            (0..before).for_each(|_| world.tap.break_next(call, Fault::Pass));
            world.tap.break_next(call, fault.clone());
            let raw = client(&world);
            let ask = asking("t").to_string();
            let first = raw.clone();
            let asked = ask.clone();
            let asking_once =
                tokio::spawn(async move { first.call(Protocol::New, "request_approval", &asked).await });
            world.pass_until_done(asking_once).await;
            world.tap.mend();
            for _ in 0..3 {
                world.pass(91);
                let answer = raw.tool(Protocol::New, "request_approval", &ask).await;
                assert!(!answer.is_error, "{what}: {}", answer.text);
                assert_eq!(answer.structured["mail_sent"], true, "{what}: {}", answer.text);
            }
            let other = raw.tool(Protocol::New, "request_approval", &asking("u").to_string()).await;
            assert_limited(&other, "requests_per_agent_per_hour");
            assert_eq!(world.table().keys("REQUEST#").await.len(), 1, "{what}");
        }
    }
}

/// A pointer as it was written before anything was counted.
#[tokio::test]
async fn a_request_from_before_there_were_limits_is_found_again() {
    let world = World::new().await;
    let agent = world.agent().await;
    let id = agent.ask("t").await.field("approval_id").to_owned();
    let table = world.table();
    let [pointer] = &table.keys("OPEN#").await[..] else { panic!("one pointer") };
    let mut row = table.row(pointer).await.expect("the pointer");
    let closes_at = row.remove("closes_at").expect("the deadline");
    row.insert("ttl".to_owned(), closes_at);
    table.put(row).await;
    for counter in table.keys("LIMIT#").await {
        table.delete(&counter).await;
    }
    assert_eq!(agent.ask("t").await.field("approval_id"), id);
    world.pass(3_600);
    assert_ne!(agent.ask("t").await.field("approval_id"), id);
}

/// What the table must say after anything: what was opened in an hour is what was counted, to the one.
fn assert_counted(rows: &[Row], limits: &Limits, what: &str) {
    let of = |prefix: &'static str| rows.iter().filter(move |row| string(row, "pk").starts_with(prefix));
    let mut opened: BTreeSet<String> =
        of("REQUEST#").map(|row| id_of(&string(row, "pk")).to_owned()).collect();
    opened.extend(of("OPEN#").map(|row| string(row, "approval_id")));
    let counted: i64 = of("LIMIT#REQUESTS#").map(|row| number(row, "counted")).sum();
    let mailed: i64 = of("LIMIT#MAILS#").map(|row| number(row, "counted")).sum();
    let expected = i64::try_from(opened.len()).expect("a count");
    assert_eq!((counted, mailed), (expected, expected), "{what}");
    for (prefix, most) in [("LIMIT#REQUESTS#", limits.requests.get()), ("LIMIT#MAILS#", limits.mails.get())] {
        assert!(of(prefix).all(|row| number(row, "counted") <= most.into()), "{what}");
    }
    let over: BTreeSet<String> = of("OUTCOME#").map(|row| id_of(&string(row, "pk")).to_owned()).collect();
    let mut pending: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in of("LIMIT#PENDING#") {
        let entries = row.get("pending").and_then(|value| value.as_ss().ok()).cloned().unwrap_or_default();
        assert!(entries.len() <= limits.pending.get() as usize, "{what}");
        let ids = entries.iter().map(|entry| entry.split('#').next().unwrap_or_default().to_owned());
        pending.insert(id_of(&string(row, "pk")).to_owned(), ids.collect());
    }
    for request in of("REQUEST#") {
        let id = id_of(&string(request, "pk")).to_owned();
        let listed = pending.get(&string(request, "agent")).is_some_and(|ids| ids.contains(&id));
        assert!(listed || over.contains(&id), "{id} is open and does not count as pending: {what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_breaks_in_a_crowd_the_counters_are_right() {
    for seed in 0..4 {
        let mut dice = Dice::new(seed);
        let limits = limits(12, 20, 6);
        let world = World::limited(limits).await;
        let crowd = agents(&world, &["a", "b", "c"]).await;
        for round in 0..6 {
            for _ in 0..dice.below(8) {
                let call =
                    *dice.pick(&["TransactWriteItems", "PutItem", "SendEmail", "UpdateItem", "BatchGetItem"]);
                let fault = match dice.below(3) {
                    0 => Fault::Refuse(400, "AccessDeniedException"),
                    1 => Fault::DoAndRefuse(400, "AccessDeniedException"),
                    _ => Fault::LoseAnswer,
                };
                world.tap.break_next(call, fault);
            }
            let calls: Vec<(Raw, Value)> = (0..30)
                .map(|_| {
                    let mut request = asking(&format!("t{}", dice.below(12)));
                    if dice.below(3) == 0 {
                        request["idempotency_key"] = json!(format!("k{}", dice.below(5)));
                    }
                    (dice.pick(&crowd).clone(), request)
                })
                .collect();
            let all = all_at_once(calls.into_iter().map(|(raw, request)| async move {
                raw.call(Protocol::New, "request_approval", &request.to_string()).await
            }));
            let answers = world.pass_until_done(tokio::spawn(all)).await;
            world.tap.mend();
            let what = format!("seed {seed}, round {round}");
            assert!(answers.iter().all(|answer| answer.status == 200), "{what}");
            assert_counted(&world.table().rows().await, &limits, &what);
            // Some are answered, and make room.
            for mail in world.mails().iter().filter(|_| dice.below(3) == 0) {
                let text = mail.text.clone().unwrap_or_default();
                let link = text.lines().find(|line| line.starts_with(&world.host.page_url)).expect("a link");
                let page = world.browser().open(link).await;
                if !page.forms().is_empty() {
                    let (form, code) = (page.form(), page.code());
                    world.browser().submit(&form, &[("code", &code)], Some(("verdict", "approve"))).await;
                }
            }
        }
    }
}
