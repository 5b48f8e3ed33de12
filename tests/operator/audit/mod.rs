//! What happened, exported, tampered with and verified: by the program, in a folder of its own.

mod exported;
mod guide;
mod keys;
mod tampered;
mod trusted;

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use sayso_local::outbox::Fate;
use sayso_model::Timestamp;
use sayso_model::token::{ApprovalToken, Jwks};
use sayso_tests::{Fault, Verdict, action, asking};
use serde_json::{Value, json};

use crate::setting::{Operated, Ran};

const DAY: u64 = 86_400;

/// A deployment in which everything has happened that can, a day ago.
struct History {
    operated: Operated,
    /// Approvals, by what became of them.
    used: String,
    denied: String,
    withdrawn: String,
    expired: String,
    pending: String,
    unmailed: String,
    /// Of `used`; nothing accepts it any more.
    token: String,
    /// Of an approval whose token was still valid at [`History::end`].
    fresh: String,
    fresh_token: String,
    /// A moment after the approval of `used`, before everything else.
    middle: Timestamp,
    /// The first moment after it all.
    end: Timestamp,
}

impl History {
    async fn new() -> Self {
        let operated = Operated::since(Duration::from_secs(DAY)).await;
        let world = &operated.world;
        let (agent, browser) = (world.agent().await, world.browser());
        let ask = async |table: &str| agent.ask(table).await.field("approval_id").to_owned();

        let used = ask("orders").await;
        world.pass(60);
        browser.decide(&world.link(&used), Verdict::Approve, "Fine.\n\u{202e}\"Ja, ä\"").await;
        let token = agent.check(&used).await.field("approval_token").to_owned();
        let arguments = asking("orders")["arguments"].to_string();
        let gate = world.gate("the gate");
        let permit =
            gate.permit(&ApprovalToken::from_text(&token), action(&arguments), world.clock.now()).await;
        permit.map(drop).expect("a permit");
        world.pass(60);
        let middle = world.clock.now();
        let expired = ask("ledger").await;
        world.comes_back(&expired, Fate::Bounce).await;
        world.tap.break_next("SendEmail", Fault::Refuse(400, "MessageRejected"));
        let unmailed = ask("unmailed").await;
        // Its token, and everybody's deadline, pass; nobody records that anything expired.
        world.pass(2 * 3_600);
        let (denied, withdrawn) = (ask("invoices").await, ask("customers").await);
        world.pass(5);
        browser.decide(&world.link(&denied), Verdict::Deny, "Not on a Friday").await;
        agent.call("withdraw_approval", json!({"approval_id": withdrawn})).await;
        let (fresh, pending) = (ask("payroll").await, ask("archive").await);
        browser.decide(&world.link(&fresh), Verdict::Approve, "").await;
        let fresh_token = agent.check(&fresh).await.field("approval_token").to_owned();
        world.pass(1);
        let end = world.clock.now();
        Self {
            operated,
            used,
            denied,
            withdrawn,
            expired,
            pending,
            unmailed,
            token,
            fresh,
            fresh_token,
            middle,
            end,
        }
    }

    /// Until [`History::end`].
    async fn export(&self, output: &str, more: &[&str]) -> Ran {
        let end = self.end.to_string();
        let arguments = ["audit", "export", "--output", output];
        let to = if more.contains(&"--to") { vec![] } else { vec!["--to", end.as_str()] };
        self.operated.run(&[&arguments[..], &to, more].concat()).await
    }

    async fn exported(&self, output: &str, more: &[&str]) -> Vec<String> {
        let ran = self.export(output, more).await;
        assert_eq!(ran.status, 0, "{}", ran.all);
        self.lines(output)
    }

    fn lines(&self, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.operated.folder.path().join(name)).expect("a file");
        assert!(text.ends_with('\n'));
        text.lines().map(str::to_owned).collect()
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.operated.folder.path().join(name), content).expect("a file");
    }

    /// Saves the public keys, as an operator would.
    async fn keys(&self) {
        let keys = self.operated.does(&["audit", "keys"]).await.out;
        self.write("audit-keys.json", keys);
        let keys = json!(Jwks::of(self.operated.world.signer().await.public_key()));
        self.write("issuer-keys.json", keys.to_string());
    }

    /// Without a deployment: whoever has the files and the keys.
    async fn verify(&self, arguments: &[&str]) -> Ran {
        let keys = ["audit", "verify", "--key", "audit-keys.json"];
        crate::setting::run_in(self.operated.folder.path(), &[], &[&keys[..], arguments].concat()).await
    }

    /// Finds something wrong, and says it.
    async fn finds(&self, arguments: &[&str], problem: &str) {
        let ran = self.verify(arguments).await;
        assert_eq!(ran.status, 1, "{arguments:?}: {}", ran.all);
        assert!(ran.all.contains(problem), "{arguments:?}, not {problem}: {}", ran.all);
        assert!(!ran.all.contains("Nothing was removed"), "{}", ran.all);
    }

    async fn change(&self, pk: &str, attribute: &str, value: AttributeValue) {
        let table = self.operated.world.table();
        let mut row = table.row(pk).await.expect("the row");
        row.insert(attribute.to_owned(), value);
        table.put(row).await;
    }
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn parsed(lines: &[String]) -> Vec<Value> {
    lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The entries, without header and head.
fn entries(lines: &[String]) -> Vec<Value> {
    let mut lines = parsed(lines);
    assert_eq!(
        (lines.remove(0)["kind"].as_str(), lines.pop().expect("a head")["kind"].as_str()),
        (Some("header"), Some("head"))
    );
    lines
}

/// The one entry of this kind about this approval.
fn entry<'a>(entries: &'a [Value], kind: &str, id: &str) -> &'a Value {
    let mut found = entries.iter().filter(|entry| entry["kind"] == kind && entry["approval_id"] == id);
    let entry = found.next().unwrap_or_else(|| panic!("no {kind} of {id}"));
    assert!(found.next().is_none(), "two {kind} of {id}");
    entry
}
