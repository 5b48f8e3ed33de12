//! The Lambda Runtime API and the Function URL in front of it, as far as a function's binary can tell.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use sayso_cloud::{Clock, optional};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::function_url::{Call, Reply};
use crate::{Program, Template};

/// The longest a function may run: as long as the longest `Timeout` that the template gives one.
const LONGEST: Duration = Duration::from_secs(60);

/// What a function's process got from the Runtime API and gave back.
type Outcome = Result<Value, String>;

struct Invocation {
    id: String,
    event: Value,
    answer: oneshot::Sender<Outcome>,
}

/// The Runtime API of one execution environment, which runs one event at a time.
#[derive(Clone)]
struct RuntimeApi {
    queue: Arc<tokio::sync::Mutex<mpsc::Receiver<Invocation>>>,
    running: Arc<Mutex<HashMap<String, oneshot::Sender<Outcome>>>>,
    is_ready: watch::Sender<bool>,
    init_error: Arc<Mutex<Option<String>>>,
}

/// A function's real binary, behind a Function URL of its own. It is killed when this is dropped.
pub struct Function {
    /// What its URL is: `https://` and this.
    pub domain: String,
    program: Program,
    events: mpsc::Sender<Invocation>,
    api: RuntimeApi,
    _tasks: JoinSet<()>,
}

impl Function {
    /// Starts a binary with what Lambda gives every function, and `environment`, and nothing else.
    pub async fn start(binary: &str, domain: &str, memory: &str, environment: &[(String, String)]) -> Self {
        let (events, queue) = mpsc::channel(1);
        let api = RuntimeApi {
            queue: Arc::new(tokio::sync::Mutex::new(queue)),
            running: Arc::default(),
            is_ready: watch::Sender::new(false),
            init_error: Arc::default(),
        };
        let mut tasks = JoinSet::new();
        let address = serve(&api, &mut tasks).await;
        let mut command = Command::new(bootstrap(binary).await);
        command.env_clear().envs(lambda_environment(binary, &address, memory));
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        let program = Program::start(command);
        Self { domain: domain.to_owned(), program, events, api, _tasks: tasks }
    }

    /// Waits until its initialization is over: it asks for an event.
    pub async fn ready(&self) {
        let mut is_ready = self.api.is_ready.subscribe();
        let ready = timeout(LONGEST, is_ready.wait_for(|ready| *ready)).await;
        assert!(ready.is_ok(), "{} never asked for an event:\n{}", self.domain, self.program.output());
    }

    /// Waits until its initialization has failed; gives what it left behind in the log and at the Runtime API.
    pub async fn init_error(&mut self) -> String {
        let status = self.program.exit().await;
        assert!(!status.success(), "{} ended well:\n{}", self.domain, self.program.output());
        assert!(!*self.api.is_ready.borrow(), "{} asked for an event", self.domain);
        let told = self.api.init_error.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.program.output() + &told.unwrap_or_default()
    }

    /// SIGSTOP: it stands still wherever it is, and nothing that comes reaches it.
    pub async fn freeze(&self) {
        self.program.signal("STOP").await;
    }

    /// SIGCONT: it goes on where it stood.
    pub async fn thaw(&self) {
        self.program.signal("CONT").await;
    }

    /// Its log, once this is in it: a line is read a moment after the answer that it comes before.
    pub async fn log_with(&self, text: &str) -> String {
        self.program.output_with(text).await
    }

    /// Everything in its log so far.
    pub fn log(&self) -> String {
        self.program.output()
    }

    /// A call to its Function URL.
    pub async fn call(&self, call: Call) -> Reply {
        match self.invoke(call.event(&self.domain)).await {
            Ok(response) => Reply::new(&response),
            Err(error) => panic!("{} failed: {error}\n{}", self.domain, self.log()),
        }
    }

    /// An invocation with this event: what the function answered, or the error that it ended with.
    pub async fn invoke(&self, event: Value) -> Result<Value, String> {
        static INVOCATIONS: AtomicU64 = AtomicU64::new(1);
        let (answer, answered) = oneshot::channel();
        let id = format!("00000000-0000-4000-8000-{:012}", INVOCATIONS.fetch_add(1, Ordering::Relaxed));
        self.events.send(Invocation { id, event, answer }).await.expect("a running function");
        match timeout(LONGEST, answered).await {
            Ok(Ok(outcome)) => outcome,
            _ => panic!("{} never answered:\n{}", self.domain, self.log()),
        }
    }
}

/// A function's binary: a debug build's, or the artefact of `sam build` in the directory that `SAYSO_SAM_BUILD` names.
async fn bootstrap(binary: &str) -> PathBuf {
    let directory = optional("SAYSO_SAM_BUILD", |path| Ok::<_, Infallible>(PathBuf::from(path)));
    let Some(directory) = directory.expect("a directory") else { return crate::binary(binary).await };
    let template = Template::read();
    let functions = template.resources("AWS::Serverless::Function");
    let function = functions.into_iter().find(|function| template.binary(function) == binary);
    directory.join(function.expect("a function of the template")).join("bootstrap")
}

async fn serve(api: &RuntimeApi, tasks: &mut JoinSet<()>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
    let address = listener.local_addr().expect("an address").to_string();
    let routes = Router::new()
        .route("/invocation/next", get(next))
        .route("/invocation/{id}/response", post(response))
        .route("/invocation/{id}/error", post(error))
        .route("/init/error", post(init_error));
    let router = Router::new().nest("/2018-06-01/runtime", routes).with_state(api.clone());
    tasks.spawn(async move {
        let _ = axum::serve(listener, router).await;
    });
    address
}

/// What Lambda sets for every function on `provided.al2023`.
fn lambda_environment(name: &str, runtime_api: &str, memory: &str) -> BTreeMap<String, String> {
    let fixed = [
        ("AWS_ACCESS_KEY_ID", "ASIAEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "the-secret-of-the-role"),
        ("AWS_SESSION_TOKEN", "the-session-of-the-role"),
        // As `Aws::at` has it: some engines keep tables by region.
        ("AWS_REGION", "us-east-1"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/11/22/[$LATEST]0"),
        ("LAMBDA_TASK_ROOT", "/var/task"),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
        ("LANG", "en_US.UTF-8"),
        ("PATH", "/usr/local/bin:/usr/bin/:/bin:/opt/bin"),
        ("TZ", ":UTC"),
        ("_HANDLER", "bootstrap"),
    ];
    let own = [
        ("AWS_LAMBDA_RUNTIME_API", runtime_api.to_owned()),
        ("AWS_LAMBDA_FUNCTION_NAME", name.to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", memory.to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{name}")),
    ];
    let fixed = fixed.map(|(name, value)| (name.to_owned(), value.to_owned()));
    fixed.into_iter().chain(own.map(|(name, value)| (name.to_owned(), value))).collect()
}

async fn next(State(api): State<RuntimeApi>) -> Response {
    api.is_ready.send_replace(true);
    let Some(Invocation { id, event, answer }) = api.queue.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    api.running.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), answer);
    let deadline = (Clock::system().now().plus(LONGEST).as_unix_seconds() * 1000).to_string();
    let headers = [
        ("lambda-runtime-aws-request-id", id),
        ("lambda-runtime-deadline-ms", deadline),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:eu-west-1:111122223333:function:f".to_owned(),
        ),
        ("lambda-runtime-trace-id", "Root=1-00000000-000000000000000000000000".to_owned()),
    ];
    (headers, Json(event)).into_response()
}

async fn response(State(api): State<RuntimeApi>, Path(id): Path<String>, body: String) -> Response {
    let response = serde_json::from_str(&body).map_err(|e| format!("{e} in {body}"));
    finish(&api, &id, response)
}

async fn error(State(api): State<RuntimeApi>, Path(id): Path<String>, body: String) -> Response {
    finish(&api, &id, Err(body))
}

async fn init_error(State(api): State<RuntimeApi>, body: String) -> Response {
    *api.init_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
    accepted()
}

fn finish(api: &RuntimeApi, id: &str, outcome: Outcome) -> Response {
    let running = api.running.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    // The test may have given up.
    running.map_or(StatusCode::BAD_REQUEST.into_response(), |answer| {
        let _ = answer.send(outcome);
        accepted()
    })
}

fn accepted() -> Response {
    (StatusCode::ACCEPTED, Json(serde_json::json!({"status": "OK"}))).into_response()
}
