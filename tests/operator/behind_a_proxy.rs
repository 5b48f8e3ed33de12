//! From a company's network, where whoever reads along has a certificate of its own.

use std::fs;

use sayso_tests::{Program, workspace};
use tempfile::TempDir;
use tokio::process::Command;

use crate::setting::{Ran, run_in};

const GATES: &[&str] = &["gate", "list"];

struct Company {
    folder: TempDir,
    proxy: String,
    _program: Program,
}

impl Company {
    async fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let python = workspace().join("target/python/bin/python");
        assert!(python.exists(), "{} is missing: run tests/run once", python.display());
        let mut command = Command::new(python);
        command.arg(workspace().join("tests/operator/proxy.py")).arg(folder.path());
        let mut program = Program::start(command);
        let proxy = program.line_with("http://127.0.0.1:").await.trim().to_owned();
        Self { folder, proxy, _program: program }
    }

    async fn run(&self, bundle: &str, command: &[&str]) -> Ran {
        let environment = [
            ("HTTPS_PROXY", self.proxy.as_str()),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_CA_BUNDLE", bundle),
        ];
        let arguments = [&["--region", "us-east-1", "--table", "sayso"], command].concat();
        run_in(self.folder.path(), &environment, &arguments).await
    }

    /// The hosts that the proxy was asked to connect to.
    fn asked(&self) -> String {
        fs::read_to_string(self.folder.path().join("asked")).unwrap_or_default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_is_used_and_trusted_where_its_certificate_is_named() {
    let company = Company::new().await;
    let ran = company.run("ca.pem", GATES).await;
    assert_eq!(ran.status, 0, "{}", ran.all);
    assert!(ran.out.contains("No gate is registered"), "{}", ran.all);
    assert_eq!(company.asked(), "dynamodb.us-east-1.amazonaws.com\n");
    // Several calls go over one connection.
    let ran = company.run("ca.pem", &["agent", "revoke", "nobody"]).await;
    assert!(ran.all.contains("no agent nobody is registered"), "{}", ran.all);
    assert_eq!(company.asked(), "dynamodb.us-east-1.amazonaws.com\n".repeat(2));

    // Nobody else's certificate is trusted, and the message says what to do.
    let ran = company.run("", GATES).await;
    assert_eq!(ran.status, 1, "{}", ran.all);
    assert!(ran.all.contains("no connection") && ran.all.contains("AWS_CA_BUNDLE"), "{}", ran.all);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_that_holds_no_certificate_is_named() {
    let company = Company::new().await;
    fs::write(company.folder.path().join("empty.pem"), "not a certificate").expect("a file");
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    fs::write(company.folder.path().join("broken.pem"), broken).expect("a file");
    for (bundle, problem) in [("missing.pem", "cannot be read"), ("empty.pem", "PEM"), ("broken.pem", "PEM")]
    {
        let ran = company.run(bundle, GATES).await;
        assert_eq!(ran.status, 2, "{}", ran.all);
        assert!(ran.all.contains(bundle) && ran.all.contains(problem), "{}", ran.all);
    }
    assert_eq!(company.asked(), "", "nothing was asked");
}
