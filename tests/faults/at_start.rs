//! KMS does not give the public key to a function that starts.

use sayso_sdk::{ApprovalRequest, Approvals, Audience, BaseUrl, ExpiresIn, Summary};
use sayso_tests::{Fault, Front, Function, Tap, Template, Trouble, World, action};
use tokio::task::JoinSet;

use crate::deployment::{FUNCTIONS, environment};
use crate::document::{Told, row};

/// What a Function URL answers for a function that did not start.
const BAD_GATEWAY: (u16, &str) = (502, "Internal Server Error");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_public_key_no_function_that_verifies_starts_and_with_it_all_do() {
    let world = World::new().await;
    let mut told = Told::default();
    let (template, mut tasks) = (Template::read(), JoinSet::new());
    let (tap, endpoints) = Tap::start(&world.backends.endpoints, &mut tasks).await;
    for (name, binary, domain) in FUNCTIONS.into_iter().filter(|(name, ..)| *name != "Feedback") {
        let mut given = environment(&template, name, &world.backends);
        let kms = given.iter_mut().find(|(known, _)| known == "AWS_ENDPOINT_URL_KMS").expect("KMS");
        kms.1 = endpoints.kms.clone().expect("an endpoint");
        tap.break_all("GetPublicKey", Fault::Refuse(400, "AccessDeniedException"));
        let failed = Function::start(binary, domain, "128", &given).await.init_error().await;
        assert!(failed.contains("AccessDeniedException"), "{failed}");
        told.next.insert(failed);
        tap.mend();
        Function::start(binary, domain, "128", &given).await.ready().await;
    }
    told.gate.extend(through_a_bad_gateway(&world).await);
    row("kms-at-start").is_what_was(&told);
}

/// What a gate makes of it, about the receipt and about a new request.
async fn through_a_bad_gateway(world: &World) -> [String; 2] {
    let mcp = world.host.mcp_url.strip_suffix("/mcp").expect("an address");
    let (issuer, mcp) = (Front::start(&world.host.issuer_url).await, Front::start(mcp).await);
    let approved = world.approve_for(&issuer.url, action("{}")).await;
    for _ in 0..sayso_sdk::ATTEMPTS {
        let (status, body) = BAD_GATEWAY;
        issuer.trouble("/redeem", Trouble::Answer(status, None, body.to_owned()));
        mcp.trouble("/mcp", Trouble::Answer(status, None, body.to_owned()));
    }
    let gate = World::gate_of(&issuer.url, "gate");
    let refused = gate.permit(&approved.token, action("{}"), world.clock.now()).await;
    let url = BaseUrl::parse(&format!("{}/mcp", mcp.url)).expect("an address");
    let approvals = Approvals::new(url, world.agent_key.clone()).expect("TLS");
    let asking = ApprovalRequest {
        action: &action("{}"),
        audience: &Audience::parse("production").expect("an audience"),
        summary: &Summary::parse("Drop it").expect("a summary"),
        reason: None,
        earlier: None,
        expires_in: ExpiresIn::default(),
    };
    let not_asked = approvals.request(&asking).await.expect_err("no answer").to_string();
    [refused.expect_err("nothing runs").to_string(), not_asked]
}
