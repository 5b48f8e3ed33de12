use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sayso_local::engine::Engine;
use sayso_local::host::TABLE;
use sayso_local::signer::Signer;
use sayso_model::Timestamp;
use sayso_tests::{Agent, Link, Row, World, workspace};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// Every format there has been, the oldest first: see README.md.
const FORMATS: [&str; 2] = ["first", "limits"];

/// Rows as some code wrote them, and what nobody could read from them.
#[derive(Clone)]
pub(crate) struct Fixture {
    pub(crate) name: String,
    pub(crate) rows: Vec<Row>,
    facts: Value,
}

/// A deployment of today's code on such rows, at the moment they were written.
pub(crate) struct Upgraded {
    pub(crate) name: String,
    pub(crate) world: World,
    facts: Value,
    _directory: TempDir,
}

pub(crate) fn folder() -> PathBuf {
    workspace().join("tests/upgrades/formats")
}

impl Fixture {
    pub(crate) fn read(name: &str) -> Self {
        let json = |file: &str| -> Value {
            let text = fs::read_to_string(folder().join(name).join(file)).expect("a fixture");
            serde_json::from_str(&text).expect("JSON")
        };
        let rows = json("rows.json");
        let rows = rows.as_array().expect("rows").iter().map(from_json).collect();
        Self { name: name.to_owned(), rows, facts: json("facts.json") }
    }

    /// All formats; and the newest with attributes in every row that today's code does not know.
    pub(crate) fn all() -> Vec<Self> {
        let earlier = FORMATS.map(Self::read);
        let mut later = earlier[FORMATS.len() - 1].clone();
        later.name = "later".to_owned();
        for row in &mut later.rows {
            row.insert("later".to_owned(), AttributeValue::S("unknown".to_owned()));
            row.insert("since_later".to_owned(), AttributeValue::N("1".to_owned()));
            let inside = BTreeMap::from([("a", AttributeValue::Bool(true))]);
            let inside = inside.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            row.insert("nested_later".to_owned(), AttributeValue::M(inside));
        }
        earlier.into_iter().chain([later]).collect()
    }

    /// The newest that is kept.
    pub(crate) fn newest() -> Self {
        Self::read(FORMATS[FORMATS.len() - 1])
    }

    pub(crate) async fn upgraded(self) -> Upgraded {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("sayso.db");
        let engine = Engine::open(Some(&file), TABLE).expect("a database");
        let kept = self.facts["signing_key"].as_str().expect("a key");
        Signer::adopt(&engine, &STANDARD.decode(kept).expect("base64")).expect("a key");
        drop(engine);
        let now = Timestamp::parse(self.facts["now"].as_str().expect("a time")).expect("a time");
        let world = World::over(&file, now).await;
        // A world has an agent of its own.
        world.table().delete(&format!("AGENT#{}", world.agent_key.hash())).await;
        for row in self.rows {
            world.table().put(row).await;
        }
        Upgraded { name: self.name, world, facts: self.facts, _directory: directory }
    }
}

impl Upgraded {
    /// The agent with a key of earlier times.
    pub(crate) async fn agent(&self, name: &str) -> Agent {
        Agent::connect(&self.world.host.mcp_url, self.key(name)).await
    }

    pub(crate) fn key(&self, name: &str) -> &str {
        self.facts["agents"][name].as_str().unwrap_or_else(|| panic!("no agent {name}"))
    }

    pub(crate) fn knows(&self, agent: &str) -> bool {
        self.facts["agents"][agent].is_string()
    }

    pub(crate) fn id(&self, approval: &str) -> &str {
        self.facts["approvals"][approval]["id"].as_str().unwrap_or_else(|| panic!("no {approval}"))
    }

    /// The link that was mailed then, where this deployment's page is now.
    pub(crate) fn link(&self, approval: &str) -> Link {
        let secret = self.facts["approvals"][approval]["secret"].as_str().expect("a secret");
        Link(format!("{}/{}/{secret}", self.world.host.page_url, self.id(approval)))
    }

    /// `POST /redeem` under the name that the deployment had when the token was signed, as a Function URL keeps it: status
    /// and reason.
    pub(crate) async fn redeem(&self, body: &Value) -> (u16, String) {
        let issuer = self.facts["issuer"].as_str().expect("an issuer");
        let request = sayso_tests::loopback::client()
            .build()
            .expect("a client")
            .post(format!("{}/redeem", self.world.host.issuer_url));
        let request = request.header("host", issuer.trim_start_matches("http://")).json(body);
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.expect("JSON");
        (status, body["reason"].as_str().unwrap_or_default().to_owned())
    }
}

/// A row in DynamoDB JSON.
pub(crate) fn to_json(row: &Row) -> Value {
    let sorted: BTreeMap<_, _> =
        row.iter().map(|(name, value)| (name.clone(), value_to_json(value))).collect();
    json!(sorted)
}

fn value_to_json(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => json!({"S": text}),
        AttributeValue::N(number) => json!({"N": number}),
        AttributeValue::Ss(texts) => {
            let mut sorted = texts.clone();
            sorted.sort();
            json!({"SS": sorted})
        }
        AttributeValue::L(values) => json!({"L": values.iter().map(value_to_json).collect::<Vec<_>>()}),
        AttributeValue::M(members) => json!({"M": to_json(members)}),
        other => panic!("no row has had {other:?}"),
    }
}

pub(crate) fn from_json(row: &Value) -> Row {
    let members = row.as_object().expect("a row");
    members.iter().map(|(name, value)| (name.clone(), value_from_json(value))).collect()
}

fn value_from_json(value: &Value) -> AttributeValue {
    let members: &Map<String, Value> = value.as_object().expect("a value");
    let (kind, value) = members.iter().next().expect("a value");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let list = || value.as_array().expect("a list").iter();
    match kind.as_str() {
        "S" => AttributeValue::S(text(value)),
        "N" => AttributeValue::N(text(value)),
        "SS" => AttributeValue::Ss(list().map(text).collect()),
        "L" => AttributeValue::L(list().map(value_from_json).collect()),
        "M" => AttributeValue::M(from_json(value)),
        other => panic!("no row has had {other}"),
    }
}

pub(crate) fn write(folder: &Path, rows: &[Row], facts: &Value) {
    fs::create_dir_all(folder).expect("a directory");
    let mut rows: Vec<Value> = rows.iter().map(to_json).collect();
    rows.sort_by_key(|row| row["pk"]["S"].as_str().unwrap_or_default().to_owned());
    for (file, json) in [("rows.json", &json!(rows)), ("facts.json", facts)] {
        fs::write(folder.join(file), format!("{json:#}\n")).expect("a file");
    }
}
