//! What was signed by keys of before.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sayso_model::token::TYPE;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{History, entries, entry, text};

impl History {
    /// Puts a token that another key signed in the place of the used one: the audit key takes the part of one that the issuer
    /// published before.
    async fn resigned(&self, change: impl FnOnce(&mut Value)) -> String {
        let former = self.operated.world.audit_signer().await;
        let header = json!({"alg": "ES256", "typ": TYPE, "kid": former.public_key().id().as_str()});
        let says = self.token.split('.').nth(1).expect("claims");
        let says = URL_SAFE_NO_PAD.decode(says).expect("base64url");
        let mut says: Value = serde_json::from_slice(&says).expect("JSON");
        change(&mut says);
        let signed = [header, says].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let signature = former.sign(Sha256::digest(signed.as_bytes()).into()).await.expect("a signature");
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()));
        self.change(&format!("OUTCOME#{}", self.used), "token", text(&token)).await;
        token
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_under_a_key_that_is_no_longer_published_is_told_if_the_key_is_given() {
    let history = History::new().await;
    history.keys().await;
    let token = history.resigned(|_| {}).await;

    let without = history.export("without", &[]).await;
    assert!(without.status == 0 && without.all.contains("1 row failed verification"), "{}", without.all);
    let with = history.export("with", &["--issuer-keys", "audit-keys.json"]).await;
    assert!(with.status == 0 && !with.all.contains("failed verification"), "{}", with.all);
    let entries = entries(&history.lines("with"));
    assert_eq!(entry(&entries, "token", &history.used)["fact"]["token"], token);
    // Those of the published key as well.
    assert_eq!(entry(&entries, "outcome", &history.fresh)["fact"]["outcome"], "approved");
    let both = ["--issuer-keys", "audit-keys.json", "--issuer-keys", "issuer-keys.json", "with"];
    let verified = history.verify(&both).await;
    assert!(verified.status == 0 && verified.all.contains("that verifies: 1"), "{}", verified.all);
    let nothing = history.export("nothing", &["--issuer-keys", "nothing.json"]).await;
    assert!(nothing.status == 2 && nothing.all.contains("cannot be used as keys"), "{}", nothing.all);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_continues_none_that_somebody_else_signed() {
    let history = History::new().await;
    history.keys().await;
    let former = history.operated.world.signer().await;
    history.dishonest("other", &former, |fact| vec![fact]).await;
    let later = history.end.plus(std::time::Duration::from_secs(60)).to_string();
    let next = ["--to", &later, "--previous", "other"];
    let refused = history.export("next", &next).await;
    assert_eq!(refused.status, 1, "{}", refused.all);
    assert!(refused.all.contains("other cannot be continued: "), "{}", refused.all);
    assert!(refused.all.contains("which is none of those you trust"), "{}", refused.all);
    assert!(!history.operated.folder.path().join("next").exists());
    // After the audit key was changed: by the name of the former one.
    let id = former.public_key().id().to_string();
    history.exported("next", &[&next[..], &["--key", &id]].concat()).await;
    let verified = history.verify(&["--key", &id, "other", "next"]).await;
    assert_eq!(verified.status, 0, "{}", verified.all);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_verify_would_refuse_is_not_written() {
    let history = History::new().await;
    history.keys().await;
    // It holds by its signature, and is of another issuer than the export.
    history.resigned(|says| says["iss"] = "https://former.example".into()).await;
    let refused = history.export("audit.jsonl", &["--issuer-keys", "audit-keys.json"]).await;
    assert_eq!(refused.status, 1, "{}", refused.all);
    assert!(refused.all.contains("nothing was written: `audit verify` would refuse"), "{}", refused.all);
    assert!(!history.operated.folder.path().join("audit.jsonl").exists());
    // Without that key nothing attests it, which can be told.
    history.exported("audit.jsonl", &[]).await;
    assert_eq!(history.verify(&["audit.jsonl"]).await.status, 0);
}
