//! Somebody writes into the table: a row that says `approved` is not an approval, and a changed request is not the one
//! that was read.

use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sayso_cloud::{Aws, Signer};
use sayso_model::token::{ApprovalToken, AuthorizationDetail, Claims, DETAIL_TYPE, TYPE};
use sayso_model::{ApprovalId, ClosedApproval, Decision, Outcome, ProvenBy, Request, Retention};
use sayso_tests::{Page, Protocol, RawAnswer, Verdict, World, string};
use serde_json::json;
use sha2::{Digest as _, Sha256};

async fn signer(world: &World) -> Signer {
    let aws = Aws::at(world.backends.endpoints.clone());
    Signer::connect(aws.kms(), world.backends.key_arn.clone()).await.expect("a signer")
}

async fn request(world: &World, id: &str) -> Arc<Request> {
    let id = ApprovalId::parse(id).expect("an id");
    world.store().await.approval(id, world.clock.now()).await.expect("a read").expect("a request").request
}

/// `approved`, with whatever token.
async fn approved_row(world: &World, id: &str, token: ApprovalToken) -> ClosedApproval {
    let decision =
        Decision { at: world.clock.now(), proven_by: ProvenBy::EmailLink, passkey: None, note: None };
    ClosedApproval { request: request(world, id).await, outcome: Outcome::Approved { decision, token } }
}

/// A token that is right in everything but who signed it and which key it names.
async fn token_signed_by(world: &World, id: &str, signer: &Signer, key_id: &str) -> ApprovalToken {
    let request = request(world, id).await;
    let now = world.clock.now().as_unix_seconds();
    let claims = Claims {
        iss: world.host.issuer_url.clone(),
        jti: id.to_owned(),
        sub: format!("agent:{}", request.agent),
        aud: request.audience.as_str().to_owned(),
        iat: now,
        nbf: now,
        exp: now + 3_600,
        auth_time: now,
        amr: ProvenBy::EmailLink.amr(),
        approver: request.approver.as_str().to_owned(),
        authorization_details: [AuthorizationDetail {
            r#type: DETAIL_TYPE.to_owned(),
            tool: request.action.tool.as_str().to_owned(),
            digest: request.action.digest().to_string(),
        }],
    };
    let header = json!({"alg": "ES256", "typ": TYPE, "kid": key_id});
    let encode = |text: String| URL_SAFE_NO_PAD.encode(text);
    let claims = serde_json::to_string(&claims).expect("claims");
    let signed = format!("{}.{}", encode(header.to_string()), encode(claims));
    let signature = signer.sign(Sha256::digest(&signed).into()).await.expect("a signature");
    ApprovalToken::from_text(&format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes())))
}

fn assert_incident(answer: &RawAnswer, id: &str) {
    let (code, message) = answer.error().unwrap_or_else(|| panic!("{} {}", answer.status, answer.body));
    assert_eq!(code, -32_603);
    let error_id = answer.json()["error"]["data"]["error_id"].as_str().unwrap_or_default().to_owned();
    assert!(error_id.len() > 10 && message.contains(&error_id), "{message}");
    for detail in ["token", "signature", "OUTCOME", "corrupt", "dynamodb", "approved", id] {
        assert!(!answer.body.to_lowercase().contains(&detail.to_lowercase()), "{detail} in {}", answer.body);
    }
}

fn assert_failed(page: &Page) {
    assert_eq!(page.status, 500);
    assert!(page.text().contains("error "), "{}", page.text());
    for detail in ["Approved", "approved", "token", "OUTCOME", "corrupt", "drop_table"] {
        assert!(!page.text().contains(detail), "{detail} in {}", page.text());
    }
}

/// A row for each of seven approvals that says `approved`, with no token, a broken one, another's, or another key's.
async fn forged_rows(world: &World, ids: &[String], genuine: &str) -> Vec<ClosedApproval> {
    let parts: Vec<&str> = genuine.split('.').collect();
    let text = ApprovalToken::from_text;
    let elsewhere = World::new().await;
    let (ours, theirs) = (signer(world).await, signer(&elsewhere).await);
    vec![
        approved_row(world, &ids[0], text("")).await,
        approved_row(world, &ids[1], text("approved")).await,
        approved_row(world, &ids[2], text(genuine)).await,
        approved_row(world, &ids[3], text(&format!("{}.{}.", parts[0], parts[1]))).await,
        // {"alg":"none","typ":"sayso-approval+jwt","kid":""}
        approved_row(
            world,
            &ids[4],
            text(&format!(
                "eyJhbGciOiJub25lIiwidHlwIjoic2F5c28tYXBwcm92YWwrand0Iiwia2lkIjoiIn0.{}.{}",
                parts[1], parts[2]
            )),
        )
        .await,
        approved_row(
            world,
            &ids[5],
            token_signed_by(world, &ids[5], &theirs, ours.public_key().id().as_str()).await,
        )
        .await,
        approved_row(
            world,
            &ids[6],
            token_signed_by(world, &ids[6], &theirs, theirs.public_key().id().as_str()).await,
        )
        .await,
    ]
}

#[tokio::test]
async fn a_row_that_says_approved_without_a_token_that_says_so_is_approved_to_nobody() {
    let world = World::new().await;
    let (agent, raw) = (world.agent().await, world.raw());
    let approved = agent.ask("approved").await.field("approval_id").to_owned();
    world.browser().decide(&world.link(&approved), Verdict::Approve, "").await;
    let genuine = agent.check(&approved).await.field("approval_token").to_owned();
    let ids: Vec<String> = {
        let mut ids = Vec::new();
        for table in ["a", "b", "c", "d", "e", "f", "g"] {
            ids.push(agent.ask(table).await.field("approval_id").to_owned());
        }
        ids
    };
    let rows = forged_rows(&world, &ids, &genuine).await;
    let store = world.store().await;
    for (id, row) in ids.iter().zip(rows) {
        let (link, browser) = (world.link(id), world.browser());
        let before = browser.open(&link.0).await;
        // A write of whoever may write: it asks nobody for a signature.
        store.conclude(row, Retention::default()).await.unwrap();
        for protocol in Protocol::ALL {
            for tool in ["check_approval", "withdraw_approval"] {
                assert_incident(&raw.call(protocol, tool, &format!(r#"{{"approval_id":"{id}"}}"#)).await, id);
            }
        }
        assert_failed(&browser.open(&link.0).await);
        assert_failed(&browser.open(&format!("{}/{id}", world.host.page_url)).await);
        for verdict in ["approve", "deny"] {
            assert_failed(
                &browser
                    .submit(&before.form(), &[("code", &before.code())], Some(("verdict", verdict)))
                    .await,
            );
        }
    }
    assert_eq!(agent.check(&approved).await.field("status"), "approved", "the genuine one is untouched");
}

/// The control: made in the same way but with the deployment's own key, it is an approval, so the key makes the
/// difference.
#[tokio::test]
async fn the_same_token_signed_by_the_deployments_own_key_would_pass() {
    let world = World::new().await;
    let id = world.agent().await.ask("customers_2019").await.field("approval_id").to_owned();
    let ours = signer(&world).await;
    let token = token_signed_by(&world, &id, &ours, ours.public_key().id().as_str()).await;
    let row = approved_row(&world, &id, token).await;
    world.store().await.conclude(row, Retention::default()).await.unwrap();
    assert_eq!(world.agent().await.check(&id).await.field("status"), "approved");
}

#[tokio::test]
async fn a_waiting_agent_is_not_told_a_forged_approval_either() {
    let world = World::new().await;
    let id = world.agent().await.ask("customers_2019").await.field("approval_id").to_owned();
    let raw = world.raw();
    let arguments = format!(r#"{{"approval_id":"{id}","wait_seconds":50}}"#);
    let waiting = tokio::spawn(async move { raw.call(Protocol::New, "check_approval", &arguments).await });
    while !world.tap.take_calls().contains(&"BatchGetItem".to_owned()) {
        tokio::task::yield_now().await;
    }
    let row = approved_row(&world, &id, ApprovalToken::from_text("a.b.c")).await;
    world.store().await.conclude(row, Retention::default()).await.unwrap();
    assert_incident(&world.pass_until_done(waiting).await, &id);
}

#[tokio::test]
async fn a_request_changed_after_it_was_read_is_not_what_the_code_approves() {
    let world = World::new().await;
    let agent = world.agent().await;
    for (attribute, forged) in [
        ("arguments", r#"{"cascade":true,"database":"customers","table":"everything"}"#),
        ("tool", "drop_database"),
        ("summary", "Drop nothing"),
        ("reason", "Nobody ever asked."),
        ("audience", "staging"),
        ("approver", "approver-other"),
        ("agent", "other-bot"),
    ] {
        let id = agent.ask(attribute).await.field("approval_id").to_owned();
        let browser = world.browser();
        let read = browser.open(&world.link(&id).0).await;
        let key = format!("REQUEST#{id}");
        let mut row = world.table().row(&key).await.unwrap();
        row.insert(attribute.to_owned(), AttributeValue::S(forged.to_owned()));
        world.table().put(row).await;

        let answer =
            browser.submit(&read.form(), &[("code", &read.code())], Some(("verdict", "approve"))).await;
        assert_eq!(answer.status, 422, "{attribute}");
        assert!(
            answer.text().contains("Nothing has been decided yet")
                && answer.text().contains("The code does not match")
        );
        let again = browser.open(&world.link(&id).0).await;
        assert_ne!(again.code(), read.code(), "another request has another code");
    }
    assert_eq!(world.table().keys("OUTCOME#").await, Vec::<String>::new());
}

#[tokio::test]
async fn an_approval_whose_request_was_changed_afterwards_is_corrupt() {
    let world = World::new().await;
    let agent = world.agent().await;
    for (attribute, forged) in [
        ("arguments", r#"{"cascade":true,"database":"customers","table":"everything"}"#),
        ("tool", "drop_database"),
        ("audience", "staging"),
        ("approver", "approver-other"),
    ] {
        let id = agent.ask(attribute).await.field("approval_id").to_owned();
        world.browser().decide(&world.link(&id), Verdict::Approve, "").await;
        let mut row = world.table().row(&format!("REQUEST#{id}")).await.unwrap();
        assert_ne!(string(&row, attribute), forged);
        row.insert(attribute.to_owned(), AttributeValue::S(forged.to_owned()));
        world.table().put(row).await;
        let check = format!(r#"{{"approval_id":"{id}","wait_seconds":0}}"#);
        assert_incident(&world.raw().call(Protocol::New, "check_approval", &check).await, &id);
        assert_failed(&world.browser().open(&world.link(&id).0).await);
    }
}

#[tokio::test]
async fn a_row_that_does_not_parse_is_an_incident_and_no_answer() {
    let world = World::new().await;
    let agent = world.agent().await;
    for (attribute, forged) in [
        ("arguments", r#"{ "a":1}"#),
        ("arguments", r#"{"a":1,"a":2}"#),
        ("tool", "dr\u{43e}p"),
        ("summary", "two\nlines"),
        ("link_secret_hash", "short"),
        ("agent", "deploy bot"),
    ] {
        let id = agent.ask(&format!("t{}", world.mails().len())).await.field("approval_id").to_owned();
        let mut row = world.table().row(&format!("REQUEST#{id}")).await.unwrap();
        row.insert(attribute.to_owned(), AttributeValue::S(forged.to_owned()));
        world.table().put(row).await;
        let check = format!(r#"{{"approval_id":"{id}","wait_seconds":0}}"#);
        assert_incident(&world.raw().call(Protocol::New, "check_approval", &check).await, &id);
        assert_failed(&world.browser().open(&world.link(&id).0).await);
    }
}

/// The limit that the README names: a link is as good as the one who writes its hash.
#[tokio::test]
async fn whoever_writes_requests_can_plant_a_link_and_the_record_says_no_more_than_email_link() {
    let world = World::new().await;
    let agent = world.agent().await;
    let id = agent.ask("t").await.field("approval_id").to_owned();
    let planted = sayso_cloud::random::link_secret();
    let mut row = world.table().row(&format!("REQUEST#{id}")).await.unwrap();
    row.insert("link_secret_hash".to_owned(), AttributeValue::S(planted.hash().to_string()));
    world.table().put(row).await;
    let link = sayso_tests::Link(format!("{}/{id}/{}", world.host.page_url, planted.expose()));
    assert_eq!(world.browser().decide(&link, Verdict::Approve, "").await.status, 200);
    assert_eq!(agent.check(&id).await.field("proven_by"), "email-link");
}
