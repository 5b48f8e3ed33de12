//! Answers of AWS, in the states that no emulator can be brought into: in the shapes of the API pages that are named. AWS is
//! not our part; what our part makes of these answers is what the tests are about.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// One account, as it answers.
#[derive(Clone)]
pub(crate) struct Account {
    /// GetCallerIdentity (STS API Reference): the caller's ARN.
    pub(crate) caller: &'static str,
    /// GetAccount (SES API v2 Reference).
    pub(crate) sending: Value,
    /// GetEmailIdentity (SES API v2 Reference), by name. Any other is not found.
    pub(crate) identities: Vec<(&'static str, Value)>,
    /// GetAccountSettings (Lambda API Reference): its `AccountLimit`.
    pub(crate) concurrency: Value,
    /// DescribeTable (DynamoDB API Reference): its `Table`. None is not found.
    pub(crate) table: Option<Value>,
    /// DescribeTimeToLive (DynamoDB API Reference).
    pub(crate) expiry: Value,
    /// DescribeContinuousBackups (DynamoDB API Reference).
    pub(crate) backups: Value,
    /// Calls that are answered AccessDeniedException, all when it is `*`.
    pub(crate) denied: &'static str,
}

impl Account {
    /// In which everything is as it should be.
    pub(crate) fn ready() -> Self {
        let dkim = json!({"SigningEnabled": true, "Status": "SUCCESS", "SigningAttributesOrigin": "AWS_SES"});
        let mail_from = json!({
            "MailFromDomain": "mail.example.com",
            "MailFromDomainStatus": "SUCCESS",
            "BehaviorOnMxFailure": "USE_DEFAULT_VALUE",
        });
        Self {
            caller: "arn:aws:sts::123456789012:assumed-role/deployer/alex",
            sending: sending(true, "HEALTHY", 50_000, 12),
            identities: vec![("example.com", domain("SUCCESS", &dkim, &mail_from))],
            concurrency: json!({"ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": 955}),
            table: Some(table(true)),
            expiry: json!({"TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}}),
            backups: backups("ENABLED"),
            denied: "",
        }
    }

    /// As AWS hands it over, with what a first attempt at it may have left.
    pub(crate) fn new_and_empty() -> Self {
        let pending =
            json!({"SigningEnabled": true, "Status": "PENDING", "SigningAttributesOrigin": "AWS_SES"});
        let mut sending = sending(false, "HEALTHY", 200, 0);
        sending["Details"] = json!({"ReviewDetails": {"Status": "PENDING", "CaseId": "1234"}});
        Self {
            sending,
            identities: vec![
                ("example.com", domain("PENDING", &pending, &Value::Null)),
                ("alex@example.org", address("PENDING")),
                ("sam@example.org", address("SUCCESS")),
            ],
            concurrency: json!({"ConcurrentExecutions": 10, "UnreservedConcurrentExecutions": 10}),
            table: None,
            ..Self::ready()
        }
    }

    /// In which much has gone wrong since it was deployed to.
    pub(crate) fn neglected() -> Self {
        let failed =
            json!({"SigningEnabled": true, "Status": "FAILED", "SigningAttributesOrigin": "AWS_SES"});
        let rejecting = json!({
            "MailFromDomain": "mail.example.com",
            "MailFromDomainStatus": "FAILED",
            "BehaviorOnMxFailure": "REJECT_MESSAGE",
        });
        Self {
            caller: "arn:aws:iam::123456789012:root",
            sending: sending(true, "PROBATION", 50_000, 50_000),
            identities: vec![("example.com", domain("SUCCESS", &failed, &rejecting))],
            concurrency: json!({"ConcurrentExecutions": 150, "UnreservedConcurrentExecutions": 105}),
            table: Some(table(false)),
            expiry: json!({"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}),
            backups: backups("DISABLED"),
            ..Self::ready()
        }
    }

    fn answer(&self, call: &str, about: &str) -> Response {
        if self.denied == "*" || self.denied == call {
            return refusal(call, "AccessDeniedException");
        }
        let found = match call {
            "GetCallerIdentity" => return self.caller_identity(),
            "GetAccount" => Some(self.sending.clone()),
            "GetEmailIdentity" => {
                let known = self.identities.iter().find(|(name, _)| *name == about);
                let Some((_, identity)) = known else { return refusal(call, "NotFoundException") };
                Some(identity.clone())
            }
            "GetAccountSettings" => Some(json!({
                "AccountLimit": self.concurrency,
                "AccountUsage": {"FunctionCount": 4, "TotalCodeSize": 8_000_000},
            })),
            "DescribeTable" => self.table.clone().map(|table| json!({"Table": table})),
            "DescribeTimeToLive" => self.table.as_ref().map(|_| self.expiry.clone()),
            "DescribeContinuousBackups" => self.table.as_ref().map(|_| self.backups.clone()),
            "Scan" => self.table.as_ref().map(|_| json!({"Items": [], "Count": 0, "ScannedCount": 0})),
            other => panic!("an unexpected call: {other} {about}"),
        };
        match found {
            Some(found) => ([("content-type", "application/json")], found.to_string()).into_response(),
            None => refusal(call, "ResourceNotFoundException"),
        }
    }

    fn caller_identity(&self) -> Response {
        let arn = self.caller;
        let result = format!("<Arn>{arn}</Arn><UserId>AIDA</UserId><Account>123456789012</Account>");
        let body = format!(
            "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
             {result}</GetCallerIdentityResult></GetCallerIdentityResponse>"
        );
        ([("content-type", "text/xml")], body).into_response()
    }
}

fn sending(production: bool, enforcement: &str, a_day: u32, sent: u32) -> Value {
    json!({
        "DedicatedIpAutoWarmupEnabled": false,
        "EnforcementStatus": enforcement,
        "ProductionAccessEnabled": production,
        "SendQuota": {"Max24HourSend": a_day, "MaxSendRate": 1, "SentLast24Hours": sent},
        "SendingEnabled": enforcement != "SHUTDOWN",
    })
}

fn domain(verification: &str, dkim: &Value, mail_from: &Value) -> Value {
    json!({
        "IdentityType": "DOMAIN",
        "FeedbackForwardingStatus": true,
        "VerifiedForSendingStatus": verification == "SUCCESS",
        "VerificationStatus": verification,
        "DkimAttributes": dkim,
        "MailFromAttributes": mail_from,
    })
}

pub(crate) fn address(verification: &str) -> Value {
    json!({
        "IdentityType": "EMAIL_ADDRESS",
        "FeedbackForwardingStatus": true,
        "VerifiedForSendingStatus": verification == "SUCCESS",
        "VerificationStatus": verification,
        "DkimAttributes": {"SigningEnabled": false, "Status": "NOT_STARTED"},
        "MailFromAttributes": {"BehaviorOnMxFailure": "USE_DEFAULT_VALUE"},
    })
}

fn table(guarded: bool) -> Value {
    let encryption = if guarded { json!({"Status": "ENABLED", "SSEType": "KMS"}) } else { Value::Null };
    json!({
        "TableName": "sayso",
        "TableStatus": "ACTIVE",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "DeletionProtectionEnabled": guarded,
        "SSEDescription": encryption,
    })
}

fn backups(recovery: &str) -> Value {
    json!({"ContinuousBackupsDescription": {
        "ContinuousBackupsStatus": "ENABLED",
        "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": recovery},
    }})
}

/// STS speaks XML, the others JSON ("Common errors" of each API Reference).
fn refusal(call: &str, code: &str) -> Response {
    if call == "GetCallerIdentity" {
        let error = "<Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message>";
        let body = format!("<ErrorResponse><Error>{error}</Error><RequestId>1</RequestId></ErrorResponse>");
        return (StatusCode::FORBIDDEN, [("content-type", "text/xml")], body).into_response();
    }
    let status = if code == "NotFoundException" { StatusCode::NOT_FOUND } else { StatusCode::BAD_REQUEST };
    let body = json!({"__type": code, "message": "a message that names alex@example.org"}).to_string();
    (status, [("x-amzn-errortype", code.to_owned())], body).into_response()
}

/// The account on a loopback port, and what it was asked.
pub(crate) struct Aws {
    pub(crate) url: String,
    calls: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

type Answering = (Account, Arc<Mutex<Vec<String>>>);

impl Aws {
    pub(crate) async fn of(account: Account) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let calls = Arc::default();
        let router = Router::new().fallback(answer).with_state((account, Arc::clone(&calls)));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { url, calls, _tasks: tasks }
    }

    /// Every call so far, by its name.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn answer(
    State((account, calls)): State<Answering>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let (call, about) = match uri.path() {
        "/" if target.is_empty() => (action(&body), String::new()),
        "/" => (target.rsplit('.').next().unwrap_or_default().to_owned(), String::new()),
        "/v2/email/account" => ("GetAccount".to_owned(), String::new()),
        "/2016-08-19/account-settings" => ("GetAccountSettings".to_owned(), String::new()),
        path => match path.strip_prefix("/v2/email/identities/") {
            Some(name) => ("GetEmailIdentity".to_owned(), name.replace("%40", "@")),
            None => (path.to_owned(), String::new()),
        },
    };
    calls.lock().unwrap_or_else(PoisonError::into_inner).push(call.clone());
    account.answer(&call, &about)
}

/// STS names its call in a form.
fn action(body: &Bytes) -> String {
    let form = String::from_utf8_lossy(body);
    let action = form.split('&').find_map(|field| field.strip_prefix("Action="));
    action.unwrap_or_default().to_owned()
}
