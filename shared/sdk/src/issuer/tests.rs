use sayso_model::token::ApprovalToken;
use sayso_model::{Action, Audience, CanonicalJson, ToolName};
use tokio::net::TcpListener;

use super::*;

#[test]
fn keys_are_kept_as_long_as_the_issuer_says() {
    let rows = [
        (&["public, max-age=120"][..], 120),
        (&["MAX-AGE=\"7\""], 7),
        (&["max-age=60", "max-age=30"], 30),
        (&["no-cache, max-age=60"], 0),
        (&["no-store"], 0),
        (&["max-age=soon"], 0),
        (&["public"], 300),
        (&[], 300),
    ];
    for (values, seconds) in rows {
        let headers = values.iter().map(|value| (CACHE_CONTROL, value.parse().unwrap())).collect();
        assert_eq!(max_age(&headers), Duration::from_secs(seconds), "{values:?}");
    }
}

fn request() -> RedemptionRequest {
    let arguments = CanonicalJson::parse("{}").unwrap();
    RedemptionRequest {
        token: ApprovalToken::from_text("a.b.c"),
        digest: Action { tool: ToolName::parse("t").unwrap(), arguments }.digest(),
        audience: Audience::parse("production").unwrap(),
        gate: GateName::parse("gate").unwrap(),
        nonce: crate::nonce::fresh().unwrap(),
    }
}

/// On paused time: the limits pass at once when there is nothing else to wait for.
#[tokio::test(start_paused = true)]
async fn an_issuer_that_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let client = IssuerClient::new(&Issuer::parse(&issuer).unwrap(), None).unwrap();
    let silent = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            held.push(connection);
        }
    });
    let refused = client.redeem(&request()).await;
    assert!(matches!(refused, Err(Refusal::Unanswered | Refusal::Unreachable)), "{refused:?}");
    assert!(client.keys().await.is_none());
    silent.abort();
}

#[tokio::test]
async fn a_closed_port_has_used_nothing_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = IssuerClient::new(&Issuer::parse(&issuer).unwrap(), None).unwrap();
    assert_eq!(client.redeem(&request()).await, Err(Refusal::Unreachable));
}

#[test]
fn two_nonces_differ() {
    assert!(crate::nonce::fresh().unwrap() != crate::nonce::fresh().unwrap());
}
