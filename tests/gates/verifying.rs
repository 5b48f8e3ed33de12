//! The verifiers of `docs/verifying.md`, as they stand there, against a token of a running deployment.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use jsonwebtoken::jwk::JwkSet;
use sayso_tests::{Agent, Local, Verdict, workspace};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// A block of code of the page, by its language.
fn block(language: &str) -> String {
    let page = std::fs::read_to_string(workspace().join("docs/verifying.md")).expect("the page");
    let start = format!("\n```{language}\n");
    let block = page.split(&start).nth(1).and_then(|rest| rest.split("\n```").next());
    let block = format!("{}\n", block.unwrap_or_else(|| panic!("no {language}")));
    assert!(block.lines().count() <= 80, "{language} has {} lines", block.lines().count());
    block
}

/// What `tests/run` installs.
fn installed(path: &str) -> PathBuf {
    let path = workspace().join("target").join(path);
    assert!(path.exists(), "{} is missing: run tests/run once", path.display());
    path
}

/// What each library has to write as RFC 8785 does.
const FILE: &str = "a\r\nb\t\u{8}\u{c}\u{0}\u{1b}[2J\u{7f}\u{85}\u{9b}\u{2028}é";

/// What is approved.
fn arguments() -> Value {
    json!({"database": "customers", "table": "orders_2019", "cascade": true, "file": FILE, "\r\u{1f}": 1})
}

/// The same with integers that no double holds.
fn large(volume: u64) -> Value {
    json!({"volume": volume, "of": [-9_007_199_254_740_993_i64, {"ﬁ": 0.5, "😀": 7, "": null}], "file": FILE})
}

struct Deployment {
    local: Local,
    approved: Approved,
    with_large: Approved,
}

struct Approved {
    id: String,
    token: String,
}

impl Deployment {
    async fn new() -> Self {
        let local = Local::start(&["--port", "0"]).await;
        let agent = Agent::connect(local.ready.get("mcp_url"), local.ready.get("agent_key")).await;
        let approved = async |arguments: Value| {
            let asked = json!({"tool": "drop_table", "arguments": arguments, "summary": "Drop the table"});
            let id = agent.call("request_approval", asked).await.field("approval_id").to_owned();
            let link = local.links(&id).await.remove(0);
            local.browser().decide(&link, Verdict::Approve, "").await;
            let token = agent.check(&id).await.field("approval_token").to_owned();
            Approved { id, token }
        };
        let (one, other) = (approved(arguments()).await, approved(large(9_007_199_254_740_993)).await);
        Self { local, approved: one, with_large: other }
    }

    /// What each verifier is shown, and the approval by which it may run.
    fn rows(&self) -> Vec<(Shown, Option<&str>)> {
        let good = Shown {
            issuer: self.local.ready.get("issuer_url").to_owned(),
            audience: self.local.ready.get("audience").to_owned(),
            tool: "drop_table".to_owned(),
            arguments: arguments(),
            token: self.approved.token.clone(),
        };
        let with_large = |volume: u64| Shown {
            arguments: large(volume),
            token: self.with_large.token.clone(),
            ..good.clone()
        };
        let (signed, signature) = good.token.rsplit_once('.').expect("a token");
        let reversed: String = signature.chars().rev().collect();
        let but = |change: fn(&mut Shown)| {
            let mut shown = good.clone();
            change(&mut shown);
            (shown, None)
        };
        vec![
            (good.clone(), Some(&self.approved.id)),
            (with_large(9_007_199_254_740_993), Some(&self.with_large.id)),
            // The double that it is rounded to, and another that is.
            (with_large(9_007_199_254_740_992), None),
            (with_large(9_007_199_254_740_994), None),
            but(|shown| shown.arguments["table"] = json!("orders_2018")),
            but(|shown| shown.arguments["cascade"] = json!(1)),
            but(|shown| shown.arguments["file"] = FILE.replace('\r', "").into()),
            but(|shown| shown.tool.push('s')),
            but(|shown| shown.audience.push('2')),
            but(|shown| shown.token = shown.token.replacen('e', "f", 1)),
            (Shown { token: format!("{signed}.{reversed}"), ..good.clone() }, None),
            // {"alg":"none","typ":"sayso-approval+jwt"} and the same claims.
            (
                Shown {
                    token: format!(
                        "eyJhbGciOiJub25lIiwidHlwIjoic2F5c28tYXBwcm92YWwrand0In0.{}.",
                        signed.split_once('.').expect("claims").1
                    ),
                    ..good.clone()
                },
                None,
            ),
        ]
    }

    async fn judged_by(&self, program: &Path, script: &Path) {
        for (shown, approval) in self.rows() {
            let (status, output) = shown.to(program, script).await;
            assert_eq!(status, approval.is_some(), "{}: {output}", shown.arguments);
            assert!(approval.is_none_or(|id| output.trim() == id), "{output}");
        }
    }
}

#[derive(Clone)]
struct Shown {
    issuer: String,
    audience: String,
    tool: String,
    arguments: Value,
    token: String,
}

impl Shown {
    async fn to(&self, program: &Path, script: &Path) -> (bool, String) {
        let arguments = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(arguments.path(), self.arguments.to_string()).expect("a write");
        let mut command = Command::new(program);
        command.arg(script).args([&self.issuer, &self.audience, &self.tool]).arg(arguments.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("a process");
        let mut stdin = child.stdin.take().expect("its input");
        stdin.write_all(self.token.as_bytes()).await.expect("a write");
        drop(stdin);
        let output = child.wait_with_output().await.expect("its output");
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_verifier_permits_what_was_approved_and_nothing_else() {
    let python = installed("python/bin/python");
    let deployment = Deployment::new().await;
    let script = tempfile::NamedTempFile::with_suffix(".py").expect("a file");
    std::fs::write(script.path(), block("python")).expect("a write");
    deployment.judged_by(&python, script.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_javascript_verifier_permits_what_was_approved_and_nothing_else() {
    // Beside the libraries, where Node looks for them.
    let beside = installed("node/node_modules").with_file_name("");
    let deployment = Deployment::new().await;
    let script = tempfile::Builder::new().suffix(".mjs").tempfile_in(beside).expect("a file");
    std::fs::write(script.path(), block("js")).expect("a write");
    deployment.judged_by(Path::new("node"), script.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_verifier_permits_what_was_approved_and_nothing_else() {
    assert_eq!(block("rust"), include_str!("verify.rs"), "what stands in the page is what runs here");
    let deployment = Deployment::new().await;
    for (shown, approval) in deployment.rows() {
        let keys = deployment.local.browser().open(&format!("{}/.well-known/jwks.json", shown.issuer)).await;
        let keys: JwkSet = serde_json::from_str(&keys.html).expect("a key set");
        let Shown { issuer, audience, tool, arguments, token } = shown;
        let verified = crate::verify::verify(&token, &keys, &issuer, &audience, &tool, &arguments);
        assert_eq!(verified.is_ok(), approval.is_some(), "{arguments}: {verified:?}");
        assert_eq!(verified.ok().as_ref().and_then(|claims| claims["jti"].as_str()), approval);
    }
}
