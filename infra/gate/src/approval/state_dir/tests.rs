use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::fs::symlink;

use sayso_sdk::CanonicalJson;

use super::*;

const FIRST: &str = "01JD3V8Q5Z7XW2N4M6K8P0R1ST";
const SECOND: &str = "01JD3V8Q5Z7XW2N4M6K8P0R1SV";

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn open(directory: &tempfile::TempDir) -> StateDir {
    StateDir::open(Some(directory.path().join("state"))).unwrap()
}

fn tool() -> ToolName {
    ToolName::parse("drop_table").unwrap()
}

fn key(scope: &str) -> Key {
    key_of("https://sayso.example/mcp", "production", scope, "{}")
}

fn key_of(url: &str, audience: &str, scope: &str, arguments: &str) -> Key {
    let action = Action { tool: tool(), arguments: CanonicalJson::parse(arguments).unwrap() };
    Key::new(&BaseUrl::parse(url).unwrap(), &Audience::parse(audience).unwrap(), scope, &action)
}

fn requested(id: &str, closes_at: Timestamp) -> PendingApproval {
    PendingApproval {
        id: ApprovalId::parse(id).unwrap(),
        closes_at,
        status_url: format!("https://page.example/{id}"),
        approver: "a•••@example.com".to_owned(),
        mail_sent: true,
        asked: None,
    }
}

fn names(kept: &StateDir) -> Vec<String> {
    let entries = fs::read_dir(&kept.directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn what_one_process_keeps_a_later_one_finds_and_nobody_else_reads() {
    let directory = directory();
    let kept = open(&directory);
    let requested = requested(FIRST, crate::clock::now());
    let approval = kept.keep(&key("run"), &requested, &tool(), Some("abc")).unwrap();
    let found = open(&directory).find(&key("run"));
    assert_eq!(found.as_ref(), Some(&approval));
    let found = found.unwrap();
    assert_eq!((found.id, found.closes_at), (requested.id, requested.closes_at));
    assert_eq!((found.approver, found.status_url), (requested.approver, requested.status_url));
    assert_eq!((found.tool, found.definition.as_deref()), (tool(), Some("abc")));
    assert_eq!((mode(&kept.directory), mode(&found.file)), (0o700, 0o600));
    assert_eq!(names(&kept).len(), 1);
}

#[test]
fn another_place_gate_scope_or_action_is_another_approval() {
    let url = "https://sayso.example/mcp";
    let keys = [
        key_of(url, "production", "run", "{}"),
        key_of("https://sayso.example/mc", "production", "run", "{}"),
        key_of(url, "staging", "run", "{}"),
        key_of(url, "production", "ru", "{}"),
        key_of(url, "productionr", "un", "{}"),
        key_of(url, "production", "run", r#"{"a":1}"#),
    ];
    for (index, one) in keys.iter().enumerate() {
        assert!(keys[..index].iter().all(|other| other != one), "{index}");
        assert!(one.name.len() == 64 && one.name.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
    let kept = open(&directory());
    assert_eq!(kept.find(&keys[0]), None);
    // The same number, written otherwise, is the same action.
    let same = |arguments| key_of(url, "production", "run", arguments);
    assert_eq!(same(r#"{"a":1,"b":2}"#), same(r#"{"b":2.0,"a":1.0}"#));
}

#[test]
fn forgetting_an_approval_leaves_a_newer_one() {
    let directory = directory();
    let kept = open(&directory);
    let now = crate::clock::now();
    let first = kept.keep(&key("run"), &requested(FIRST, now), &tool(), None).unwrap();
    let second = kept.keep(&key("run"), &requested(SECOND, now), &tool(), None).unwrap();
    first.clone().forget();
    assert_eq!(kept.find(&key("run")).as_ref(), Some(&second));
    second.clone().forget();
    assert_eq!(kept.find(&key("run")), None);
    second.forget();
    first.forget();
    assert!(names(&kept).is_empty());
}

#[test]
fn what_does_not_read_as_an_approval_is_none_and_is_written_over() {
    let directory = directory();
    let kept = open(&directory);
    let approval = kept.keep(&key("run"), &requested(FIRST, crate::clock::now()), &tool(), None).unwrap();
    let good = fs::read_to_string(&approval.file).unwrap();
    let rows = [
        String::new(),
        "{}".to_owned(),
        good[..good.len() - 1].to_owned(),
        good.replace(FIRST, "01"),
        good.replace("drop_table", "drop table"),
        good.replace("Z\"", "\""),
        format!("{good}{}", " ".repeat(1 << 20)),
        "\u{0}".repeat(100),
    ];
    for row in rows {
        fs::write(&approval.file, &row).unwrap();
        let shown = row.chars().take(200).collect::<String>();
        assert_eq!(kept.find(&key("run")), None, "{shown}");
        approval.clone().forget();
        assert!(approval.file.exists(), "{shown}");
    }
    fs::write(&approval.file, [0xff, 0xfe]).unwrap();
    assert_eq!(kept.find(&key("run")), None);
    let again = kept.keep(&key("run"), &requested(SECOND, crate::clock::now()), &tool(), None).unwrap();
    assert_eq!(kept.find(&key("run")), Some(again));
    // A file that points elsewhere is replaced, and what it pointed at is left alone.
    let elsewhere = directory.path().join("elsewhere");
    fs::write(&elsewhere, "mine").unwrap();
    fs::remove_file(&approval.file).unwrap();
    symlink(&elsewhere, &approval.file).unwrap();
    kept.keep(&key("run"), &requested(FIRST, crate::clock::now()), &tool(), None).unwrap();
    assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "mine");
}

#[test]
fn what_is_long_over_is_removed_and_nothing_that_is_not_ours() {
    let directory = directory();
    let kept = open(&directory);
    let now = crate::clock::now();
    let days = |days: u64| {
        Timestamp::from_unix_seconds(now.as_unix_seconds() - i64::try_from(days).unwrap() * 86_400).unwrap()
    };
    kept.keep(&key("long over"), &requested(FIRST, days(9)), &tool(), None).unwrap();
    kept.keep(&key("over"), &requested(FIRST, days(7)), &tool(), None).unwrap();
    kept.keep(&key("open"), &requested(FIRST, now.plus(Duration::from_secs(600))), &tool(), None).unwrap();
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let garbled = format!("{}.json", "a".repeat(64));
    for (name, age) in [
        ("notes.json", Some(old)),
        (".sayso-gate-died", Some(old)),
        (".sayso-gate-now", None),
        (garbled.as_str(), Some(old)),
    ] {
        let file = File::create(kept.directory.join(name)).unwrap();
        if let Some(age) = age {
            file.set_modified(age).unwrap();
        }
    }
    let kept = open(&directory);
    assert_eq!(kept.find(&key("long over")), None);
    assert!(kept.find(&key("over")).is_some() && kept.find(&key("open")).is_some());
    let mut left = names(&kept);
    left.retain(|name| name.len() < 64);
    left.sort();
    assert_eq!(left, [".sayso-gate-now", "notes.json"]);
    assert!(!kept.directory.join(garbled).exists());
}

#[test]
fn a_directory_that_will_not_do_is_said_so_at_once() {
    let directory = directory();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let shared = directory.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
    let open_to_all = directory.path().join("open");
    fs::create_dir_all(open_to_all.join("ours/state")).unwrap();
    fs::set_permissions(&open_to_all, fs::Permissions::from_mode(0o777)).unwrap();
    let link = directory.path().join("link");
    symlink(open_to_all.join("ours"), &link).unwrap();
    for (path, said) in [
        (file.clone(), "file"),
        (file.join("below"), "below"),
        (shared, "chmod 700"),
        (open_to_all.join("ours/state"), "everybody may write to"),
        (link.join("state"), "everybody may write to"),
    ] {
        let error = StateDir::open(Some(path)).unwrap_err().to_string();
        assert!(error.contains(said) && error.ends_with("choose another with --state DIR"), "{error}");
    }
    // As `/tmp` is: nobody can put another directory in the place of ours.
    fs::set_permissions(&open_to_all, fs::Permissions::from_mode(0o1777)).unwrap();
    assert!(StateDir::open(Some(open_to_all.join("ours/state"))).is_ok());
}

#[test]
fn an_answer_that_nobody_heard_is_found_by_the_same_call_and_goes_with_its_approval() {
    let directory = directory();
    let kept = open(&directory);
    let now = crate::clock::now();
    let approval = kept.keep(&key("run"), &requested(FIRST, now), &tool(), None).unwrap();
    assert!(kept.answer(&key("run"), now).is_none());
    approval.keep_answer("{\"id\":1,\"result\":{}}");
    assert_eq!(kept.answer(&key("run"), now).unwrap().message, "{\"id\":1,\"result\":{}}");
    assert!(kept.answer(&key("other"), now).is_none());
    assert!(kept.answer(&key("run"), now.plus(Duration::from_secs(700))).is_none(), "ten minutes");
    // That of an approval which another has replaced is no answer to the new one.
    let newer = kept.keep(&key("run"), &requested(SECOND, now), &tool(), None).unwrap();
    assert!(kept.answer(&key("run"), now).is_none());
    newer.keep_answer("{}");
    newer.forget();
    assert!(names(&kept).is_empty());
    approval.keep_answer(&"a".repeat(MAX_ANSWER_BYTES));
    assert!(names(&kept).is_empty(), "an answer that is too long is not kept");
}

#[test]
fn a_directory_that_has_gone_keeps_nothing_silently() {
    let directory = directory();
    let kept = open(&directory);
    fs::remove_dir_all(&kept.directory).unwrap();
    assert_eq!(kept.find(&key("run")), None);
    assert!(kept.keep(&key("run"), &requested(FIRST, crate::clock::now()), &tool(), None).is_err());
}

/// Whoever made it may put another approval there, or another definition of the tool. Only root can write to such a
/// directory at all, and only root can make one for this test.
#[test]
fn a_directory_of_somebody_else_is_not_used() {
    let directory = directory();
    let theirs = directory.path().join("state");
    fs::create_dir(&theirs).unwrap();
    fs::set_permissions(&theirs, fs::Permissions::from_mode(0o755)).unwrap();
    let made = std::os::unix::fs::chown(&theirs, Some(65_534), None).is_ok();
    let opened = StateDir::open(Some(theirs));
    assert_eq!(opened.is_err(), made, "{opened:?}");
}
