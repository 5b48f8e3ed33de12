use sayso_sdk::{Action, Refusal, TokenRefusal, ToolName};
use sayso_tests::{World, action};

/// What was approved and what is about to run; whether that is the same action.
const ROWS: [(&str, &str, bool); 8] = [
    (r#"{"table":"orders"}"#, r#"{"table":"orders"}"#, true),
    (r#"{"table":"orders"}"#, r#"{"table":"order5"}"#, false),
    (r#"{"count":1}"#, r#"{"count":1.0}"#, true),
    (r#"{"count":1}"#, r#"{"count":"1"}"#, false),
    (r#"{"a":1,"b":[2,3]}"#, "{ \"b\": [2, 3],\n  \"a\": 1 }", true),
    (r#"{"b":[2,3]}"#, r#"{"b":[3,2]}"#, false),
    ("{\"name\":\"caf\u{e9}\"}", "{\"name\":\"cafe\u{301}\"}", false),
    (r#"{"name":"café"}"#, "{\"name\":\"caf\\u00e9\"}", true),
];

#[tokio::test]
async fn what_is_about_to_run_is_what_was_approved_or_nothing_runs() {
    let world = World::new().await;
    let gate = world.gate("gate");
    for (approved, runs, same) in ROWS {
        let approval = world.approve(action(approved)).await;
        let permit = gate.permit(&approval.token, action(runs), world.clock.now()).await;
        if same {
            // The canonical form runs, however it was spelled.
            let permitted = permit.expect(runs).into_action();
            assert_eq!(permitted.arguments, action(approved).arguments);
            continue;
        }
        assert_eq!(permit.err(), Some(Refusal::Token(TokenRefusal::Action)), "{runs}");
        let mut body = approval.redemption("0123456789abcdef");
        body["digest"] = action(runs).digest().to_string().into();
        let (status, reason, _) = world.redeem(&body).await;
        assert_eq!((status, reason.as_str()), (403, "wrong_digest"), "{runs}");
        // It is still good for what was approved.
        assert!(gate.permit(&approval.token, action(approved), world.clock.now()).await.is_ok());
    }
}

#[tokio::test]
async fn another_tool_with_the_same_arguments_is_another_action() {
    let world = World::new().await;
    let approval = world.approve(action("{}")).await;
    let other = Action { tool: ToolName::parse("drop_tables").expect("a name"), ..action("{}") };
    let refused = world.gate("gate").permit(&approval.token, other, world.clock.now()).await;
    assert_eq!(refused.err(), Some(Refusal::Token(TokenRefusal::Action)));
}

#[tokio::test]
async fn another_gates_audience_is_refused_by_the_issuer_too() {
    let world = World::new().await;
    let approval = world.approve(action("{}")).await;
    let mut body = approval.redemption("0123456789abcdef");
    for audience in ["staging", "prod", "production2"] {
        body["audience"] = audience.into();
        let (status, reason, _) = world.redeem(&body).await;
        assert_eq!((status, reason.as_str()), (403, "wrong_audience"), "{audience}");
    }
}
