use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sayso_cloud::{Aws, Signer, Store, random};
use sayso_model::token::{ApprovalToken, Issuer};
use sayso_model::{
    Action, AgentName, Approval, ApproverId, Audience, CanonicalJson, ClosedApproval, DecidingLink, GateName,
    OpenApproval, Outcome, Request, Retention, Summary, TokenLifetime, ToolName,
};
use sayso_sdk::Gate;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::World;

/// How long an approval of [`World::approve`] would stay open, in seconds.
pub const SETTLED: u64 = 600;

/// An approval as decide signs and records it, made without the pages.
#[derive(Debug, Clone)]
pub struct Approved {
    /// What was asked.
    pub request: Request,
    /// The token.
    pub token: ApprovalToken,
}

/// An action of the tool `drop_table`.
pub fn action(arguments: &str) -> Action {
    Action {
        tool: ToolName::parse("drop_table").expect("a name"),
        arguments: CanonicalJson::parse(arguments).expect("arguments"),
    }
}

impl World {
    /// A gate of this deployment, with the audience `production`.
    pub fn gate(&self, name: &str) -> Gate {
        Self::gate_of(&self.host.issuer_url, name)
    }

    /// A gate that trusts `issuer`.
    pub fn gate_of(issuer: &str, name: &str) -> Gate {
        let issuer = Issuer::parse(issuer).expect("an issuer");
        let audience = Audience::parse("production").expect("an audience");
        Gate::new(issuer, audience, GateName::parse(name).expect("a name")).expect("TLS")
    }

    /// The deployment's key, as decide holds it.
    pub async fn signer(&self) -> Signer {
        let aws = Aws::at(self.backends.endpoints.clone());
        Signer::connect(aws.kms(), self.backends.key_arn.clone()).await.expect("the key")
    }

    /// The key that signs audit exports, as an operator holds it.
    pub async fn audit_signer(&self) -> Signer {
        let aws = Aws::at(self.backends.endpoints.clone());
        Signer::connect(aws.kms(), self.backends.audit_key_arn.clone()).await.expect("the key")
    }

    /// The table, as the functions hold it.
    pub async fn store(&self) -> Store {
        let aws = Aws::at(self.backends.endpoints.clone());
        Store::new(aws.dynamodb(), self.backends.table.clone(), self.signer().await.public_key())
    }

    /// A request of now, open, in no table yet.
    pub fn request(&self, action: Action) -> Request {
        let now = self.clock.now();
        Request {
            id: random::approval_id(now),
            agent: AgentName::parse("deploy-bot").expect("a name"),
            approver: ApproverId::parse("approver-deploy-bot").expect("an id"),
            audience: Audience::parse("production").expect("an audience"),
            action,
            summary: Summary::parse("Drop it").expect("a summary"),
            reason: None,
            created_at: now,
            closes_at: now.plus(Duration::from_secs(SETTLED)),
            token_lifetime: TokenLifetime::default(),
            link_secret_hash: random::link_secret().hash(),
        }
    }

    /// Signs a yes, as decide does, without recording anything.
    pub async fn sign_yes(&self, issuer: &str, request: &Request) -> ClosedApproval {
        let issuer = Issuer::parse(issuer).expect("an issuer");
        let signer = self.signer().await;
        // Nobody goes through the page here: a link of its own, which is in no token, proves.
        let (secret, now) = (random::link_secret(), self.clock.now());
        let request = Request { link_secret_hash: secret.hash(), ..request.clone() };
        let link = DecidingLink::admit(secret, &request, None).expect("its link");
        let proof = link.prove(&link.code().to_string()).expect("a proof");
        let open: OpenApproval = match Approval::judge(request, None, now) {
            Approval::Open(open) => open,
            other => panic!("not open: {other:?}"),
        };
        let unsigned = open.approve(proof, None, &issuer, &signer.public_key().id(), now);
        let signature = signer.sign(unsigned.digest()).await.expect("a signature");
        unsigned.signed(&signature)
    }

    /// An approval of `action`, signed for `issuer` and recorded.
    pub async fn approve_for(&self, issuer: &str, action: Action) -> Approved {
        let request = self.request(action);
        self.approve_request(issuer, request, Retention::default()).await
    }

    /// An approval of `action`, signed and recorded.
    pub async fn approve(&self, action: Action) -> Approved {
        self.approve_for(&self.host.issuer_url, action).await
    }

    /// An approval of `request`, signed for `issuer` and recorded.
    pub async fn approve_request(&self, issuer: &str, request: Request, retention: Retention) -> Approved {
        let store = self.store().await;
        assert!(store.put_request(&request, retention).await.expect("a write"));
        let closed = self.sign_yes(issuer, &request).await;
        let outcome = store.conclude(closed, retention).await.expect("a write").into_closed().outcome;
        let Outcome::Approved { token, .. } = outcome else { panic!("not approved") };
        Approved { request, token }
    }

    /// Any header and claims, as text, signed by the deployment's key.
    pub async fn sign(&self, header: &str, claims: &str) -> String {
        let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        let signature = self.signer().await.sign(digest).await.expect("a signature");
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }

    /// `POST /redeem`: status, reason (nothing in a receipt) and body.
    pub async fn redeem(&self, body: &Value) -> (u16, String, Value) {
        let url = format!("{}/redeem", self.host.issuer_url);
        let request = self.http.post(url).json(body);
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let media_type = if status == 200 { "application/json" } else { "application/problem+json" };
        assert_eq!(answer.headers()["content-type"], media_type);
        assert_eq!(answer.headers().contains_key("retry-after"), status == 503);
        let body: Value = answer.json().await.expect("JSON");
        (status, body["reason"].as_str().unwrap_or_default().to_owned(), body)
    }
}

impl Approved {
    /// What a gate would post.
    pub fn redemption(&self, nonce: &str) -> Value {
        json!({
            "token": self.token.expose(),
            "digest": self.request.action.digest().to_string(),
            "audience": "production",
            "gate": "by hand",
            "nonce": nonce,
        })
    }

    /// A part of the token: header or claims.
    pub fn part(&self, index: usize) -> Value {
        let part = self.token.expose().split('.').nth(index).expect("a part");
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
    }
}
