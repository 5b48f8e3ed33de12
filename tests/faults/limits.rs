//! Every client's limits are as documented, and fit into the time that the template gives the functions.

use std::time::Duration;

use sayso_cloud::{
    ATTEMPT_LIMIT, ATTEMPTS, CONNECT_LIMIT, INTERACTIVE_TIMEOUTS, OPERATION_LIMIT, READ_ATTEMPTS,
};
use sayso_local::outbox::Fate;
use sayso_model::passkey::RequiredProof;
use sayso_model::{AgentName, SENDING_LIMIT};
use sayso_sdk::MAX_WAIT;
use sayso_tests::{Authenticator, Ceremony, Template, World, action};
use serde_json::json;

use crate::document::table;

/// How long Lambda lets a function start.
const START_LIMIT: Duration = Duration::from_secs(10);

/// The calls to AWS in a row that a claim of `request_approval` can lead to at worst, after the agent's row: another claim, the
/// rows, the key, the request, the rows again; then the notice, the mail and the notice again. What the mail must not show is
/// read beside the notice, and a newer request is written beside all of these; where the request is new, that read stands in
/// the place of the rows and the notice.
const AFTER_A_CLAIM: u32 = 8;

/// Between two claims.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

fn timeout(function: &str) -> Duration {
    let seconds = Template::read().property(function, "Timeout").parse().expect("seconds");
    Duration::from_secs(seconds)
}

/// A limit that only its own crate knows.
fn constant(file: &str, name: &str) -> Duration {
    let source = std::fs::read_to_string(sayso_tests::workspace().join(file)).expect("a source");
    let value = source.split(&format!("const {name}: Duration = Duration::from_secs(")).nth(1);
    let digits = value.and_then(|rest| rest.split(')').next());
    Duration::from_secs(digits.and_then(|digits| digits.parse().ok()).expect("seconds"))
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs())
}

/// As many calls as each function was seen to make in a row, each as slow as it may be, fit into its time.
#[tokio::test]
async fn the_calls_of_each_function_fit_into_its_time() {
    let world = World::new().await;
    let agent = world.agent().await;
    world.tap.take_calls();
    let calls = |world: &World| u32::try_from(world.tap.take_calls().len()).expect("few");
    let mut most = Vec::new();

    let id = agent.ask("t").await.field("approval_id").to_owned();
    let asking = OPERATION_LIMIT * calls(&world);
    world.browser().open(&world.link(&id).0).await;
    most.push(("Page", OPERATION_LIMIT * calls(&world)));
    most.push(("Decide", approving_by_passkey(&world, &id).await));
    let approved = world.approve(action("{}")).await;
    world.tap.take_calls();
    world.redeem(&approved.redemption("0123456789abcdef")).await;
    most.push(("Redeem", OPERATION_LIMIT * calls(&world)));

    world.comes_back(&id, Fate::Bounce).await;
    most.push(("Feedback", OPERATION_LIMIT * calls(&world)));

    let invited = world.invite("approver-deploy-bot").await;
    world.tap.take_calls();
    world.enrol(&Authenticator::new(), &invited).await;
    most.push(("Enrol", OPERATION_LIMIT * calls(&world)));

    // A check that waits until the deadline: its last look comes at the end of the wait, and then it records the outcome.
    let id = agent.ask("u").await.field("approval_id").to_owned();
    world.pass(3_600);
    world.tap.take_calls();
    agent.call("check_approval", json!({"approval_id": id, "wait_seconds": 50})).await;
    let checking = MAX_WAIT + OPERATION_LIMIT * (calls(&world) + 1);
    let claiming = constant("functions/mcp/src/tools/request_approval/claim.rs", "CLAIMING_LIMIT");
    let claiming = claiming + LONGEST_PAUSE + OPERATION_LIMIT * (AFTER_A_CLAIM + 1);
    assert!(asking < claiming);
    most.insert(0, ("Mcp", checking.max(claiming)));

    let rows = most.into_iter().map(|(function, at_worst)| {
        let given = timeout(function);
        assert!(at_worst >= OPERATION_LIMIT && at_worst <= given, "{function}: {at_worst:?} in {given:?}");
        vec![function.to_owned(), seconds(at_worst), seconds(given)]
    });
    let documented = table("What each function may take").into_iter().map(|row| row[..3].to_vec());
    assert_eq!(documented.collect::<Vec<_>>(), rows.collect::<Vec<_>>());
}

/// With a passkey that counts, which takes more calls than the code does.
async fn approving_by_passkey(world: &World, id: &str) -> Duration {
    let mut own = Authenticator::counting_from(1);
    world.enrol(&own, &world.invite("approver-deploy-bot").await).await;
    let agent = AgentName::parse("deploy-bot").expect("a name");
    world.host.registry().set_agent_proof(&agent, RequiredProof::Passkey).await.expect("set");
    let page = world.browser().open(&world.link(id).0).await;
    let challenge = page.html.split("data-challenge=\"").nth(1).and_then(|rest| rest.split('"').next());
    let ceremony = Ceremony::get(challenge.expect("a challenge"), &world.host.page_url);
    let answer = own.answer(&ceremony).to_string();
    world.tap.take_calls();
    let fields = [("credential", answer.as_str())];
    let decided = world.browser().submit(&page.form(), &fields, Some(("verdict", "approve"))).await;
    assert_eq!(decided.status, 200, "{}", decided.text());
    let calls = u32::try_from(world.tap.take_calls().len()).expect("few");
    world.host.registry().set_agent_proof(&agent, RequiredProof::EmailLink).await.expect("set");
    OPERATION_LIMIT * calls
}

#[test]
fn every_clients_limits_are_the_documented_ones() {
    let row = |client: &str,
               connect: Option<Duration>,
               attempt: Option<Duration>,
               attempts: u32,
               whole: Option<Duration>| {
        let or_none = |limit: Option<Duration>| limit.map_or("none".to_owned(), seconds);
        vec![client.to_owned(), or_none(connect), or_none(attempt), attempts.to_string(), or_none(whole)]
    };
    let patience = constant("infra/operator/src/connection.rs", "PATIENCE");
    let to_server = constant("infra/gate/src/relay/upstream/endpoint.rs", "CONNECT_LIMIT");
    let [connect, attempt, whole] = INTERACTIVE_TIMEOUTS;
    let (gates, times) = (sayso_sdk::ATTEMPT_LIMIT, u32::try_from(sayso_sdk::ATTEMPTS).expect("few"));
    let rows = [
        row("functions, DynamoDB", Some(CONNECT_LIMIT), Some(ATTEMPT_LIMIT), ATTEMPTS, Some(OPERATION_LIMIT)),
        row("functions, KMS", Some(CONNECT_LIMIT), Some(ATTEMPT_LIMIT), ATTEMPTS, Some(OPERATION_LIMIT)),
        row("functions, SES", Some(CONNECT_LIMIT), Some(OPERATION_LIMIT), 1, Some(OPERATION_LIMIT)),
        row(
            "a gate, redeem and keys",
            Some(sayso_sdk::CONNECT_LIMIT),
            Some(gates),
            times,
            Some(gates * times),
        ),
        row("a gate, mcp", Some(sayso_sdk::CONNECT_LIMIT), Some(gates), times, Some(gates * times)),
        row("sayso-gate, an MCP server", Some(to_server), None, 1, None),
        row("sayso, AWS", Some(connect), Some(attempt), ATTEMPTS, Some(whole)),
        row("sayso, SES", Some(connect), Some(attempt), READ_ATTEMPTS, Some(whole)),
        row("sayso, the deployment", None, Some(patience), 1, Some(patience)),
    ];
    let documented = table("Time limits and retries").into_iter().map(|row| row[..5].to_vec());
    assert_eq!(documented.collect::<Vec<_>>(), rows);
}

/// A sender that is taken for dead is: Lambda has ended it.
#[test]
fn a_sender_is_dead_before_it_is_taken_for_it() {
    assert!(timeout("Mcp") < SENDING_LIMIT);
}

/// One call to KMS, or two at once.
#[test]
fn a_start_fits_into_what_lambda_gives_it() {
    assert!(OPERATION_LIMIT < START_LIMIT);
    assert!(CONNECT_LIMIT < ATTEMPT_LIMIT && ATTEMPT_LIMIT < OPERATION_LIMIT);
}

/// A gate does not give up on an issuer that is still at one slow call.
#[test]
fn a_gate_waits_for_longer_than_a_call_of_the_issuer_may_take() {
    assert!(
        OPERATION_LIMIT < sayso_sdk::ATTEMPT_LIMIT && sayso_sdk::CONNECT_LIMIT < sayso_sdk::ATTEMPT_LIMIT
    );
}
