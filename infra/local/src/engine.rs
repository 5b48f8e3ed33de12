//! DynamoDB, embedded: the product's one table, and the few notes this host keeps beside it in the same file.
//!
//! The requests are answered by `dynoxide`'s own operations. Its HTTP server is not used: that answers any web page the
//! developer's browser happens to show (`Access-Control-Allow-Origin: *`), and cannot be layered, while a [`Router`] can
//! be counted, delayed and made to fail by the tests.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use dynoxide::actions::{delete_item::DeleteItemRequest, scan::ScanRequest};
use dynoxide::{AttributeValue, Database, DynoxideError, Item};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use crate::outbox::guard;

/// The partition key of the product's table.
pub const PARTITION_KEY: &str = "pk";
/// The attribute by which DynamoDB expires a row, in unix seconds.
pub const TTL_ATTRIBUTE: &str = "ttl";

const AMZ_JSON: &str = "application/x-amz-json-1.0";
/// What DynamoDB accepts in one request.
const MAX_REQUEST: usize = 16 * 1024 * 1024;

/// Why the local database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The file cannot be created or opened.
    #[error("cannot open {path}: {source}")]
    File {
        /// The file as it was resolved.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The path is not Unicode, which the engine cannot open.
    #[error("{0} is not a Unicode path")]
    Path(PathBuf),
    /// The engine refused or failed.
    #[error(transparent)]
    Engine(#[from] DynoxideError),
    /// A request built here is not one the engine reads: a mismatch of versions.
    #[error("the engine does not read {0}")]
    Request(&'static str),
    /// The host's own notes cannot be read or written.
    #[error("the host's notes: {0}")]
    Notes(#[from] rusqlite::Error),
    /// A note is not what this host writes.
    #[error("a kept {0} is damaged")]
    Damaged(&'static str),
}

/// One local database: cheap to clone, and all clones are the same one.
///
/// Every write is committed (SQLite in WAL mode with `synchronous=FULL`) before it is answered, so a process killed
/// between any two writes loses none of those it answered.
#[derive(Clone)]
pub struct Engine {
    database: Database,
    notes: Notes,
    table: String,
}

impl Engine {
    /// Opens the database with `table` in it, creating what is absent: in memory, or in `file`, which only its owner may
    /// read when it is created here (it holds the signing key and the mails with their deciding links).
    pub fn open(file: Option<&Path>, table: &str) -> Result<Self, EngineError> {
        let (database, notes) = match file {
            None => (Database::memory()?, Notes::open(Connection::open_in_memory()?)?),
            Some(file) => {
                let path = private_file(file)?;
                let path = path.to_str().ok_or_else(|| EngineError::Path(path.clone()))?;
                (Database::new(path)?, Notes::open(Connection::open(path)?)?)
            }
        };
        create_table(&database, table)?;
        Ok(Self { database, notes, table: table.to_owned() })
    }

    /// The DynamoDB endpoint: the data plane only, since the table is made by [`Engine::open`].
    pub fn router(&self) -> Router {
        Router::new()
            .route("/", post(answer))
            .layer(DefaultBodyLimit::max(MAX_REQUEST))
            .layer(guard::for_clients())
            .with_state(self.database.clone())
    }

    /// Deletes the rows whose `ttl` lies before `now` (unix seconds), as DynamoDB does within days, and says how many.
    ///
    /// The engine has a sweep of its own, which reads the wall clock wherever the database is a file; this one is told
    /// the time, so that scripted time works with both.
    pub fn sweep_ttl(&self, now: i64) -> Result<usize, EngineError> {
        let names = HashMap::from([("#ttl".to_owned(), TTL_ATTRIBUTE.to_owned())]);
        let values = HashMap::from([(":now".to_owned(), AttributeValue::N(now.to_string()))]);
        let expired = "#ttl < :now".to_owned();
        let mut deleted = 0;
        let mut after = None;
        loop {
            let page = self.database.scan(ScanRequest {
                table_name: self.table.clone(),
                filter_expression: Some(expired.clone()),
                expression_attribute_names: Some(names.clone()),
                expression_attribute_values: Some(values.clone()),
                exclusive_start_key: after,
                ..ScanRequest::default()
            })?;
            for row in page.items.unwrap_or_default() {
                let delete = DeleteItemRequest {
                    table_name: self.table.clone(),
                    key: key_of(row),
                    condition_expression: Some(expired.clone()),
                    expression_attribute_names: Some(names.clone()),
                    expression_attribute_values: Some(values.clone()),
                    ..DeleteItemRequest::default()
                };
                match self.database.delete_item(delete) {
                    Ok(_) => deleted += 1,
                    // Replaced since the page was read: no longer due.
                    Err(DynoxideError::ConditionalCheckFailedException(..)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            after = page.last_evaluated_key;
            if after.is_none() {
                return Ok(deleted);
            }
        }
    }

    /// The host's own notes, which no DynamoDB request reaches.
    pub(crate) fn notes(&self) -> &Notes {
        &self.notes
    }
}

fn key_of(mut row: Item) -> Item {
    row.retain(|name, _| name == PARTITION_KEY);
    row
}

/// The absolute path of `file`, created empty and private when it is absent. Absolute, because SQLite gives names such
/// as `:memory:` or `file:…` a meaning of their own.
fn private_file(file: &Path) -> Result<PathBuf, EngineError> {
    let failed = |source| EngineError::File { path: file.to_owned(), source };
    let path = std::path::absolute(file).map_err(failed)?;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&path).map_err(failed)?;
    Ok(path)
}

/// Every step is repeated at each start: a process killed between the two leaves a table without its TTL.
fn create_table(database: &Database, table: &str) -> Result<(), EngineError> {
    let create = json!({
        "TableName": table,
        "KeySchema": [{"AttributeName": PARTITION_KEY, "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": PARTITION_KEY, "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
    });
    let create = serde_json::from_value(create).map_err(|_| EngineError::Request("CreateTable"))?;
    match database.create_table(create) {
        Ok(_) | Err(DynoxideError::ResourceInUseException(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let expire = json!({
        "TableName": table,
        "TimeToLiveSpecification": {"AttributeName": TTL_ATTRIBUTE, "Enabled": true},
    });
    let expire = serde_json::from_value(expire).map_err(|_| EngineError::Request("UpdateTimeToLive"))?;
    database.update_time_to_live(expire)?;
    Ok(())
}

async fn answer(State(database): State<Database>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let operation = target.strip_prefix("DynamoDB_20120810.").unwrap_or_default();
    let (status, json) = match dispatch(&database, operation, &body) {
        Some(Ok(json)) => (StatusCode::OK, json),
        Some(Err(error)) => {
            let status =
                StatusCode::from_u16(error.status_code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, error.to_json())
        }
        None => {
            let unknown = json!({"__type": "com.amazon.coral.service#UnknownOperationException"});
            (StatusCode::BAD_REQUEST, unknown.to_string())
        }
    };
    (status, [(CONTENT_TYPE, AMZ_JSON)], json).into_response()
}

/// `None` for an operation that is not served.
fn dispatch(database: &Database, operation: &str, body: &[u8]) -> Option<Result<String, DynoxideError>> {
    Some(match operation {
        "GetItem" => run(body, |request| database.get_item(request)),
        "BatchGetItem" => run(body, |request| database.batch_get_item(request)),
        "TransactGetItems" => run(body, |request| database.transact_get_items(request)),
        "Query" => run(body, |request| database.query(request)),
        "Scan" => run(body, |request| database.scan(request)),
        "PutItem" => run(body, |request| database.put_item(request)),
        "UpdateItem" => run(body, |request| database.update_item(request)),
        "DeleteItem" => run(body, |request| database.delete_item(request)),
        "BatchWriteItem" => run(body, |request| database.batch_write_item(request)),
        "TransactWriteItems" => run(body, |request| database.transact_write_items(request)),
        "DescribeTable" => run(body, |request| database.describe_table(request)),
        "DescribeTimeToLive" => run(body, |request| database.describe_time_to_live(request)),
        "ListTables" => run(body, |request| database.list_tables(request)),
        _ => return None,
    })
}

fn run<Q: DeserializeOwned, A: Serialize>(
    body: &[u8],
    operation: impl FnOnce(Q) -> Result<A, DynoxideError>,
) -> Result<String, DynoxideError> {
    let request = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    let answer = operation(request)?;
    serde_json::to_string(&answer).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

/// The engine's request types mark in their message which exception a body deserves.
fn unreadable(error: &serde_json::Error) -> DynoxideError {
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    match message.split_once(':') {
        Some((marker, rest)) if marker.starts_with("VALIDATION") => {
            DynoxideError::ValidationException(rest.to_owned())
        }
        Some((marker, rest)) if marker.starts_with("SERIALIZATION") => {
            DynoxideError::SerializationException(rest.to_owned())
        }
        _ => DynoxideError::SerializationException(message.to_owned()),
    }
}

/// What this host must remember besides the product's rows: named values in the order they came.
///
/// A plain SQL table rather than one of the engine's, because the DynamoDB endpoint serves every table the engine has,
/// and a function (or a bug in one) could then read the signing key and the deciding links.
#[derive(Clone)]
pub(crate) struct Notes(Arc<Mutex<Connection>>);

impl Notes {
    fn open(connection: Connection) -> Result<Self, rusqlite::Error> {
        connection.execute_batch(
            "PRAGMA synchronous = FULL;
             CREATE TABLE IF NOT EXISTS sayso_local_host (
                 seq INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, value BLOB NOT NULL);",
        )?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    fn with<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, EngineError> {
        Ok(work(&self.0.lock().unwrap_or_else(PoisonError::into_inner))?)
    }

    /// Appends `value`, unless there is one of that name: the first stays.
    pub(crate) fn add(&self, name: &str, value: &[u8]) -> Result<(), EngineError> {
        let add = "INSERT OR IGNORE INTO sayso_local_host (name, value) VALUES (?1, ?2)";
        self.with(|notes| notes.execute(add, params![name, value]).map(drop))
    }

    pub(crate) fn get(&self, name: &str) -> Result<Option<Vec<u8>>, EngineError> {
        let get = "SELECT value FROM sayso_local_host WHERE name = ?1";
        self.with(|notes| notes.query_row(get, [name], |row| row.get(0)).optional())
    }

    /// The values whose names begin with `prefix`, oldest first.
    pub(crate) fn list(&self, prefix: &str) -> Result<Vec<Vec<u8>>, EngineError> {
        let list = "SELECT value FROM sayso_local_host WHERE substr(name, 1, length(?1)) = ?1 ORDER BY seq";
        self.with(|notes| notes.prepare(list)?.query_map([prefix], |row| row.get(0))?.collect())
    }
}

/// Random bytes for what AWS would have made itself: keys and ids.
#[expect(
    clippy::disallowed_methods,
    reason = "this host stands in for KMS and SES, whose randomness is their own"
)]
pub(crate) fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
