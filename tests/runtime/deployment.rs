use std::collections::{BTreeMap, BTreeSet};

use sayso_cloud::{Aws, Clock, Endpoints, Signer, Store, random};
use sayso_local::host::Backends;
use sayso_model::{
    Action, Agent, AgentKey, AgentName, Approver, ApproverId, Audience, Audiences, CanonicalJson,
    EmailAddress, ToolName,
};
use sayso_tests::{Call, Function, Page, Reply, Table, Tap, Template};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// As the template names them, with their binaries and their hosts. `feedback` has none: it is handed events.
pub(crate) const FUNCTIONS: [(&str, &str, &str); 6] = [
    ("Mcp", "sayso-mcp", "mcp.lambda-url.eu-west-1.on.aws"),
    ("Page", "sayso-page", "page.lambda-url.eu-west-1.on.aws"),
    ("Decide", "sayso-decide", "decide.lambda-url.eu-west-1.on.aws"),
    ("Redeem", "sayso-redeem", "redeem.lambda-url.eu-west-1.on.aws"),
    ("Feedback", "sayso-feedback", "feedback"),
    ("Enrol", "sayso-enrol", "enrol.lambda-url.eu-west-1.on.aws"),
];

/// The host that a function has.
pub(crate) fn domain(function: &str) -> &'static str {
    FUNCTIONS.iter().find(|(name, ..)| *name == function).map(|(.., domain)| *domain).expect("a function")
}

/// What a deployment by the template puts into each variable, with this table, one key that signs approvals and one that signs
/// passkeys.
pub(crate) fn values(table: &str, key_arn: &str, enrolment_key: &str) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("CONFIGURATION_SET", "sayso-MailConfiguration".to_owned()),
        ("DECIDE_URL", format!("https://{}", domain("Decide"))),
        ("DENIED_COOL_DOWN_SECONDS", "600".to_owned()),
        ("ENROL_URL", format!("https://{}", domain("Enrol"))),
        ("ENROLMENT_KEY_ID", enrolment_key.to_owned()),
        ("EXTRA_ROOTS", String::new()),
        ("ISSUER", format!("https://{}", domain("Redeem"))),
        ("LONGEST_WAIT_SECONDS", "20".to_owned()),
        ("MAIL_FROM", "sayso@example.com".to_owned()),
        ("MAILS_PER_APPROVER_PER_HOUR", "60".to_owned()),
        ("OTHER_SIGNING_KEY_ID", String::new()),
        ("PAGE_URL", format!("https://{}", domain("Page"))),
        ("PENDING_PER_AGENT", "50".to_owned()),
        ("REPLY_TO", String::new()),
        ("REQUESTS_PER_AGENT_PER_HOUR", "20".to_owned()),
        ("RETENTION_DAYS", "90".to_owned()),
        ("SIGNING_KEY_ID", key_arn.to_owned()),
        ("TABLE_NAME", table.to_owned()),
        ("TOKEN_LIFETIME_SECONDS", "3600".to_owned()),
        ("WAITS_PER_AGENT", "3".to_owned()),
    ])
}

/// The variables that the template gives a function, with their values; and where AWS is.
pub(crate) fn environment(template: &Template, function: &str, backends: &Backends) -> Vec<(String, String)> {
    told(
        template,
        function,
        &values(&backends.table, &backends.key_arn, &backends.enrolment_key_arn),
        &backends.endpoints,
    )
}

fn told(
    template: &Template,
    function: &str,
    values: &BTreeMap<&str, String>,
    endpoints: &Endpoints,
) -> Vec<(String, String)> {
    let named = template.environment(function).into_keys().map(|name| {
        let value = values.get(name.as_str()).unwrap_or_else(|| panic!("{function} gets an unknown {name}"));
        // It has no name here but its own, which the template leaves out.
        let is_own = function == "Redeem" && *value == format!("https://{}", domain("Redeem"));
        (name, if is_own { String::new() } else { value.clone() })
    });
    let Endpoints { dynamodb, sesv2, kms } = endpoints.clone();
    let endpoints = [("DYNAMODB", dynamodb), ("SESV2", sesv2), ("KMS", kms)];
    let endpoints =
        endpoints.map(|(name, url)| (format!("AWS_ENDPOINT_URL_{name}"), url.expect("an endpoint")));
    named.chain(endpoints).collect()
}

/// The names a function gets from the template.
pub(crate) fn names(template: &Template, function: &str) -> BTreeSet<String> {
    template.environment(function).into_keys().collect()
}

/// The binaries as Lambda runs them, over DynamoDB, SES and KMS on loopback.
pub(crate) struct Deployment {
    pub(crate) mcp: Function,
    pub(crate) page: Function,
    pub(crate) decide: Function,
    pub(crate) redeem: Function,
    pub(crate) feedback: Function,
    pub(crate) enrol: Function,
    pub(crate) backends: Backends,
    pub(crate) agent_key: AgentKey,
    /// In front of what each function calls, in the order of [`FUNCTIONS`].
    pub(crate) taps: [Tap; 6],
    _tasks: JoinSet<()>,
}

impl Deployment {
    pub(crate) async fn start() -> Self {
        let backends = sayso_tests::backends(&Clock::system()).await;
        let agent_key = random::agent_key();
        register(&backends, &agent_key).await;
        let values = values(&backends.table, &backends.key_arn, &backends.enrolment_key_arn);
        Self::over(backends, agent_key, values).await
    }

    /// Deploys again, with a name for the issuer.
    pub(crate) async fn with_issuer(self, issuer: &str) -> Self {
        let Self { backends, agent_key, .. } = self;
        let mut values = values(&backends.table, &backends.key_arn, &backends.enrolment_key_arn);
        values.insert("ISSUER", issuer.to_owned());
        Self::over(backends, agent_key, values).await
    }

    /// Deploys again, with other signing keys: the one that signs, and one whose tokens are accepted as well.
    pub(crate) async fn with_keys(self, signing: &str, other: &str) -> Self {
        let Self { backends, agent_key, .. } = self;
        let mut values = values(&backends.table, signing, &backends.enrolment_key_arn);
        values.insert("OTHER_SIGNING_KEY_ID", other.to_owned());
        Self::over(backends, agent_key, values).await
    }

    async fn over(backends: Backends, agent_key: AgentKey, values: BTreeMap<&str, String>) -> Self {
        let mut tasks = JoinSet::new();
        let template = Template::read();
        let (mut started, mut taps) = (Vec::new(), Vec::new());
        for (name, binary, domain) in FUNCTIONS {
            let (tap, endpoints) = Tap::start(&backends.endpoints, &mut tasks).await;
            let memory = template.property(name, "MemorySize");
            let environment = told(&template, name, &values, &endpoints);
            started.push(Function::start(binary, domain, &memory, &environment).await);
            taps.push(tap);
        }
        for function in &started {
            function.ready().await;
        }
        let started = started.try_into().unwrap_or_else(|_| panic!("six functions"));
        let [mcp, page, decide, redeem, feedback, enrol] = started;
        let taps = taps.try_into().unwrap_or_else(|_| panic!("six taps"));
        Self { mcp, page, decide, redeem, feedback, enrol, backends, agent_key, taps, _tasks: tasks }
    }

    /// Returns once a check has read everything and goes on to wait for the outcome.
    pub(crate) async fn waiting(&self) {
        let mut calls = Vec::new();
        loop {
            calls.extend(self.taps[0].take_calls());
            let read = calls.iter().position(|call| call == "BatchGetItem");
            if read.is_some_and(|read| calls[read..].contains(&"GetItem".to_owned())) {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    /// What is behind the functions, for whoever has rights to it.
    pub(crate) fn aws(&self) -> Aws {
        Aws::at(self.backends.endpoints.clone())
    }

    /// The table behind the functions' backs.
    pub(crate) fn table(&self) -> Table {
        Table::of(&self.backends)
    }

    /// Forgets the calls so far.
    pub(crate) fn forget_calls(&self) {
        self.taps[0].take_calls();
    }

    /// A JSON-RPC request of the newest protocol, as a `Call`.
    pub(crate) fn rpc(&self, method: &str, params: Value) -> Call {
        let mut params = params;
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
        params["_meta"]["io.modelcontextprotocol/clientInfo"] =
            json!({"name": "sayso-tests", "version": "1"});
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let call = Call::new("POST", "/mcp")
            .header("authorization", &format!("Bearer {}", self.agent_key.expose()))
            .header("accept", "application/json")
            .header("accept", "text/event-stream")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", method)
            .body("application/json", &body);
        match params["name"].as_str() {
            Some(name) => call.header("mcp-name", name),
            None => call,
        }
    }

    /// A tool's structured answer.
    pub(crate) async fn tool(&self, name: &str, arguments: Value) -> Value {
        let reply =
            self.mcp.call(self.rpc("tools/call", json!({"name": name, "arguments": arguments}))).await;
        structured(&reply.json())
    }

    /// The deciding link in the newest mail.
    pub(crate) fn mailed_link(&self) -> String {
        let start = format!("https://{}/", domain("Page"));
        let mail = self.backends.outbox.mails().expect("the outbox").pop().expect("a mail");
        let text = mail.text.expect("a text part");
        text.lines().find(|line| line.starts_with(&start)).expect("the link").to_owned()
    }

    /// A page by its address: the function that has this host answers.
    pub(crate) async fn open(&self, url: &str) -> Reply {
        let (domain, path) =
            url.strip_prefix("https://").and_then(|url| url.split_once('/')).expect("an address");
        let all = [&self.mcp, &self.page, &self.decide, &self.redeem];
        let function = all.into_iter().find(|function| function.domain == domain).expect("a function");
        function.call(Call::new("GET", &format!("/{path}"))).await
    }
}

/// The structured part of a tool's result.
pub(crate) fn structured(answer: &Value) -> Value {
    let result = &answer["result"];
    assert_ne!(result["isError"], true, "{answer}");
    assert!(result["structuredContent"].is_object(), "{answer}");
    result["structuredContent"].clone()
}

async fn register(backends: &Backends, key: &AgentKey) {
    let aws = Aws::at(backends.endpoints.clone());
    let signer = Signer::connect(aws.kms(), backends.key_arn.clone()).await.expect("the key");
    let agent = Agent {
        name: AgentName::parse("deploy-bot").expect("a name"),
        approver: Approver {
            id: ApproverId::parse("approver-1").expect("an id"),
            email: EmailAddress::parse("alex@example.com").expect("an address"),
        },
        audiences: Audiences::new(vec![Audience::parse("production").expect("an audience")]).expect("one"),
    };
    let store = Store::new(aws.dynamodb(), backends.table.clone(), signer.public_key());
    store.register_agent(key.hash(), &agent).await.expect("registration");
}

/// What the approver is shown behind the newest mail.
pub(crate) async fn read_page(deployment: &Deployment) -> Page {
    let link = deployment.mailed_link();
    deployment.open(&link).await.page(&link)
}

/// Sends the form of a page, with its code typed.
pub(crate) async fn decide(deployment: &Deployment, page: &Page, verdict: &str) -> Reply {
    let form = page.form();
    let path = form.action.strip_prefix(&format!("https://{}", domain("Decide"))).expect("a path");
    let body = format!("secret={}&code={}&note=&verdict={verdict}", form.fields["secret"], page.code());
    let call = Call::new("POST", path).body("application/x-www-form-urlencoded", &body).in_base64();
    deployment.decide.call(call).await
}

/// Shows a token to the issuer, as a gate does.
pub(crate) async fn redeem(deployment: &Deployment, token: &str, digest: &str, nonce: &str) -> Reply {
    let body =
        json!({"token": token, "digest": digest, "audience": "production", "gate": "g", "nonce": nonce});
    let call = Call::new("POST", "/redeem").body("application/json", &body.to_string());
    deployment.redeem.call(call).await
}

/// The digest of `delete_volume` on this volume.
pub(crate) fn digest(volume: &str) -> String {
    let arguments = json!({"volume": volume}).to_string();
    let action = Action {
        tool: ToolName::parse("delete_volume").expect("a name"),
        arguments: CanonicalJson::parse(&arguments).expect("arguments"),
    };
    action.digest().to_string()
}
