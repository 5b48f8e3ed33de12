//! What must stay secret does not leave through a log, a debug print or an error.

use std::io::Write;
use std::sync::{Arc, Mutex};

use sayso_cloud::{Aws, Endpoints, random};
use sayso_model::token::ApprovalToken;
use sayso_model::{
    Action, Agent, AgentKey, AgentName, ApprovalId, Approver, ApproverId, Audience, Audiences, CanonicalJson,
    Decision, EmailAddress, LinkSecret, Outcome, ProvenBy, Request, Summary, Timestamp, TokenLifetime,
    ToolName,
};
use sayso_tests::{Fault, Protocol, Verdict, World, asking};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;

#[test]
fn a_debug_print_of_a_secret_shows_none_of_it() {
    let secret = LinkSecret::from_random([7; 32]);
    let key = AgentKey::from_random([8; 32]);
    let email = EmailAddress::parse("alexandra@example.com").unwrap();
    let token = ApprovalToken::from_text("header.claims.signature");
    let at = Timestamp::from_unix_seconds(1_795_348_800).unwrap();
    let approver = Approver { id: ApproverId::parse("approver-1").unwrap(), email: email.clone() };
    let audience = Audience::parse("production").unwrap();
    let agent = Agent {
        name: AgentName::parse("deploy-bot").unwrap(),
        approver: approver.clone(),
        audiences: Audiences::new(vec![audience.clone()]).unwrap(),
    };
    let request = Request {
        id: ApprovalId::new(at, 7),
        agent: agent.name.clone(),
        approver: approver.id.clone(),
        audience,
        action: Action {
            tool: ToolName::parse("t").unwrap(),
            arguments: CanonicalJson::parse("{}").unwrap(),
        },
        summary: Summary::parse("s").unwrap(),
        reason: None,
        created_at: at,
        closes_at: at,
        token_lifetime: TokenLifetime::default(),
        link_secret_hash: secret.hash(),
    };
    let outcome = Outcome::Approved {
        decision: Decision { at, proven_by: ProvenBy::EmailLink, passkey: None, note: None },
        token: token.clone(),
    };
    let printed = [
        format!("{secret:?}"),
        format!("{:?}", secret.hash()),
        format!("{key:?}"),
        format!("{:?}", key.hash()),
        format!("{email:?}"),
        format!("{approver:?}"),
        format!("{agent:#?}"),
        format!("{token:?}"),
        format!("{outcome:?}"),
        format!("{request:?}"),
    ];
    let hash = secret.hash().to_string();
    let key_hash = key.hash().to_string();
    for print in printed {
        for private in
            [&secret.expose(), &hash, key.expose(), &key_hash, "alexandra", token.expose(), "signature"]
        {
            assert!(!print.contains(private), "{private} in {print}");
        }
    }
    let aws = format!("{:?}", Aws::at(Endpoints::default()));
    assert!(!aws.contains("secret_access_key: \"local\""), "{aws}");
}

#[tokio::test]
async fn a_debug_print_of_a_mail_shows_no_link() {
    let world = World::new().await;
    let id = world.agent().await.ask("customers_2019").await.field("approval_id").to_owned();
    let link = world.link(&id);
    assert!(!format!("{:?}", world.mails()).contains(link.secret()));
}

/// Everything that is logged, at whatever level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Hears what Sayso's own code says on this thread, until the guard goes.
    fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let own = Targets::new().with_target("sayso", tracing::Level::TRACE);
        let format = tracing_subscriber::fmt::layer().json().with_writer(self.clone());
        tracing::subscriber::set_default(tracing_subscriber::registry().with(own).with(format))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("the log")).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("the log").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// A part of the reason that the tests' requests have: it is in no log.
const REASON: &str = "nothing reads it";

/// The calls that a whole approval makes, and how each of them fails.
const FAILURES: [(&str, u16, &str); 7] = [
    ("GetItem", 400, "AccessDeniedException"),
    ("PutItem", 400, "AccessDeniedException"),
    ("TransactWriteItems", 400, "AccessDeniedException"),
    ("BatchGetItem", 400, "ResourceNotFoundException"),
    ("SendEmail", 400, "MessageRejected"),
    ("Sign", 400, "KMSInvalidStateException"),
    ("SendEmail", 429, "TooManyRequestsException"),
];

/// Nothing of how the service is built, and nothing of what the fault said.
const DETAILS: [&str; 9] = [
    "dynamodb",
    "kms",
    "ses:",
    "AccessDenied",
    "KMSInvalid",
    "MessageRejected",
    "as the test asked",
    "127.0.0.1:1",
    "panicked",
];

#[tokio::test]
async fn a_call_to_aws_that_fails_becomes_an_id_in_the_answer_and_the_reason_in_the_log() {
    let log = Log::default();
    let _guard = log.listen();
    let world = World::new().await;
    let (raw, browser) = (world.raw(), world.browser());
    let mut private =
        vec![world.agent_key.expose().to_owned(), "alex@example.com".to_owned(), REASON.to_owned()];
    for (round, (call, status, code)) in FAILURES.into_iter().enumerate() {
        let id = world.agent().await.ask(&format!("t{round}")).await.field("approval_id").to_owned();
        let link = world.link(&id);
        let form = browser.open(&link.0).await;
        private.extend([link.secret().to_owned(), form.code(), link.0.clone()]);
        let answers = async || {
            let mut ask = asking(&format!("new{round}"));
            if call == "TransactWriteItems" {
                ask["idempotency_key"] = "k".into();
            }
            let check = format!(r#"{{"approval_id":"{id}","wait_seconds":0}}"#);
            world.tap.break_next(call, Fault::Refuse(status, code));
            match call {
                "BatchGetItem" => raw.call(Protocol::New, "check_approval", &check).await.body,
                "Sign" => {
                    browser
                        .submit(&form.form(), &[("code", &form.code())], Some(("verdict", "approve")))
                        .await
                        .html
                }
                _ => raw.call(Protocol::New, "request_approval", &ask.to_string()).await.body,
            }
        };
        let body = answers().await;
        world.tap.mend();
        for detail in DETAILS.into_iter().chain([code]) {
            assert!(!body.to_lowercase().contains(&detail.to_lowercase()), "{call}: {detail} in {body}");
        }
        // What the agent wrote itself is told it again.
        for secret in private.iter().filter(|text| *text != REASON) {
            assert!(call == "Sign" || !body.contains(secret.as_str()), "{call}: {secret} in {body}");
        }
        if call == "SendEmail" {
            assert!(body.contains("could not be sent"), "{body}");
        } else {
            let error_id = error_id(&body);
            assert!(log.text().contains(&error_id), "{call}: error {error_id} is in no log: {body}");
        }
        assert!(log.text().contains(code), "{call}: the operator reads the reason");
        assert_eq!(world.agent().await.check(&id).await.field("status"), "pending");
        browser.decide(&link, Verdict::Approve, "a private note").await;
        private.push(world.agent().await.check(&id).await.field("approval_token").to_owned());
    }
    private.push("a private note".to_owned());
    let log = log.text();
    assert!(log.lines().count() >= FAILURES.len() * 2, "{log}");
    for secret in private {
        assert!(!log.contains(&secret), "{secret} in the log");
    }
}

/// "… error 01JD…" or "… error 1f2e3d…", as a person would read it out.
fn error_id(body: &str) -> String {
    let after =
        body.split("error ").filter_map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric()).next());
    after
        .filter(|word| word.len() >= 12)
        .map(str::to_owned)
        .next()
        .unwrap_or_else(|| panic!("no id in {body}"))
}

#[tokio::test]
async fn a_key_is_stored_as_a_hash_and_a_link_too() {
    let world = World::new().await;
    let id = world.agent().await.ask("customers_2019").await.field("approval_id").to_owned();
    let link = world.link(&id);
    let code = world.browser().open(&link.0).await.code();
    let rows = format!("{:?}", world.table().rows().await);
    for secret in [world.agent_key.expose(), link.secret(), &code, &link.0] {
        assert!(!rows.contains(secret), "{secret} in the table");
    }
    assert_ne!(random::agent_key().expose(), random::agent_key().expose());
}
