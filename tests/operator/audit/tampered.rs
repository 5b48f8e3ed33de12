//! Every way to change a file is found: by the program for whole lines, and for every single byte by the verifier that it
//! is made of.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::Signature;
use sayso_model::audit::{Verified, Verifier};
use sayso_model::token::KeyId;
use sayso_tests::Dice;
use serde_json::Value;

use super::{History, text};

/// An export with every kind of entry.
async fn export() -> (History, Vec<String>, KeyId) {
    let history = History::new().await;
    history.keys().await;
    history.change(&format!("OUTCOME#{}", history.fresh), "token", text("forged")).await;
    let lines = history.exported("genuine", &[]).await;
    for kind in ["header", "request", "mail", "outcome", "token", "redemption", "corrupt", "head"] {
        assert!(lines.iter().any(|line| line.contains(&format!("\"kind\":\"{kind}\""))), "no {kind}");
    }
    let key = history.operated.world.audit_signer().await.public_key().id();
    (history, lines, key)
}

fn verify(bytes: &[u8], key: &KeyId) -> Verified {
    let mut verifier = Verifier::new(vec![key.clone()], None, None);
    let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let cut = lines.pop().filter(|rest| !rest.is_empty());
    for line in lines.into_iter().chain(cut) {
        verifier.line(line);
    }
    verifier.end_of_file(cut.is_some())
}

fn whole(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_that_is_removed_repeated_moved_or_exchanged_is_found() {
    let (history, lines, key) = export().await;
    assert_eq!(history.verify(&["genuine"]).await.status, 0);
    let mut changed = Vec::new();
    for at in 0..lines.len() {
        let mut removed = lines.clone();
        removed.remove(at);
        changed.push((format!("without line {}", at + 1), removed));
        let mut repeated = lines.clone();
        repeated.insert(at, lines[at].clone());
        changed.push((format!("line {} twice", at + 1), repeated));
        let mut moved = lines.clone();
        moved.swap(at, (at + 1) % lines.len());
        changed.push((format!("line {} exchanged with the next", at + 1), moved));
        changed.push((format!("only {at} lines"), lines[..at].to_vec()));
        for other in at + 2..lines.len() {
            let mut swapped = lines.clone();
            swapped.swap(at, other);
            assert!(
                !verify(whole(&swapped).as_bytes(), &key).findings.is_empty(),
                "{at} and {other} exchanged"
            );
        }
    }
    for (what, lines) in &changed {
        history.write("changed", whole(lines));
        let ran = history.verify(&["changed"]).await;
        assert_eq!(ran.status, 1, "{what}: {}", ran.all);
        assert!(ran.all.contains("changed: "), "{what}: {}", ran.all);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_byte_that_is_changed_is_found_and_any_that_is_removed_or_added() {
    let (history, lines, key) = export().await;
    let mut dice = Dice::new(4);
    // Header and head, without anything between them: every byte.
    let short = whole(&history.exported("short", &["--to", "2020-01-01"]).await).into_bytes();
    find_every_change(&short, 0..short.len(), &key, &mut dice);
    // The entries are all alike: some bytes of them, and every end of a line.
    let long = whole(&lines).into_bytes();
    let some: Vec<_> = (0..50).map(|_| dice.below(long.len())).collect();
    let ends = (0..long.len()).filter(|at| long[*at] == b'\n');
    find_every_change(&long, some.into_iter().chain(ends), &key, &mut dice);
}

fn find_every_change(
    genuine: &[u8],
    positions: impl IntoIterator<Item = usize>,
    key: &KeyId,
    dice: &mut Dice,
) {
    assert!(verify(genuine, key).findings.is_empty());
    let found = |bytes: &[u8], what: &str, at: usize| {
        let around = String::from_utf8_lossy(&genuine[at.saturating_sub(20)..(at + 20).min(genuine.len())]);
        assert!(!verify(bytes, key).findings.is_empty(), "{what} at {at}: {around}");
    };
    for at in positions {
        let mut changed = genuine.to_vec();
        changed[at] ^= 1 << dice.below(8);
        found(&changed, "a flipped bit", at);
        // A signature takes its time: of the rest every fourth.
        if dice.below(4) > 0 {
            continue;
        }
        let mut removed = genuine.to_vec();
        removed.remove(at);
        found(&removed, "a byte removed", at);
        let mut added = genuine.to_vec();
        added.insert(at, genuine[at]);
        found(&added, "a byte twice", at);
        added[at] = b' ';
        found(&added, "a blank added", at);
        found(&genuine[..at], "cut off", at);
    }
    found(&[genuine, b"\n"].concat(), "a line feed added", genuine.len());
    found(&[genuine, b"{}\n"].concat(), "a line added", genuine.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_with_its_place() {
    let (history, lines, _) = export().await;
    let rows: [(&str, String, &str); 9] = [
        (
            "word",
            whole(&lines).replacen("Not on a Friday", "Not on a Sunday", 1),
            "it does not follow the line before",
        ),
        ("spaced", whole(&lines).replacen("\":", "\": ", 1), "line 1: it is not in the canonical form"),
        ("windows", whole(&lines).replace('\n', "\r\n"), "line 1: it is not in the canonical form"),
        ("headless", whole(&lines[..lines.len() - 1]), "it ends without a head"),
        ("beheaded", whole(&[lines[0].clone(), lines[lines.len() - 1].clone()]), "and there are 0"),
        ("garbage", "\u{feff}{}\n".to_owned(), "line 1: it is not JSON as an export writes it"),
        ("empty", String::new(), "it is empty"),
        ("long", format!("{}\n", "a".repeat(3 << 20)), "line 1: it is longer than any line of an export"),
        (
            "later",
            whole(&lines).replacen("sayso-audit/1", "sayso-audit/2", 1),
            "line 1: it is of a format that this version does not know",
        ),
    ];
    for (name, content, problem) in rows {
        history.write(name, content);
        history.finds(&[name], problem).await;
    }
    history.write("latin", [0xe4, b'\n']);
    history.finds(&["latin"], "line 1: it is not UTF-8").await;
    // The place of what was done, in the file that it was done to.
    let mut removed = lines.clone();
    removed.remove(5);
    history.write("removed", whole(&removed));
    history.finds(&["removed"], "removed: line 6: it does not follow the line before").await;
    // A head of another export of the same deployment.
    let early = history.exported("early", &["--to", &history.middle.to_string()]).await;
    let mut exchanged = lines.clone();
    *exchanged.last_mut().expect("a head") = early.last().expect("a head").clone();
    history.write("exchanged", whole(&exchanged));
    history.finds(&["exchanged"], "the head was signed for an export of another deployment or range").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_one_last_line_that_holds() {
    let (history, lines, _) = export().await;
    let head: Value = serde_json::from_str(lines.last().expect("a head")).expect("JSON");
    let mut noted = head.clone();
    noted["jwk"]["note"] = "x".into();
    let (signed, signature) = head["head"].as_str().and_then(|jws| jws.rsplit_once('.')).expect("a JWS");
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    let signature = Signature::from_slice(&signature).expect("a signature");
    let negated = -*signature.s();
    let other = Signature::from_scalars(signature.r().to_bytes(), negated.to_bytes()).expect("a signature");
    let mut negated = head.clone();
    negated["head"] = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(other.to_bytes())).into();
    for (changed, problem) in [
        (noted, "the key in the head is not one, or has other members"),
        (negated, "the head's signature was changed into its other form"),
    ] {
        let mut lines = lines.clone();
        *lines.last_mut().expect("a head") = serde_json_canonicalizer::to_string(&changed).expect("JSON");
        history.write("changed", whole(&lines));
        history.finds(&["changed"], problem).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_export_is_signed_in_the_one_form_that_holds() {
    let history = History::new().await;
    history.keys().await;
    // Of the signer's own signatures every other has the other form.
    for name in 0..12 {
        let name = name.to_string();
        history.exported(&name, &["--to", "2020-01-01"]).await;
        assert_eq!(history.verify(&[&name]).await.status, 0);
    }
}
