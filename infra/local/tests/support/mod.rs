//! The local deployment's endpoints on loopback ports, with the SDK clients that call them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_credential_types::Credentials;
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message, MessageHeader};
use sayso_local::engine::Engine;
use sayso_local::outbox::Outbox;
use sayso_local::signer::Signer;
use serde_json::Value;

pub(crate) const TABLE: &str = "sayso";
/// 2026-11-22T20:00:00Z
pub(crate) const NOW: i64 = 1_795_377_600;
pub(crate) const LINK: &str = "https://page.example/01J/secret";

pub(crate) struct World {
    pub(crate) outbox: Outbox,
    pub(crate) signer: Signer,
    pub(crate) engine: Engine,
    pub(crate) now: Arc<AtomicI64>,
    pub(crate) page: String,
    pub(crate) ses_url: String,
    pub(crate) ses: aws_sdk_sesv2::Client,
    pub(crate) kms: aws_sdk_kms::Client,
    pub(crate) kms_url: String,
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
    pub(crate) dynamodb_url: String,
}

impl World {
    pub(crate) async fn open(file: Option<&Path>) -> Self {
        let engine = Engine::open(file, TABLE).unwrap();
        let now = Arc::new(AtomicI64::new(NOW));
        let clock = now.clone();
        let outbox = Outbox::open(&engine, Arc::new(move || clock.load(Ordering::SeqCst)));
        let signer = Signer::open(&engine).unwrap();
        let (ses_url, kms_url) = (serve(outbox.api()).await, serve(signer.router()).await);
        let (dynamodb_url, page) = (serve(engine.router()).await, serve(outbox.page()).await);
        // What each SDK's own `Config` builder needs is the same, but the builders are different types.
        macro_rules! client {
            ($sdk:ident, $url:expr) => {
                $sdk::Client::from_conf(
                    $sdk::Config::builder()
                        .behavior_version($sdk::config::BehaviorVersion::latest())
                        .region($sdk::config::Region::new("us-east-1"))
                        .credentials_provider(Credentials::new("local", "local", None, None, "test"))
                        .http_client(aws_smithy_http_client::Builder::new().build_http())
                        .endpoint_url($url)
                        .build(),
                )
            };
        }
        Self {
            ses: client!(aws_sdk_sesv2, &ses_url),
            kms: client!(aws_sdk_kms, &kms_url),
            dynamodb: client!(aws_sdk_dynamodb, &dynamodb_url),
            outbox,
            signer,
            engine,
            now,
            page,
            ses_url,
            kms_url,
            dynamodb_url,
        }
    }

    pub(crate) async fn messages(&self) -> Value {
        reqwest::get(format!("{}/messages.json", self.page)).await.unwrap().json().await.unwrap()
    }
}

async fn serve(router: axum::Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

/// A mail that SES takes, each part of which a test can spoil.
pub(crate) struct Draft {
    pub(crate) from: Option<&'static str>,
    pub(crate) to: Vec<&'static str>,
    pub(crate) subject: &'static str,
    pub(crate) charset: Option<&'static str>,
    pub(crate) text: String,
    pub(crate) html: String,
    pub(crate) headers: Vec<(&'static str, String)>,
}

pub(crate) fn draft() -> Draft {
    Draft {
        from: Some("Sayso <sayso@example.com>"),
        to: vec!["ada@example.com"],
        subject: "Approval needed: deploy – production",
        charset: Some("UTF-8"),
        text: format!("Decide here: {LINK}"),
        html: format!(r#"<p style="color:#c00">Décide <a href="{LINK}">here</a></p>"#),
        headers: vec![("Auto-Submitted", "auto-generated".to_owned())],
    }
}

pub(crate) type Sent = Result<String, aws_sdk_sesv2::operation::send_email::SendEmailError>;

pub(crate) async fn send(ses: &aws_sdk_sesv2::Client, draft: Draft) -> Sent {
    let content = |data: String| {
        Content::builder().data(data).set_charset(draft.charset.map(str::to_owned)).build().unwrap()
    };
    let headers = draft
        .headers
        .iter()
        .map(|(name, value)| MessageHeader::builder().name(*name).value(value).build().unwrap());
    let body = Body::builder().text(content(draft.text.clone())).html(content(draft.html.clone())).build();
    let subject = content(draft.subject.to_owned());
    let message = Message::builder().subject(subject).body(body).set_headers(Some(headers.collect())).build();
    let to = draft.to.iter().map(|to| (*to).to_owned()).collect();
    let call = ses
        .send_email()
        .set_from_email_address(draft.from.map(str::to_owned))
        .destination(Destination::builder().set_to_addresses(Some(to)).build())
        .content(EmailContent::builder().simple(message).build());
    let sent = call.send().await.map_err(|error| error.into_service_error())?;
    Ok(sent.message_id.unwrap())
}
