use sayso_model::passkey::RequiredProof;
use sayso_model::{Approver, ApproverId, Audience, EmailAddress, Masks};
use sayso_tests::{Agent, Authenticator, Ceremony, Form, Page, World};
use serde_json::Value;

/// A deployment whose gate takes a passkey.
pub(crate) struct Deployment {
    pub(crate) world: World,
    pub(crate) agent: Agent,
}

pub(crate) const APPROVER: &str = "approver-deploy-bot";

impl Deployment {
    pub(crate) async fn new() -> Self {
        Self::over(World::new().await).await
    }

    /// Time passes by itself, as it does for a browser and for the operator's program.
    pub(crate) async fn live() -> Self {
        Self::over(World::live().await).await
    }

    async fn over(world: World) -> Self {
        let gate = sayso_cloud::operator::RegisteredGate {
            audience: Audience::parse("production").expect("an audience"),
            description: None,
            masks: Masks::NONE,
            proof: RequiredProof::Passkey,
            created_at: world.clock.now(),
        };
        let registry = world.host.registry();
        registry.add_gate(&gate).await.expect("a gate");
        let email = EmailAddress::parse("alex@example.com").expect("an address");
        let approver = Approver { id: approver(), email };
        registry.add_approver(&approver, false, world.clock.now()).await.expect("an approver");
        let agent = world.agent().await;
        Self { world, agent }
    }

    /// With a passkey enrolled.
    pub(crate) async fn enrolled() -> (Self, Authenticator) {
        let deployment = Self::new().await;
        let authenticator = Authenticator::new();
        let invited = deployment.world.invite(APPROVER).await;
        let page = deployment.world.enrol(&authenticator, &invited).await;
        assert_eq!(page.status, 200, "{}", page.text());
        (deployment, authenticator)
    }

    /// Asks, and opens the mailed link.
    pub(crate) async fn asked(&self, table: &str) -> Asked {
        let id = self.agent.ask(table).await.field("approval_id").to_owned();
        let page = self.world.browser().open(&self.world.link(&id).0).await;
        let challenge = attribute(&page.html, "data-challenge=\"").to_owned();
        Asked { id, form: page.form(), code: page.code(), challenge }
    }

    /// Sends a passkey's answer as the page's script does.
    pub(crate) async fn approve(&self, asked: &Asked, answer: &Value) -> Page {
        let answer = answer.to_string();
        self.world
            .browser()
            .submit(&asked.form, &[("credential", &answer)], Some(("verdict", "approve")))
            .await
    }

    /// As an honest browser asks a passkey.
    pub(crate) fn ceremony(&self, asked: &Asked) -> Ceremony {
        Ceremony::get(&asked.challenge, &self.world.host.page_url)
    }

    pub(crate) async fn status(&self, id: &str) -> String {
        self.agent.check(id).await.field("status").to_owned()
    }
}

pub(crate) fn approver() -> ApproverId {
    ApproverId::parse(APPROVER).expect("an id")
}

/// A request that waits, and its page.
pub(crate) struct Asked {
    pub(crate) id: String,
    pub(crate) form: Form,
    pub(crate) code: String,
    pub(crate) challenge: String,
}

fn attribute<'a>(html: &'a str, name: &str) -> &'a str {
    html.split(name).nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default()
}
