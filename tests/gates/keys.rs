//! The issuer's keys: fetched when needed, kept for as long as it says, and asked for again within bounds.

use std::sync::Arc;

use sayso_sdk::{Action, ApprovalToken, Gate, Refusal, TokenRefusal};
use sayso_tests::{Front, Trouble, World, action};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

const KEYS: &str = "/.well-known/jwks.json";

async fn world_and_front() -> (World, Front) {
    let world = World::new().await;
    let front = Front::start(&world.host.issuer_url).await;
    (world, front)
}

fn fetches(front: &Front) -> usize {
    front.take_requests().iter().filter(|path| *path == KEYS).count()
}

/// A token whose `kid` nobody has, by a key that is not asked.
async fn unknown_kid(world: &World, front: &Front, kid: &str) -> ApprovalToken {
    let approved = world.approve_for(&front.url, action("{}")).await;
    let mut header = approved.part(0);
    header["kid"] = kid.into();
    ApprovalToken::from_text(&world.sign(&header.to_string(), &approved.part(1).to_string()).await)
}

async fn reason(world: &World, gate: &Gate, token: &ApprovalToken) -> Option<&'static str> {
    gate.permit(token, action("{}"), world.clock.now()).await.err().map(|refusal| refusal.reason())
}

#[tokio::test]
async fn keys_are_kept_for_five_minutes() {
    let (world, front) = world_and_front().await;
    let gate = World::gate_of(&front.url, "gate");
    for (passes, expected) in [(0, 1), (0, 0), (299, 0), (1, 1), (1, 0), (10_000, 1)] {
        world.pass(passes);
        let token = world.approve_for(&front.url, action("{}")).await.token;
        assert_eq!(reason(&world, &gate, &token).await, None);
        assert_eq!(fetches(&front), expected, "after {passes} s");
    }
}

#[tokio::test]
async fn a_shorter_max_age_is_honoured_and_a_longer_one_is_not() {
    let (world, front) = world_and_front().await;
    let published = world.browser().open(&format!("{}{KEYS}", world.host.issuer_url)).await.html;
    for (directive, keeps, forgets) in
        [("max-age=10", 9, 1), ("public, max-age=86400", 299, 1), ("no-store", 0, 0)]
    {
        let gate = World::gate_of(&front.url, "gate");
        let header = Some(("cache-control", directive.to_owned()));
        front.trouble(KEYS, Trouble::Answer(200, header, published.clone()));
        for (passes, expected) in
            [(0, 1), (keeps, usize::from(keeps == 0)), (forgets, usize::from(keeps > 0))]
        {
            world.pass(passes);
            let token = world.approve_for(&front.url, action("{}")).await.token;
            assert_eq!(reason(&world, &gate, &token).await, None);
            assert_eq!(fetches(&front), expected, "{directive} after {passes} s");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_unknown_kids_costs_one_fetch_a_minute() {
    let (world, front) = world_and_front().await;
    let gate = Arc::new(World::gate_of(&front.url, "gate"));
    let mut tokens = Vec::new();
    for number in 0..50 {
        tokens.push(unknown_kid(&world, &front, &format!("invented-{number}")).await);
    }
    for (passes, expected) in [(0, 1), (0, 0), (59, 0), (1, 1), (30, 0), (30, 1)] {
        world.pass(passes);
        let now = world.clock.now();
        let mut flood = JoinSet::new();
        for token in tokens.clone() {
            let gate = Arc::clone(&gate);
            flood.spawn(async move { gate.permit(&token, action("{}"), now).await.err() });
        }
        for refused in flood.join_all().await {
            assert_eq!(refused, Some(Refusal::Token(TokenRefusal::UnknownKey)));
        }
        assert_eq!(fetches(&front), expected, "after {passes} s");
    }
}

#[tokio::test]
async fn a_token_whose_key_is_at_hand_waits_for_no_fetch() {
    let (world, front) = world_and_front().await;
    let gate = Arc::new(World::gate_of(&front.url, "gate"));
    let first = world.approve_for(&front.url, action("{}")).await;
    assert_eq!(reason(&world, &gate, &first.token).await, None);
    let invented = unknown_kid(&world, &front, "invented").await;
    let second = world.approve_for(&front.url, action("{}")).await;
    world.pass(60);
    assert_eq!(fetches(&front), 1);
    front.trouble(KEYS, Trouble::Silence);
    let (stuck, now) = (Arc::clone(&gate), world.clock.now());
    let waiting = tokio::spawn(async move { stuck.permit(&invented, action("{}"), now).await.err() });
    front.asked_for(KEYS).await;
    assert_eq!(reason(&world, &gate, &second.token).await, None);
    waiting.abort();
}

#[tokio::test]
async fn a_new_key_is_found_within_a_minute() {
    let (world, front) = world_and_front().await;
    let gate = World::gate_of(&front.url, "gate");
    let old =
        json!({"kty": "EC", "crv": "P-256", "x": "A", "y": "A", "alg": "ES256", "use": "sig", "kid": "old"});
    front.trouble(KEYS, Trouble::Answer(200, None, json!({"keys": [old]}).to_string()));
    let token = world.approve_for(&front.url, action("{}")).await.token;
    assert_eq!(reason(&world, &gate, &token).await, Some("unknown_key"));
    world.pass(59);
    assert_eq!(reason(&world, &gate, &token).await, Some("unknown_key"));
    world.pass(1);
    assert_eq!(reason(&world, &gate, &token).await, None);
    assert_eq!(fetches(&front), 2);
}

#[tokio::test]
async fn keys_of_other_kinds_are_passed_over() {
    let (world, front) = world_and_front().await;
    let published = world.browser().open(&format!("{}{KEYS}", world.host.issuer_url)).await.html;
    let mut set: serde_json::Value = serde_json::from_str(&published).expect("a set");
    let others =
        [json!({"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "rsa"}), json!(null), json!({"kty": "OKP"})];
    set["keys"].as_array_mut().expect("keys").splice(0..0, others);
    front.trouble(KEYS, Trouble::Answer(200, None, set.to_string()));
    let token = world.approve_for(&front.url, action("{}")).await.token;
    assert_eq!(reason(&world, &World::gate_of(&front.url, "gate"), &token).await, None);
}

#[tokio::test]
async fn without_keys_nothing_runs_and_nothing_is_used_up() {
    let (world, front) = world_and_front().await;
    let gate = World::gate_of(&front.url, "gate");
    let approved = world.approve_for(&front.url, action("{}")).await;
    let elsewhere = Some(("location", format!("{}{KEYS}", world.host.issuer_url)));
    let answers = [
        (200, None, "<html></html>"),
        (200, None, r#"{"keys":{}}"#),
        (200, None, "[]"),
        (302, elsewhere, ""),
        (404, None, "{}"),
    ];
    for (status, header, body) in answers {
        front.trouble(KEYS, Trouble::Answer(status, header, body.to_owned()));
        assert_eq!(reason(&world, &gate, &approved.token).await, Some("keys_unavailable"), "{status} {body}");
        // In the same second nobody is asked again.
        assert_eq!(reason(&world, &gate, &approved.token).await, Some("keys_unavailable"));
        assert_eq!(front.take_requests(), [KEYS]);
        world.pass(1);
    }
    for _ in 0..sayso_sdk::ATTEMPTS {
        front.trouble(KEYS, Trouble::LoseAnswer);
    }
    assert_eq!(reason(&world, &gate, &approved.token).await, Some("keys_unavailable"));
    world.pass(1);
    assert_eq!(reason(&world, &gate, &approved.token).await, None);
}

/// Neither the keys nor `redeem` can be reached: at an address where nobody listens, and at one that went away.
#[tokio::test]
async fn an_issuer_that_is_gone_lets_nothing_run() {
    let world = World::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let nowhere = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let approved = world.approve_for(&nowhere, action("{}")).await;
    let gate = World::gate_of(&nowhere, "gate");
    let run = |token: ApprovalToken, action: Action| {
        let (gate, now) = (&gate, world.clock.now());
        async move { gate.permit(&token, action, now).await.err() }
    };
    assert_eq!(run(approved.token, action("{}")).await, Some(Refusal::KeysUnavailable));

    let front = Front::start(&world.host.issuer_url).await;
    let gate = World::gate_of(&front.url, "gate");
    let first = world.approve_for(&front.url, action("{}")).await;
    assert_eq!(reason(&world, &gate, &first.token).await, None);
    let second = world.approve_for(&front.url, action("{}")).await;
    drop(front);
    let reason = reason(&world, &gate, &second.token).await;
    assert!(matches!(reason, Some("unreachable" | "unanswered")), "{reason:?}");
    assert_eq!(world.table().keys("REDEMPTION#").await.len(), 1);
}
