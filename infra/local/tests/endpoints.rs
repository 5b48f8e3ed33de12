//! The three endpoints, called by the SDK clients the functions use.
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_dynamodb::types::{
    AttributeValue, KeysAndAttributes, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{MessageType, SigningAlgorithmSpec};
use aws_sdk_sesv2::types::EmailContent;
use p256::ecdsa::signature::{Verifier, hazmat::PrehashVerifier};
use p256::ecdsa::{DerSignature, VerifyingKey};
use p256::pkcs8::DecodePublicKey;
use serde_json::json;
use sha2::{Digest, Sha256};

use support::{Draft, NOW, TABLE, World, draft, send};

#[tokio::test]
async fn a_mail_is_kept_listed_shown_and_announced() {
    let world = World::open(None).await;
    let mut followed = world.outbox.subscribe();
    let first = send(&world.ses, draft()).await.unwrap();
    world.now.fetch_add(65, Ordering::SeqCst);
    let second = send(&world.ses, Draft { subject: "Second <b>", ..draft() }).await.unwrap();
    assert_ne!(first, second);
    assert_eq!(first.len(), "010001f2b3c4d5e6-1a2b3c4d-5e6f-7a8b-9c0d-1e2f3a4b5c6d-000000".len());

    let listed = world.messages().await;
    assert_eq!(
        listed[0],
        json!({
            "message_id": first, "to": ["ada@example.com"], "from": "Sayso <sayso@example.com>",
            "subject": draft().subject, "text": draft().text, "html": draft().html, "sent_at": "2026-11-22T20:00:00Z",
        })
    );
    assert_eq!(listed[1]["sent_at"], "2026-11-22T20:01:05Z");
    assert_eq!(listed.as_array().unwrap().len(), 2);

    let announced = followed.recv().await.unwrap();
    assert_eq!(announced.message_id, first);
    assert_eq!(announced.headers, [("Auto-Submitted".to_owned(), "auto-generated".to_owned())]);
    assert!(!format!("{announced:?}").contains("secret"), "a link must not reach a log");

    let answer = reqwest::get(&world.page).await.unwrap();
    let header = |name: &str| answer.headers().get(name).unwrap().to_str().unwrap().to_owned();
    let policy = header("content-security-policy");
    for part in [
        "default-src 'none'",
        "style-src-elem 'sha256-",
        "style-src-attr 'unsafe-inline'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert_eq!(
        (header("cache-control"), header("x-content-type-options")),
        ("no-store".into(), "nosniff".into())
    );
    let html = answer.text().await.unwrap();
    assert!(html.contains("Anyone who can read this page can decide."));
    assert!(
        html.find("Second &lt;b&gt;").unwrap() < html.find("deploy – production").unwrap(),
        "newest first"
    );
    assert!(html.contains(r#"sandbox="allow-popups allow-popups-to-escape-sandbox""#));
    assert!(
        html.contains(r#"srcdoc="&lt;base target=&quot;_blank&quot;&gt;&lt;p style="#),
        "escaped once, for srcdoc"
    );
}

#[tokio::test]
async fn what_ses_would_refuse_is_refused_and_not_kept() {
    let world = World::open(None).await;
    let header =
        |name: &'static str, value: &str| Draft { headers: vec![(name, value.to_owned())], ..draft() };
    let refused = [
        Draft { from: None, ..draft() },
        Draft { from: Some("sayso"), ..draft() },
        Draft { from: Some("a@example.com\r\nBcc: eve@example.com"), ..draft() },
        Draft { to: vec![], ..draft() },
        Draft { to: vec!["ada@example.com", "ada@"], ..draft() },
        Draft { to: vec!["ada@example.com, eve@example.com"], ..draft() },
        Draft { to: vec!["ada@example.com"; 51], ..draft() },
        Draft { subject: "", ..draft() },
        Draft { subject: " ", ..draft() },
        Draft { subject: "Approve\r\nBcc: eve@example.com", ..draft() },
        Draft { subject: "Approve\u{85}this", ..draft() },
        Draft { charset: None, ..draft() },
        header("X-Note", "one\r\nBcc: eve@example.com"),
        header("X-Note\r\nBcc", "eve@example.com"),
        header("X:Note", "colon"),
        header("X-Note", "naïve"),
        header("X-Note", &"x".repeat(996)),
        header("Bcc", "eve@example.com"),
        Draft { html: "x".repeat(40 * 1024 * 1024), ..draft() },
    ];
    for (case, mail) in refused.into_iter().enumerate() {
        let error = send(&world.ses, mail).await.unwrap_err();
        assert!(error.is_bad_request_exception(), "case {case}: {error:?}");
        assert!(
            error.meta().message().is_some_and(|message| !message.contains("eve")),
            "case {case}: {error:?}"
        );
    }
    let raw = aws_sdk_sesv2::types::RawMessage::builder()
        .data(aws_sdk_sesv2::primitives::Blob::new("x"))
        .build()
        .unwrap();
    let raw = world
        .ses
        .send_email()
        .from_email_address("a@b.example")
        .content(EmailContent::builder().raw(raw).build());
    let error = raw.send().await.unwrap_err().into_service_error();
    assert!(error.meta().message().unwrap().contains("Raw"), "{error:?}");
    assert_eq!(world.messages().await, json!([]));
    assert!(reqwest::get(&world.page).await.unwrap().text().await.unwrap().contains("No mail yet."));
}

#[tokio::test]
async fn the_key_signs_and_its_public_half_verifies() {
    let world = World::open(None).await;
    let public = world.kms.get_public_key().key_id(world.signer.key_arn()).send().await.unwrap();
    assert_eq!(public.key_id(), Some(world.signer.key_arn()));
    assert_eq!(public.key_spec().unwrap().as_str(), "ECC_NIST_P256");
    assert_eq!(public.key_usage().unwrap().as_str(), "SIGN_VERIFY");
    assert_eq!(public.signing_algorithms(), [SigningAlgorithmSpec::EcdsaSha256]);
    let key = VerifyingKey::from_public_key_der(public.public_key().unwrap().as_ref()).unwrap();

    let message = b"header.payload";
    let digest = Sha256::digest(message);
    let sign = |kind: MessageType, message: &[u8], algorithm: SigningAlgorithmSpec| {
        let call =
            world.kms.sign().key_id(world.signer.key_arn()).message_type(kind).message(Blob::new(message));
        call.signing_algorithm(algorithm).send()
    };
    let by_digest = sign(MessageType::Digest, &digest, SigningAlgorithmSpec::EcdsaSha256).await.unwrap();
    let by_message = sign(MessageType::Raw, message, SigningAlgorithmSpec::EcdsaSha256).await.unwrap();
    let der = |signed: &aws_sdk_kms::operation::sign::SignOutput| {
        DerSignature::from_bytes(signed.signature().unwrap().as_ref()).unwrap()
    };
    key.verify_prehash(&digest, &der(&by_digest)).unwrap();
    key.verify(message, &der(&by_message)).unwrap();
    key.verify(b"another", &der(&by_message)).unwrap_err();
    assert_eq!(by_digest.key_id(), Some(world.signer.key_arn()));

    let short =
        sign(MessageType::Digest, &digest[..31], SigningAlgorithmSpec::EcdsaSha256).await.unwrap_err();
    assert_eq!(short.into_service_error().meta().code(), Some("ValidationException"));
    let long = sign(MessageType::Raw, &[0; 4097], SigningAlgorithmSpec::EcdsaSha256).await.unwrap_err();
    assert_eq!(long.into_service_error().meta().code(), Some("ValidationException"));
    let other = sign(MessageType::Digest, &digest, SigningAlgorithmSpec::RsassaPssSha256).await.unwrap_err();
    assert!(other.into_service_error().is_invalid_key_usage_exception());
    let no_such = sign(MessageType::Digest, &digest, SigningAlgorithmSpec::from("NONE")).await.unwrap_err();
    assert_eq!(no_such.into_service_error().meta().code(), Some("ValidationException"));
    let unknown = world.kms.get_public_key().key_id("alias/other").send().await.unwrap_err();
    assert!(unknown.into_service_error().is_not_found_exception());
}

fn s(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn put(pk: &str, who: &str) -> Put {
    let put = Put::builder().table_name(TABLE).item("pk", s(pk)).item("who", s(who));
    put.condition_expression("attribute_not_exists(pk)")
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .build()
        .unwrap()
}

#[tokio::test]
async fn the_first_writer_wins_and_the_others_are_told_by_whom() {
    let world = World::open(None).await;
    let wins = Arc::new(AtomicUsize::new(0));
    let racers = (0..50).map(|racer| {
        let (client, wins) = (world.dynamodb.clone(), wins.clone());
        tokio::spawn(async move {
            let Put {
                item, table_name, condition_expression, return_values_on_condition_check_failure, ..
            } = put("OUTCOME#1", &racer.to_string());
            let put = client.put_item().table_name(table_name).set_item(Some(item));
            let put = put.set_condition_expression(condition_expression);
            match put
                .set_return_values_on_condition_check_failure(return_values_on_condition_check_failure)
                .send()
                .await
            {
                Ok(_) => {
                    wins.fetch_add(1, Ordering::SeqCst);
                    s(&racer.to_string())
                }
                Err(error) => match error.into_service_error() {
                    aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException(
                        lost,
                    ) => lost.item.unwrap()["who"].clone(),
                    error => panic!("{error:?}"),
                },
            }
        })
    });
    let mut told = Vec::new();
    for racer in racers.collect::<Vec<_>>() {
        told.push(racer.await.unwrap());
    }
    assert_eq!(wins.load(Ordering::SeqCst), 1);
    assert!(told.iter().all(|winner| *winner == told[0]));

    let both = [put("OPEN#1", "x"), put("OUTCOME#1", "late")]
        .map(|put| TransactWriteItem::builder().put(put).build());
    let error = world
        .dynamodb
        .transact_write_items()
        .set_transact_items(Some(both.to_vec()))
        .send()
        .await
        .unwrap_err();
    let error = error.into_service_error();
    let aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(why) = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(why.cancellation_reasons()[0].code(), Some("None"));
    assert_eq!(why.cancellation_reasons()[1].code(), Some("ConditionalCheckFailed"));
    assert_eq!(why.cancellation_reasons()[1].item().unwrap()["who"], told[0]);

    let keys = ["OPEN#1", "OUTCOME#1", "NOTICE#1"].map(|pk| [("pk".to_owned(), s(pk))].into());
    let keys =
        KeysAndAttributes::builder().set_keys(Some(keys.to_vec())).consistent_read(true).build().unwrap();
    let found = world.dynamodb.batch_get_item().request_items(TABLE, keys).send().await.unwrap();
    assert_eq!(found.responses().unwrap()[TABLE].len(), 1, "nothing of a cancelled transaction is written");
    assert!(found.unprocessed_keys().is_none_or(|unprocessed| unprocessed.is_empty()));
}

#[tokio::test]
async fn rows_expire_by_the_time_that_is_told() {
    let world = World::open(None).await;
    for row in 0..300_i64 {
        let put = world.dynamodb.put_item().table_name(TABLE).item("pk", s(&format!("REQUEST#{row}")));
        put.item("ttl", AttributeValue::N((NOW + row).to_string())).send().await.unwrap();
    }
    let forever =
        world.dynamodb.put_item().table_name(TABLE).item("pk", s("AGENT#1")).item("ttl", s("never"));
    forever.send().await.unwrap();
    assert_eq!(world.engine.sweep_ttl(NOW).unwrap(), 0);
    assert_eq!(world.engine.sweep_ttl(NOW + 200).unwrap(), 200);
    assert_eq!(world.engine.sweep_ttl(NOW + 200).unwrap(), 0);
    assert_eq!(world.engine.sweep_ttl(i64::MAX).unwrap(), 100);
    assert_eq!(world.dynamodb.scan().table_name(TABLE).send().await.unwrap().count(), 1);
}

fn fresh_folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// What a process killed at this moment leaves behind: the files as they are, with nothing flushed or closed.
fn killed_now(from: &Path, to: &Path) -> PathBuf {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap().map(Result::unwrap).filter(|file| file.path().is_file()) {
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
    to.join("sayso.db")
}

#[tokio::test]
async fn whatever_was_answered_survives_a_kill() {
    let folder = fresh_folder("kill");
    let data = folder.join("sayso.db");
    let world = World::open(Some(&data)).await;
    for step in 0..6_usize {
        let who = step.to_string();
        let put = world.dynamodb.put_item().table_name(TABLE).item("pk", s(&format!("REQUEST#{step}")));
        put.item("who", s(&who)).send().await.unwrap();
        let after_row = World::open(Some(&killed_now(&folder, &folder.join(format!("row-{step}"))))).await;
        assert_eq!(after_row.outbox.mails().unwrap(), world.outbox.mails().unwrap());
        send(&world.ses, draft()).await.unwrap();
        let after_mail = World::open(Some(&killed_now(&folder, &folder.join(format!("mail-{step}"))))).await;
        assert_eq!(after_mail.outbox.mails().unwrap(), world.outbox.mails().unwrap());
        assert_eq!(after_mail.messages().await.as_array().unwrap().len(), step + 1);
        for later in [after_row, after_mail] {
            let row = later.dynamodb.get_item().table_name(TABLE).key("pk", s(&format!("REQUEST#{step}")));
            assert_eq!(row.consistent_read(true).send().await.unwrap().item().unwrap()["who"], s(&who));
            assert_eq!(later.signer.key_arn(), world.signer.key_arn());
            let signed = later.kms.sign().key_id(world.signer.key_arn()).message(Blob::new("m"));
            let signed = signed.signing_algorithm(SigningAlgorithmSpec::EcdsaSha256).send().await.unwrap();
            let public = world.kms.get_public_key().key_id(world.signer.key_arn()).send().await.unwrap();
            let key = VerifyingKey::from_public_key_der(public.public_key().unwrap().as_ref()).unwrap();
            key.verify(b"m", &DerSignature::from_bytes(signed.signature().unwrap().as_ref()).unwrap())
                .unwrap();
        }
    }
    #[cfg(unix)]
    for file in std::fs::read_dir(&folder).unwrap().map(Result::unwrap).filter(|file| file.path().is_file()) {
        let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions());
        assert_eq!(mode & 0o077, 0, "{:?} holds the key and the links", file.path());
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn rows_and_mails_are_written_to_one_file_side_by_side() {
    let folder = fresh_folder("load");
    let world = World::open(Some(&folder.join("sayso.db"))).await;
    let writers = (0..20).map(|writer| {
        let (dynamodb, ses) = (world.dynamodb.clone(), world.ses.clone());
        tokio::spawn(async move {
            for row in 0..5 {
                let put =
                    dynamodb.put_item().table_name(TABLE).item("pk", s(&format!("REQUEST#{writer}-{row}")));
                put.send().await.unwrap();
                send(&ses, draft()).await.unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    assert_eq!(world.dynamodb.scan().table_name(TABLE).send().await.unwrap().count(), 100);
    assert_eq!(world.outbox.mails().unwrap().len(), 100);
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn the_hosts_own_notes_are_no_table_of_dynamodb() {
    let folder = fresh_folder("notes");
    let world = World::open(Some(&folder.join("sayso.db"))).await;
    send(&world.ses, draft()).await.unwrap();
    assert_eq!(world.dynamodb.list_tables().send().await.unwrap().table_names(), [TABLE]);
    for table in ["sayso_local_host", "sayso-local-host", "_tables"] {
        let error = world.dynamodb.scan().table_name(table).send().await.unwrap_err().into_service_error();
        assert!(error.is_resource_not_found_exception(), "{error:?}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn no_web_site_reaches_the_endpoints_through_the_browser() {
    let world = World::open(None).await;
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().expect("a client");
    for url in [&world.ses_url, &world.kms_url, &world.dynamodb_url] {
        let url = if url == &world.ses_url { format!("{url}/v2/email/outbound-emails") } else { url.clone() };
        let cross_site =
            http.post(&url).header("origin", "https://evil.example").body("{}").send().await.unwrap();
        assert_eq!(cross_site.status(), 421, "{url}");
        assert!(cross_site.headers().get("access-control-allow-origin").is_none());
        let rebound = http.post(&url).header("host", "evil.example:8787").body("{}").send().await.unwrap();
        assert_eq!(rebound.status(), 421, "{url}");
    }
    for path in ["/", "/messages.json"] {
        let url = format!("{}{path}", world.page);
        let rebound = http.get(&url).header("host", "evil.example").send().await.unwrap();
        assert_eq!(rebound.status(), 421);
        for name in ["localhost:8791", "LOCALHOST", "127.0.0.1", "[::1]:8791", "outbox.localhost:1"] {
            assert_eq!(http.get(&url).header("host", name).send().await.unwrap().status(), 200, "{name}");
        }
    }
}
