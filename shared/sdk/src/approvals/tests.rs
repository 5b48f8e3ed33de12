use sayso_model::{CanonicalJson, ToolName};
use tokio::net::TcpListener;

use super::*;

fn client(listener: &TcpListener) -> Approvals {
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    Approvals::new(BaseUrl::parse(&url).unwrap(), AgentKey::from_random([7; 32])).unwrap()
}

fn id() -> ApprovalId {
    ApprovalId::parse("01JD3V8Q5Z7XW2N4M6K8P0R1ST").unwrap()
}

#[test]
fn the_arguments_go_onto_the_wire_as_they_are_hashed() {
    let text = r#"{"a":1.5e-9,"b":"\u2028é","c":[0.1,9007199254740991]}"#;
    let canonical = CanonicalJson::parse(text).unwrap();
    let action = Action { tool: ToolName::parse("t").unwrap(), arguments: canonical.clone() };
    let summary = Summary::parse("A “summary”").unwrap();
    let body = request_body(&ApprovalRequest {
        action: &action,
        audience: &Audience::parse("production").unwrap(),
        summary: &summary,
        reason: None,
        earlier: None,
        expires_in: ExpiresIn::default(),
    });
    assert!(body.contains(&format!(r#""arguments":{},"summary":"#, canonical.as_str())), "{body}");
    let sent: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(sent["params"]["arguments"]["expires_in_seconds"], 3600);
    assert!(sent["params"]["arguments"].get("reason").is_none());
}

#[test]
fn the_key_is_in_nothing_that_is_printed() {
    let key = AgentKey::from_random([7; 32]);
    let approvals =
        Approvals::new(BaseUrl::parse("https://sayso.example/mcp").unwrap(), key.clone()).unwrap();
    assert!(!format!("{approvals:?}").contains(key.expose()));
}

/// On paused time: the limits pass at once when there is nothing else to wait for.
#[tokio::test(start_paused = true)]
async fn a_sayso_that_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let approvals = client(&listener);
    let silent = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            held.push(connection);
        }
    });
    let refused = approvals.check(id(), MAX_WAIT).await;
    assert!(matches!(refused, Err(ApprovalError::Unanswered | ApprovalError::Unreachable)), "{refused:?}");
    silent.abort();
}

#[tokio::test]
async fn a_closed_port_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let approvals = client(&listener);
    drop(listener);
    assert_eq!(approvals.check(id(), Duration::ZERO).await, Err(ApprovalError::Unreachable));
    assert_eq!(approvals.withdraw(id()).await, Err(ApprovalError::Unreachable));
}
