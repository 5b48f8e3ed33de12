use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;

use aws_sdk_dynamodb::types::AttributeValue;
use sayso_model::audit::LineDigest;
use sayso_tests::Fault;
use serde_json::{Value, json};

use super::{History, entries, entry, parsed, text};
use crate::setting::{expect_transcript, steady};

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_happened_is_in_it_and_nothing_that_could_be_used() {
    let history = History::new().await;
    let lines = history.exported("audit.jsonl", &[]).await;
    let entries = entries(&lines);
    let says = |kind: &str, id: &str| entry(&entries, kind, id)["fact"].clone();

    let asked = says("request", &history.used);
    assert_eq!(asked["arguments"], r#"{"cascade":true,"database":"customers","table":"orders"}"#);
    assert_eq!(asked["summary"], "Drop the table orders");
    assert_eq!(asked["reason"], "The migration is done and nothing reads it any more.");
    assert_eq!((&asked["agent"], &asked["approver"]), (&json!("deploy-bot"), &json!("approver-deploy-bot")));
    let approved = says("outcome", &history.used);
    assert_eq!((&approved["outcome"], &approved["proven_by"]), (&json!("approved"), &json!("email-link")));
    assert_eq!(approved["note"], "Fine.\n\u{202e}\"Ja, ä\"");
    assert_eq!(says("token", &history.used)["token"], history.token.as_str());
    assert_eq!(says("redemption", &history.used)["gate"], "the gate");
    assert_eq!(says("mail", &history.used)["state"], "accepted");
    assert_eq!(says("outcome", &history.denied)["note"], "Not on a Friday");
    assert_eq!(says("outcome", &history.withdrawn), json!({"outcome": "withdrawn"}));
    // Nobody has recorded these.
    assert_eq!(says("outcome", &history.expired), json!({"outcome": "expired"}));
    assert_eq!(says("mail", &history.unmailed)["state"], "failed");
    let undelivered = says("undelivered", &history.expired);
    assert_eq!(undelivered["mails"][0]["cause"], "bounce");
    assert_eq!(undelivered["mails"][0]["message_id"], says("mail", &history.expired)["message_id"]);
    assert_eq!(says("outcome", &history.fresh)["outcome"], "approved");
    let of = |id: &str| entries.iter().filter(|entry| entry["approval_id"] == id).count();
    assert_eq!(of(&history.pending), 1, "what was asked, and no more yet");

    let all = lines.join("\n");
    let world = &history.operated.world;
    for row in world.table().rows().await {
        for secret in ["link_secret_hash", "nonce_hash"] {
            let hash = sayso_tests::string(&row, secret);
            assert!(hash.is_empty() || !all.contains(&hash), "{secret}");
        }
    }
    for id in [&history.used, &history.denied, &history.pending] {
        assert!(!all.contains(world.link(id).secret()), "a link's secret");
    }
    let key = sayso_model::AgentKey::parse(world.agent_key.expose()).expect("a key");
    for secret in ["@example.com", key.expose(), &key.hash().to_string(), &history.fresh_token] {
        assert!(!all.contains(secret), "{secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_that_follow_each_other_miss_nothing_and_repeat_nothing() {
    let history = History::new().await;
    history.keys().await;
    let middle = history.middle.to_string();
    let hour = history.middle.plus(std::time::Duration::from_secs(3_700)).to_string();
    let whole = facts(&history.exported("whole", &[]).await);
    let mut parts = facts(&history.exported("1", &["--to", &middle]).await);
    parts.extend(facts(&history.exported("2", &["--to", &hour, "--previous", "1"]).await));
    parts.extend(facts(&history.exported("3", &["--previous", "2"]).await));
    assert_eq!(parts.len(), whole.len(), "nothing twice");
    assert_eq!(BTreeSet::from_iter(&parts), BTreeSet::from_iter(&whole));

    let all = history.verify(&["1", "2", "3"]).await;
    assert_eq!(all.status, 0, "{}", all.all);
    let later = history.verify(&["2", "3"]).await;
    assert!(
        later.status == 0 && later.all.contains("continues an export that was not given"),
        "{}",
        later.all
    );
    for gap in
        [&["1", "3"][..], &["2", "1", "3"], &["3", "2"], &["1", "1"], &["1", "2", "2", "3"], &["whole", "2"]]
    {
        history.finds(gap, "it does not follow the export before it").await;
    }
    // One that begins in time, and names nothing: it may have been made from anything.
    history.exported("apart", &["--from", &middle]).await;
    history.finds(&["1", "apart"], "it does not follow the export before it").await;
    let refused = history.export("4", &["--from", &middle, "--previous", "2"]).await;
    assert!(refused.status == 2 && refused.all.contains("leave --from out"), "{}", refused.all);
}

/// What the entries say, without their places.
fn facts(lines: &[String]) -> Vec<String> {
    let mut entries = entries(lines);
    for entry in &mut entries {
        let entry = entry.as_object_mut().expect("an object");
        entry.remove("seq");
        entry.remove("previous");
    }
    entries.iter().map(Value::to_string).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_table_and_range_make_the_same_chain_whoever_notices_what() {
    let history = History::new().await;
    let first = history.exported("first", &[]).await;
    // Somebody looks, and so records what has expired.
    let told = history.operated.world.agent().await.check(&history.expired).await;
    assert_eq!(told.field("status"), "expired");
    let recorded = history.operated.world.table().keys(&format!("OUTCOME#{}", history.expired)).await;
    assert_eq!(recorded.len(), 1);
    let again = history.exported("again", &[]).await;
    assert_eq!(first[..first.len() - 1], again[..again.len() - 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_believed_is_named_in_every_export_and_never_as_approved() {
    let history = History::new().await;
    history.keys().await;
    history.change(&format!("OUTCOME#{}", history.used), "token", text("forged")).await;
    history.change(&format!("NOTICE#{}", history.denied), "attempt", text("many@example.com")).await;
    history.change(&format!("REQUEST#{}", history.withdrawn), "arguments", text("{\"a\": 1}")).await;
    let table = history.operated.world.table();
    table.delete(&format!("REQUEST#{}", history.fresh)).await;
    let mut row = table.row(&format!("REQUEST#{}", history.pending)).await.expect("the row");
    row.insert("pk".to_owned(), text("REQUEST#\u{1b}[2J"));
    table.put(row).await;

    let expected = [
        ("NOTICE", &history.denied, "item"),
        ("NOTICE", &history.fresh, "pk"),
        ("NOTICE", &history.withdrawn, "pk"),
        ("OUTCOME", &history.fresh, "pk"),
        ("OUTCOME", &history.used, "token"),
        ("OUTCOME", &history.withdrawn, "pk"),
        ("REQUEST", &"\\u{1b}[2J".to_owned(), "pk"),
        ("REQUEST", &history.withdrawn, "arguments"),
    ];
    let expected: BTreeSet<_> = expected
        .iter()
        .map(|(kind, id, attribute)| (format!("{kind}#{id}"), (*attribute).to_owned()))
        .collect();
    let middle = history.middle.to_string();
    for (name, range) in [("all", &[][..]), ("early", &["--to", &middle]), ("late", &["--from", &middle])] {
        let ran = history.export(name, range).await;
        assert!(ran.status == 0 && ran.all.contains("sayso: 8 rows failed verification"), "{}", ran.all);
        let lines = history.lines(name);
        let entries = entries(&lines);
        let corrupt = entries.iter().filter(|entry| entry["kind"] == "corrupt");
        let found: BTreeSet<_> = corrupt
            .map(|entry| {
                ["row", "attribute"].map(|part| entry["fact"][part].as_str().expect("text").to_owned())
            })
            .map(|[row, attribute]| (row, attribute))
            .collect();
        assert_eq!(found, expected);
        assert!(!lines.join("\n").contains("@example.com"));
        assert!(!entries.iter().any(|e| e["kind"] == "outcome" && e["approval_id"] == history.used.as_str()));
        let verified = history.verify(&[name]).await;
        assert!(verified.status == 0 && verified.all.contains("8 corrupt"), "{}", verified.all);
    }
    // What was asked of it, and that it was used, can still be read.
    let early = entries(&history.lines("all"));
    entry(&early, "request", &history.used);
    entry(&early, "redemption", &history.used);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_do_not_fit_each_other_are_named_and_never_told() {
    let history = History::new().await;
    history.keys().await;
    let long_ago = || AttributeValue::N((history.middle.as_unix_seconds() - 86_400).to_string());
    history.change(&format!("REDEMPTION#{}", history.used), "tool", text("other_tool")).await;
    history.change(&format!("OUTCOME#{}", history.denied), "at", long_ago()).await;
    history.change(&format!("REQUEST#{}", history.expired), "created_at", long_ago()).await;
    let entries = entries(&history.exported("audit.jsonl", &[]).await);
    for (row, id, attribute, kind) in [
        ("REDEMPTION", &history.used, "digest", "redemption"),
        ("OUTCOME", &history.denied, "at", "outcome"),
        ("REQUEST", &history.expired, "created_at", "request"),
    ] {
        let named = |entry: &&Value| entry["fact"]["row"] == format!("{row}#{id}");
        let corrupt = entries.iter().find(named).unwrap_or_else(|| panic!("{row}"));
        assert_eq!(corrupt["fact"]["attribute"], attribute);
        assert!(!entries.iter().any(|e| e["kind"] == kind && e["approval_id"] == id.as_str()), "{kind}");
    }
    assert_eq!(history.verify(&["audit.jsonl"]).await.status, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_is_whole_or_not_there_and_nobody_elses_to_read() {
    let history = History::new().await;
    let folder = history.operated.folder.path();
    let there = || std::fs::read_dir(folder).expect("the folder").count();
    for call in ["Sign", "GetPublicKey", "Scan"] {
        history.operated.world.tap.break_next(call, Fault::Refuse(400, "AccessDeniedException"));
        let ran = history.export("audit.jsonl", &[]).await;
        assert!(ran.status == 1 && ran.all.contains("lack a permission"), "{call}: {}", ran.all);
        assert_eq!(there(), 0, "{call}");
    }
    let first = history.exported("audit.jsonl", &[]).await;
    let mode = std::fs::metadata(folder.join("audit.jsonl")).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = history.export("audit.jsonl", &[]).await;
    assert!(again.status == 1 && again.all.contains("already exists"), "{}", again.all);
    assert_eq!(history.lines("audit.jsonl"), first);
    assert_eq!(there(), 1);
    let nowhere = history.export("no/such/folder", &[]).await;
    assert!(nowhere.status == 1 && nowhere.all.contains("cannot be written"), "{}", nowhere.all);
}

#[tokio::test(flavor = "multi_thread")]
async fn exporting_and_verifying_on_a_terminal_and_by_a_script() {
    let history = History::new().await;
    history.keys().await;
    let (end, middle) = (history.end.to_string(), history.middle.to_string());
    let first = format!("audit export --to {middle} --output first.jsonl");
    let second = format!("audit export --to {end} --previous first.jsonl --output second.jsonl");
    let by_script = format!("--json audit export --to {end} --output third.jsonl");
    let in_the_future = "audit export --to 2999-01-01 --output fourth.jsonl";
    let lines = [
        "audit keys",
        first.as_str(),
        second.as_str(),
        by_script.as_str(),
        "audit verify first.jsonl second.jsonl",
        "audit verify --key audit-keys.json --issuer-keys issuer-keys.json first.jsonl second.jsonl",
        "--json audit verify first.jsonl",
        "audit verify second.jsonl first.jsonl",
        "--json audit verify second.jsonl first.jsonl",
        first.as_str(),
        in_the_future,
        "audit export --from yesterday --output fourth.jsonl",
        "audit export --previous issuer-keys.json --output fourth.jsonl",
        "audit verify nothing.jsonl",
        "audit verify --key nothing.json first.jsonl",
        "audit verify --key first.jsonl first.jsonl",
    ];
    let mut shown = history.operated.transcript(&lines).await;
    let offline = crate::setting::run(&["audit", "verify", "first.jsonl"]).await;
    shown.push_str(&format!("$ sayso audit verify first.jsonl\n{}[{}]\n", offline.all, offline.status));
    for (number, name) in ["first", "second", "third"].iter().enumerate() {
        let lines = history.lines(&format!("{name}.jsonl"));
        let head = LineDigest::of(lines.last().expect("a head").as_bytes()).to_string();
        shown = shown.replace(&head, &format!("HEAD-{}-", number + 1).repeat(7)[..43]);
    }
    let jwk = history.operated.world.audit_signer().await.public_key().to_jwk();
    for (value, name) in [(&jwk.kid, "KID-"), (&jwk.x, "X-"), (&jwk.y, "Y-")] {
        shown = shown.replace(value, &name.repeat(22)[..43]);
    }
    let issuer = history.operated.world.host.issuer_url.rsplit(':').next().expect("a port").to_owned();
    expect_transcript("audit.txt", &steady(&shown.replace(&format!(":{issuer}"), ":ISSUER"), "none"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_without_anything_is_an_export_too() {
    let history = History::new().await;
    history.keys().await;
    let lines = history.exported("empty.jsonl", &["--to", "2020-01-01"]).await;
    let lines = parsed(&lines);
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["to"], "2020-01-01T00:00:00Z");
    assert_eq!(history.verify(&["empty.jsonl"]).await.status, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_masked_at_a_gate_is_in_no_export_which_verifies_all_the_same() {
    let history = History::new().await;
    history.keys().await;
    let operated = &history.operated;
    operated.does(&["gate", "add", "production"]).await;
    let told = operated.does(&["gate", "mask", "production", "/table", "*base*"]).await;
    assert!(told.out.contains("Masked at the gate production: /table, *base*"), "{}", told.all);
    let lines = history.exported("masked.jsonl", &[]).await;
    let entries = entries(&lines);
    let asked = entry(&entries, "request", &history.used)["fact"].clone();
    assert_eq!(asked["arguments"], r#"{"cascade":true,"database":"(masked)","table":"(masked)"}"#);
    assert_eq!(asked["masked"], json!(["/database", "/table"]));
    let verified = history.verify(&["masked.jsonl"]).await;
    assert_eq!(verified.status, 0, "{}", verified.all);
    assert!(verified.out.contains("requests have masked arguments"), "{}", verified.all);

    let show = async |more: &[&str]| {
        operated.does(&[&["approvals", "show", &history.used], more].concat()).await.out
    };
    let masked = show(&[]).await;
    assert!(masked.contains("\"table\": ⟨masked⟩") && masked.contains("--unmasked"), "{masked}");
    assert!(show(&["--unmasked"]).await.contains("\"table\": \"orders\""));
    let json = operated.does(&["--json", "approvals", "show", &history.used]).await.json();
    assert_eq!((&json["arguments"], &json["masked"]), (&asked["arguments"], &asked["masked"]));

    operated.does(&["gate", "mask", "production", "--none"]).await;
    let lines = history.exported("whole.jsonl", &[]).await;
    assert!(!lines.join("\n").contains("(masked)"));
}
