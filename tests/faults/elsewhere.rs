//! Another execution environment of a function, beside those of a [`Deployment`]; and another deployment over the same
//! table, for which more time has passed.

use std::time::Duration;

use sayso_cloud::Clock;
use sayso_local::host::{Backends, Host, Settings};
use sayso_tests::{Call, Function, Page, Reply, Tap, Template};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::deployment::{Deployment, FUNCTIONS, domain, environment, structured};

/// The binary once more, as Lambda starts it when the first is busy.
pub(crate) struct Another {
    pub(crate) function: Function,
    pub(crate) tap: Tap,
    _tasks: JoinSet<()>,
}

impl Another {
    /// Returns when it could answer.
    pub(crate) async fn start(name: &str, backends: &Backends) -> Self {
        let (_, binary, domain) =
            FUNCTIONS.into_iter().find(|(known, ..)| *known == name).expect("a function");
        let (template, mut tasks) = (Template::read(), JoinSet::new());
        let (tap, endpoints) = Tap::start(&backends.endpoints, &mut tasks).await;
        let tapped = [("DYNAMODB", endpoints.dynamodb), ("SESV2", endpoints.sesv2), ("KMS", endpoints.kms)];
        let mut told = environment(&template, name, backends);
        for (service, url) in tapped {
            let name = format!("AWS_ENDPOINT_URL_{service}");
            let value = told.iter_mut().find(|(known, _)| *known == name).map(|(_, value)| value);
            *value.expect("an endpoint") = url.expect("an endpoint");
        }
        let memory = template.property(name, "MemorySize");
        let function = Function::start(binary, domain, &memory, &told).await;
        function.ready().await;
        Self { function, tap, _tasks: tasks }
    }
}

/// The same deployment, so much later.
pub(crate) async fn later(backends: &Backends, by: Duration) -> Host {
    let clock = Clock::scripted(Clock::system().now().plus(by));
    let settings = Settings::new(0).expect("settings");
    Host::start(backends, backends.endpoints.clone(), settings, clock).await.expect("functions")
}

/// What is asked about a volume.
pub(crate) fn asking(volume: &str) -> Value {
    json!({"tool": "delete_volume", "arguments": {"volume": volume}, "summary": "Delete it"})
}

/// A call of a tool, for any environment of the agent's function.
pub(crate) fn tool(deployment: &Deployment, name: &str, arguments: Value) -> Call {
    deployment.rpc("tools/call", json!({"name": name, "arguments": arguments}))
}

/// Asks, with a mail; the approval's id.
pub(crate) async fn ask(deployment: &Deployment, volume: &str) -> String {
    let answer = deployment.tool("request_approval", asking(volume)).await;
    assert_eq!(answer["mail_sent"], true, "{answer}");
    answer["approval_id"].as_str().expect("an id").to_owned()
}

/// How it stands.
pub(crate) async fn check(deployment: &Deployment, id: &str) -> Value {
    deployment.tool("check_approval", json!({"approval_id": id, "wait_seconds": 0})).await
}

/// The form of a page with its code typed, for any environment of `decide`.
pub(crate) fn form(page: &Page, verdict: &str) -> Call {
    let form = page.form();
    let path = form.action.strip_prefix(&format!("https://{}", domain("Decide"))).expect("a path");
    let body = format!("secret={}&code={}&note=&verdict={verdict}", form.fields["secret"], page.code());
    Call::new("POST", path).body("application/x-www-form-urlencoded", &body).in_base64()
}

/// What a redemption is told: the sentence, or the receipt.
pub(crate) fn told_gate(reply: &Reply) -> String {
    reply.json()["detail"].as_str().map_or(reply.body.clone(), str::to_owned)
}

/// A reply that is a page, as its reader has it.
pub(crate) fn text(reply: Reply) -> String {
    reply.page(&format!("https://{}/", domain("Decide"))).text()
}

/// The `next` of a tool's answer.
pub(crate) fn next(reply: &Reply) -> String {
    structured(&reply.json())["next"].as_str().expect("a sentence").to_owned()
}
