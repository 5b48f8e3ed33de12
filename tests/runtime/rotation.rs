//! The signing key is replaced while approvals are open, approved and waiting to be redeemed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sayso_model::token::{ApprovalToken, Jwks, key_id};
use serde_json::{Value, json};

use crate::deployment::{Deployment, decide, digest, domain, read_page, redeem};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_the_key_before_redeems_and_a_new_one_is_signed_by_the_new_key() {
    let deployment = Deployment::start().await;
    let (old, new) = (deployment.backends.key_arn.clone(), deployment.backends.spare_key_arn.clone());
    let before = approved(&deployment, "before").await;
    let old_keys = published(&deployment).await;
    assert_eq!(old_keys, std::slice::from_ref(&before.kid));

    // First the next key is published; the first one still signs.
    let deployment = deployment.with_keys(&old, &new).await;
    let during = approved(&deployment, "during").await;
    let both = published(&deployment).await;
    assert_eq!((both.len(), &both[0], &during.kid), (2, &before.kid, &before.kid));

    // Then they change places.
    let deployment = deployment.with_keys(&new, &old).await;
    let after = approved(&deployment, "after").await;
    assert_eq!(after.kid, both[1]);
    assert_eq!(published(&deployment).await, [both[1].clone(), both[0].clone()]);

    // An answer given under the old key is an answer still: to its agent, on its page, and at the gate, once.
    for given in [&before, &during, &after] {
        let told = deployment.tool("check_approval", json!({"approval_id": given.id})).await;
        assert_eq!(told["approval_token"], given.token);
        let page = deployment.open(&format!("https://{}/{}", domain("Page"), given.id)).await;
        assert_eq!(page.status, 200, "{}", page.body);
        for (nonce, status) in [("0123456789abcdef", 200), ("another-attempt-1", 409)] {
            let reply = redeem(&deployment, &given.token, &given.digest, nonce).await;
            assert_eq!(reply.status, status, "{}", reply.body);
        }
    }
}

/// The issuer's name outlives the function behind it, and is in every token.
#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_under_a_name_of_its_own_signs_and_redeems_by_that_name() {
    let deployment = Deployment::start().await.with_issuer("https://issuer.example.com").await;
    let given = approved(&deployment, "named").await;
    let claims = given.token.split('.').nth(1).expect("claims");
    let claims = URL_SAFE_NO_PAD.decode(claims).expect("base64url");
    let claims: Value = serde_json::from_slice(&claims).expect("JSON");
    assert_eq!(claims["iss"], "https://issuer.example.com");
    // CloudFront calls the function by the function's own name.
    let reply = redeem(&deployment, &given.token, &given.digest, "0123456789abcdef").await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    // What was signed under another name is another issuer's.
    let deployment = deployment.with_issuer("https://another.example.com").await;
    let reply = redeem(&deployment, &given.token, &given.digest, "0123456789abcdef").await;
    assert!(reply.status == 403 && reply.body.contains("wrong_issuer"), "{}", reply.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_a_key_that_is_gone_is_refused() {
    let deployment = Deployment::start().await;
    let new = deployment.backends.spare_key_arn.clone();
    let before = approved(&deployment, "before").await;
    let deployment = deployment.with_keys(&new, "").await;
    assert_eq!(published(&deployment).await.len(), 1);
    let reply = redeem(&deployment, &before.token, &before.digest, "0123456789abcdef").await;
    assert_eq!((reply.status, reply.json()["reason"].as_str()), (403, Some("unknown_key")));
    deployment.redeem.log_with("a redemption was refused").await;
    let status = deployment.open(&format!("https://{}/{}", domain("Page"), before.id)).await;
    assert_eq!(status.status, 500, "{}", status.body);
}

struct Approved {
    id: String,
    token: String,
    digest: String,
    kid: String,
}

async fn approved(deployment: &Deployment, volume: &str) -> Approved {
    let asked = json!({"tool": "delete_volume", "arguments": {"volume": volume}, "summary": "Delete it"});
    let asked = deployment.tool("request_approval", asked).await;
    let id = asked["approval_id"].as_str().expect("an id").to_owned();
    let page = read_page(deployment).await;
    assert_eq!(decide(deployment, &page, "approve").await.status, 200);
    let told = deployment.tool("check_approval", json!({"approval_id": id})).await;
    let token = told["approval_token"].as_str().unwrap_or_else(|| panic!("no token in {told}")).to_owned();
    let kid = key_id(&ApprovalToken::from_text(&token)).expect("a kid").to_owned();
    let digest = digest(volume);
    Approved { id, token, digest, kid }
}

/// The ids of the published keys, in order.
async fn published(deployment: &Deployment) -> Vec<String> {
    let reply = deployment.open(&format!("https://{}/.well-known/jwks.json", domain("Redeem"))).await;
    let keys: Jwks = serde_json::from_str(&reply.body).expect("a key set");
    keys.keys.into_iter().map(|key| key.kid).collect()
}
