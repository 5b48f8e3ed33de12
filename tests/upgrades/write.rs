//! Writes down what this code writes, by having it live: README.md says when and how.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sayso_local::signer::Signer;
use sayso_model::Timestamp;
use sayso_model::token::ApprovalToken;
use sayso_tests::{Agent, Fault, Verdict, World, action, asking, string, workspace};
use serde_json::{Map, Value, json};

use crate::fixture;

/// Sunday 22 November 2026, 12:00 UTC.
const START: i64 = 1_795_348_800;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes a fixture into target/upgrades"]
async fn what_this_code_writes() {
    let world = World::at(Timestamp::from_unix_seconds(START).expect("a time")).await;
    let mut agents = Map::from_iter([("deploy-bot".to_owned(), json!(world.agent_key.expose()))]);
    register(&world, &mut agents).await;
    let agent = world.agent().await;
    let mut ids = Map::new();
    for name in ["approved", "used", "denied", "withdrawn", "to-approve", "to-deny", "to-withdraw"] {
        ids.insert(name.to_owned(), ask(&agent, name, 86_400).await);
    }
    ids.insert("expired".to_owned(), ask(&agent, "expired", 60).await);
    ids.insert("to-expire".to_owned(), ask(&agent, "to-expire", 3_600).await);
    let mut keyed = asking("keyed");
    keyed["idempotency_key"] = json!("once-and-only-once");
    keyed["expires_in_seconds"] = json!(86_400);
    ids.insert("keyed".to_owned(), json!(agent.call("request_approval", keyed).await.field("approval_id")));
    answer(&world, &agent, &ids).await;
    mail_troubles(&world, &agent, &mut ids).await;

    let approvals: Map<String, Value> = ids
        .iter()
        .map(|(name, id)| (name.clone(), json!({"id": id, "secret": secret(&world, id)})))
        .collect();
    let key = Signer::kept(&world.backends.engine).expect("the notes").expect("a key");
    let facts = json!({
        "now": world.clock.now().to_string(),
        "issuer": world.host.issuer_url,
        "signing_key": STANDARD.encode(key),
        "agents": agents,
        "approvals": approvals,
    });
    fixture::write(&workspace().join("target/upgrades"), &world.table().rows().await, &facts);
}

/// What an operator writes: an approver, a gate, an agent with a rotated key.
async fn register(world: &World, agents: &mut Map<String, Value>) {
    use sayso_cloud::operator::RegisteredGate;
    use sayso_model::{AgentName, Approver, ApproverId, Audience, EmailAddress, GateDescription, Overlap};

    let now = world.clock.now();
    let registry = world.host.registry();
    let audience = Audience::parse("production").expect("an audience");
    let description = Some(GateDescription::parse("The production database").expect("a line"));
    let gate = RegisteredGate {
        audience: audience.clone(),
        description,
        masks: sayso_model::Masks::NONE,
        proof: sayso_model::passkey::RequiredProof::default(),
        created_at: now,
    };
    registry.add_gate(&gate).await.expect("a gate");
    let id = ApproverId::parse("sam").expect("an id");
    let email = EmailAddress::parse("sam@example.com").expect("an address");
    registry.add_approver(&Approver { id: id.clone(), email }, false, now).await.expect("an approver");
    let name = AgentName::parse("ci-bot").expect("a name");
    let (old, new) = (sayso_cloud::random::agent_key(), sayso_cloud::random::agent_key());
    registry.add_agent(old.hash(), &name, &id, &[audience], now).await.expect("an agent");
    let day = Overlap::parse("24h").expect("a time");
    registry.rotate_agent(new.hash(), &name, day, now).await.expect("a rotation");
    agents.insert("ci-bot, rotated".to_owned(), json!(old.expose()));
    agents.insert("ci-bot".to_owned(), json!(new.expose()));
}

async fn ask(agent: &Agent, table: &str, seconds: i64) -> Value {
    let mut asked = asking(table);
    asked["expires_in_seconds"] = json!(seconds);
    json!(agent.call("request_approval", asked).await.field("approval_id"))
}

async fn answer(world: &World, agent: &Agent, ids: &Map<String, Value>) {
    let id = |name: &str| ids[name].as_str().expect("an id").to_owned();
    let browser = world.browser();
    for (name, verdict, note) in [
        ("approved", Verdict::Approve, ""),
        ("used", Verdict::Approve, "Go ahead"),
        ("denied", Verdict::Deny, "Not on a Friday"),
    ] {
        assert_eq!(browser.decide(&world.link(&id(name)), verdict, note).await.status, 200);
    }
    agent.call("withdraw_approval", json!({"approval_id": id("withdrawn")})).await;
    let token = agent.check(&id("used")).await.field("approval_token").to_owned();
    let arguments = asking("used")["arguments"].to_string();
    let token = ApprovalToken::from_text(&token);
    let permit = world.gate("the gate").permit(&token, action(&arguments), world.clock.now()).await;
    permit.map(drop).expect("a permit");
    world.clock.advance(Duration::from_secs(61));
    assert_eq!(agent.check(&id("expired")).await.field("status"), "expired");
}

/// A mail that SES refused, and one whose sender died before it knew.
async fn mail_troubles(world: &World, agent: &Agent, ids: &mut Map<String, Value>) {
    let refuse = || world.tap.break_next("SendEmail", Fault::Refuse(400, "MessageRejected"));
    refuse();
    ids.insert("unsent".to_owned(), ask(agent, "unsent", 86_400).await);
    refuse();
    let sending = ask(agent, "sending", 86_400).await;
    world.tap.break_next("PutItem", Fault::Pass);
    world.tap.break_next("PutItem", Fault::Refuse(400, "ValidationException"));
    let mut again = asking("sending");
    again["expires_in_seconds"] = json!(86_400);
    // What it is told does not matter: the row does.
    let _ = agent.try_call("request_approval", again).await;
    let row = world.table().row(&format!("NOTICE#{}", sending.as_str().expect("an id"))).await;
    assert_eq!(string(&row.expect("the row"), "state"), "sending");
    ids.insert("sending".to_owned(), sending);
}

/// Of the newest mail, if there was one.
fn secret(world: &World, id: &Value) -> Value {
    let id = id.as_str().expect("an id");
    let mailed = world.mails().iter().any(|mail| mail.text.as_deref().unwrap_or_default().contains(id));
    if mailed { json!(world.link(id).secret()) } else { Value::Null }
}
