//! Whatever is not the approver's own passkey, unlocked for this very request on the deployment's own page, approves nothing.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use sayso_cloud::operator::WhichPasskeys;
use sayso_cloud::{Aws, Signer};
use sayso_model::passkey::{
    INVITATION_LIFETIME, Invitation, InvitationToken, Passkey, PasskeyName, RequiredProof,
};
use sayso_model::{AgentName, Audience};
use sayso_tests::authenticator::{BE, BS, UP, UV};
use sayso_tests::{Authenticator, Ceremony, Invited, Page, Verdict, World, action};
use serde_json::{Value, json};

use crate::setting::{APPROVER, Asked, Deployment, approver};

fn assert_refused(page: &Page, what: &str) {
    assert_eq!(page.status, 422, "{what}: {}", page.text());
    assert!(page.text().contains("Nothing"), "{what}: {}", page.text());
}

// Promise: Where the operator wants a passkey, nobody approves without one: not by reading the mail, and not by a script.
#[tokio::test]
async fn the_mailed_link_and_its_code_deny_and_do_not_approve() {
    let (deployment, _) = Deployment::enrolled().await;
    let asked = deployment.asked("orders").await;
    let browser = deployment.world.browser();
    for verdict in ["approve", "", "yes"] {
        let code = asked.code.as_str();
        let page = browser.submit(&asked.form, &[("code", code)], Some(("verdict", verdict))).await;
        assert_eq!(page.status, 422, "{}", page.text());
        assert_eq!(deployment.status(&asked.id).await, "pending");
    }
    let wrong = browser.submit(&asked.form, &[("code", "1")], Some(("verdict", "deny"))).await;
    assert_eq!(wrong.status, 422);
    let note = [("code", asked.code.as_str()), ("note", "Not this one.")];
    let page = browser.submit(&asked.form, &note, Some(("verdict", "deny"))).await;
    assert_eq!(page.status, 200, "{}", page.text());
    let denied = deployment.agent.check(&asked.id).await;
    assert_eq!((denied.field("status"), denied.field("proven_by")), ("denied", "email-link"));
}

#[tokio::test]
async fn only_what_was_unlocked_for_this_request_on_this_page_approves() {
    let (deployment, mut own) = Deployment::enrolled().await;
    let (asked, other) = (deployment.asked("orders").await, deployment.asked("customers").await);
    let honest = deployment.ceremony(&asked);
    let page_url = deployment.world.host.page_url.clone();
    let changed: Vec<(&str, Ceremony)> = vec![
        ("another request's", deployment.ceremony(&other)),
        ("an enrolment's", Ceremony { kind: "webauthn.create", ..honest.clone() }),
        ("another site's", Ceremony { origin: "https://page.example".to_owned(), ..honest.clone() }),
        ("another port's", Ceremony { origin: format!("{page_url}0"), ..honest.clone() }),
        ("decide's", Ceremony { origin: deployment.world.host.decide_url.clone(), ..honest.clone() }),
        ("another relying party's", Ceremony { relying_party: "example.com".to_owned(), ..honest.clone() }),
        ("a frame's", Ceremony { more: json!({"crossOrigin": true}), ..honest.clone() }),
        (
            "a frame's, by its top",
            Ceremony { more: json!({"topOrigin": "https://a.example"}), ..honest.clone() },
        ),
        ("nobody's", Ceremony { flags: 0, ..honest.clone() }),
        ("one without user verification", Ceremony { flags: UP, ..honest.clone() }),
        ("one without user presence", Ceremony { flags: UV, ..honest.clone() }),
        ("one that became able to sync", Ceremony { flags: UP | UV | BE, ..honest.clone() }),
        ("one that is synced and cannot be", Ceremony { flags: UP | UV | BS, ..honest.clone() }),
        ("an empty challenge's", Ceremony { challenge: String::new(), ..honest.clone() }),
    ];
    for (what, ceremony) in changed {
        let answer = own.answer(&ceremony);
        assert_refused(&deployment.approve(&asked, &answer).await, what);
    }
    let mut stranger = Authenticator::new();
    assert_refused(&deployment.approve(&asked, &stranger.answer(&honest)).await, "a stranger's");
    // A key of a stranger's under the id of the approver's.
    let mut forged = stranger.answer(&honest);
    forged["id"] = own.id().into();
    assert_refused(&deployment.approve(&asked, &forged).await, "a forged one");
    for (what, answer) in broken(&own.answer(&honest)) {
        assert_refused(&deployment.approve(&asked, &answer).await, &what);
    }
    assert_eq!(deployment.status(&asked.id).await, "pending");
    let page = deployment.approve(&asked, &own.answer(&honest)).await;
    assert_eq!(page.status, 200, "{}", page.text());
    let approved = deployment.agent.check(&asked.id).await;
    assert_eq!((approved.field("status"), approved.field("proven_by")), ("approved", "passkey"));
    // The other request waits on.
    assert_eq!(deployment.status(&other.id).await, "pending");
}

/// One answer, with each of its parts missing, of another type, cut, or with a bit changed.
fn broken(answer: &Value) -> Vec<(String, Value)> {
    let mut all = vec![("no JSON object".to_owned(), json!("x")), ("nothing in it".to_owned(), json!({}))];
    for part in ["clientDataJSON", "authenticatorData", "signature"] {
        let text = answer["response"][part].as_str().expect("a part").to_owned();
        let middle = text.len() / 2;
        let swapped = if text.as_bytes()[middle] == b'A' { "B" } else { "A" };
        let flipped = format!("{}{swapped}{}", &text[..middle], &text[middle + 1..]);
        for (how, value) in [
            ("missing", Value::Null),
            ("empty", json!("")),
            ("a number", json!(7)),
            ("cut", json!(text[..middle])),
            ("with a change", json!(flipped)),
            ("with padding", json!(format!("{text}="))),
        ] {
            let mut changed = answer.clone();
            changed["response"][part] = value;
            all.push((format!("{part} {how}"), changed));
        }
    }
    all
}

// Promise: An answer of a passkey whose counter went back approves nothing, and the operator is told.
#[tokio::test]
async fn a_counter_that_goes_back_is_refused_and_a_lost_answer_may_be_sent_again() {
    let deployment = Deployment::new().await;
    let mut own = Authenticator::counting_from(7);
    deployment.world.enrol(&own, &deployment.world.invite(APPROVER).await).await;
    let first = deployment.asked("orders").await;
    let mut copy = own.clone();
    let answer = own.answer(&deployment.ceremony(&first));
    assert_eq!(deployment.approve(&first, &answer).await.status, 200);
    // The browser sends it again: it stands.
    assert_eq!(deployment.approve(&first, &answer).await.status, 200);
    let second = deployment.asked("customers").await;
    let cloned = copy.answer(&deployment.ceremony(&second));
    let page = deployment.approve(&second, &cloned).await;
    assert_refused(&page, "a copy's");
    assert!(page.text().contains("copied"), "{}", page.text());
    assert_eq!(deployment.status(&second.id).await, "pending");
    let answer = own.answer(&deployment.ceremony(&second));
    assert_eq!(deployment.approve(&second, &answer).await.status, 200);
}

#[tokio::test]
async fn an_invitation_enrols_one_passkey_once_with_its_code_within_a_day() {
    let deployment = Deployment::new().await;
    let invited = deployment.world.invite(APPROVER).await;
    let (own, thief) = (Authenticator::new(), Authenticator::new());
    // A scanner that opens the link changes nothing; one that sends the form has no passkey and no code.
    let page = deployment.world.browser().open(&format!("{}/passkey", deployment.world.host.page_url)).await;
    let empty = deployment.world.browser().submit(&page.form(), &[], None).await;
    assert_eq!(empty.status, 404, "{}", empty.text());
    // Whoever reads the mail lacks the code.
    for code in ["", "0000-0000-0000-0000", &invited.code[1..]] {
        let guessed = Invited { code: code.to_owned(), ..invited.clone() };
        assert_eq!(deployment.world.enrol(&thief, &guessed).await.status, 403, "{code}");
    }
    let other = deployment.world.invite(APPROVER).await;
    let mixed = Invited { code: other.code.clone(), ..invited.clone() };
    assert_eq!(deployment.world.enrol(&thief, &mixed).await.status, 403);
    // A key that is not the operator's invites nobody.
    let aws = Aws::at(deployment.world.backends.endpoints.clone());
    for key in [&deployment.world.backends.key_arn, &deployment.world.backends.audit_key_arn] {
        let signer = Signer::connect(aws.kms(), key.clone()).await.expect("a signer");
        let forged = deployment.world.invite_signed_by(APPROVER, &signer).await;
        assert_eq!(deployment.world.enrol(&thief, &forged).await.status, 404);
    }
    let honest = Ceremony::create(&invited.token, &deployment.world.host.page_url);
    let wrong = [
        Ceremony { origin: "https://page.example".to_owned(), ..honest.clone() },
        Ceremony { relying_party: "example.com".to_owned(), ..honest.clone() },
        Ceremony { kind: "webauthn.get", ..honest.clone() },
        Ceremony { flags: honest.flags & !UV, ..honest.clone() },
        Ceremony { flags: honest.flags & !(1 << 6), ..honest.clone() },
        Ceremony::create(&other.token, &deployment.world.host.page_url),
    ];
    for ceremony in wrong {
        let page = deployment.world.send_enrolment(&thief.register(&ceremony), &invited).await;
        assert_eq!(page.status, 422, "{}", page.text());
    }
    assert_eq!(deployment.world.enrol(&own, &invited).await.status, 200);
    // The same form again, as if the first answer had been lost.
    assert_eq!(deployment.world.enrol(&own, &invited).await.status, 200);
    let again = deployment.world.enrol(&thief, &invited).await;
    assert_eq!(again.status, 410);
    assert!(again.text().contains("used already"), "{}", again.text());
    // The operator voids what was made before a moment, and what is made from then on enrols.
    deployment.world.pass(1);
    let registry = deployment.world.host.registry();
    registry.void_invitations(&approver(), deployment.world.clock.now()).await.expect("voided");
    let voided = deployment.world.enrol(&thief, &other).await;
    assert!(voided.status == 410 && voided.text().contains("no longer valid"), "{}", voided.text());
    let newest = deployment.world.invite(APPROVER).await;
    assert_eq!(deployment.world.enrol(&Authenticator::new(), &newest).await.status, 200);
    let other = deployment.world.invite(APPROVER).await;
    deployment.world.pass(INVITATION_LIFETIME.as_secs());
    assert_eq!(deployment.world.enrol(&thief, &other).await.status, 410);
    let asked = deployment.asked("orders").await;
    let mut thief = thief;
    assert_refused(
        &deployment.approve(&asked, &thief.answer(&deployment.ceremony(&asked))).await,
        "the thief's",
    );
}

/// Two send the same invitation at once: one passkey is enrolled.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_send_an_invitation_at_once_one_enrols() {
    let deployment = Deployment::new().await;
    let invited = deployment.world.invite(APPROVER).await;
    let devices: Vec<_> = (0..12).map(|_| Authenticator::new()).collect();
    let page_url = deployment.world.host.page_url.clone();
    let form = deployment.world.browser().open(&format!("{page_url}/passkey")).await.form();
    let sending: Vec<_> = devices
        .iter()
        .map(|device| {
            let made = device.register(&Ceremony::create(&invited.token, &page_url)).to_string();
            let (browser, form, invited) = (deployment.world.browser(), form.clone(), invited.clone());
            tokio::spawn(async move {
                let fields = [
                    ("invitation", invited.token.as_str()),
                    ("code", &invited.code),
                    ("name", "My phone"),
                    ("credential", &made),
                ];
                browser.submit(&form, &fields, None).await.status
            })
        })
        .collect();
    let mut statuses = Vec::new();
    for sent in sending {
        statuses.push(sent.await.expect("an answer"));
    }
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    let keys = deployment.world.enrolment_signer().await.keys();
    let passkeys = deployment.world.host.registry().passkeys(&approver(), &keys).await.expect("passkeys");
    assert_eq!((passkeys.enrolled.len(), passkeys.unsigned), (1, 0));
}

// Promise: Nobody who writes to the table can plant a passkey: only those that the enrolment key has signed count.
#[tokio::test]
async fn a_passkey_that_is_written_into_the_table_counts_for_nothing() {
    let (deployment, mut own) = Deployment::enrolled().await;
    let mut planted = Authenticator::new();
    // The planter has the table, and a key of their own.
    let aws = Aws::at(deployment.world.backends.endpoints.clone());
    let key = deployment.world.backends.spare_key_arn.clone();
    let planter = Signer::connect(aws.kms(), key).await.expect("a signer");
    let (store, keys) = (deployment.world.store().await, deployment.world.enrolment_signer().await.keys());
    let forged = record_of(&deployment, &planted, &planter).await;
    let row = deployment.world.table().row(&format!("PASSKEY#{APPROVER}")).await.expect("a row");
    let own_record = row["passkeys"].as_l().expect("a list")[0].clone();
    let plant = async |records: Vec<AttributeValue>| {
        let mut changed = row.clone();
        changed.insert("passkeys".to_owned(), AttributeValue::L(records));
        deployment.world.table().put(changed).await;
    };
    plant(vec![AttributeValue::S(forged), AttributeValue::S("x".to_owned()), own_record.clone()]).await;
    let asked = deployment.asked("orders").await;
    let answer = planted.answer(&deployment.ceremony(&asked));
    assert_refused(&deployment.approve(&asked, &answer).await, "a planted one");
    let listed = store.passkeys(&approver(), &keys).await.expect("passkeys");
    assert_eq!((listed.enrolled.len(), listed.unsigned), (1, 2));
    let registry = deployment.world.host.registry();
    let removed =
        registry.remove_passkeys(&approver(), &WhichPasskeys::Unsigned, &keys).await.expect("removed");
    assert_eq!(removed, 2);
    // Somebody else's passkey, in the approver's row: it is signed for another approver.
    let other = deployment.world.invite("somebody-else").await;
    deployment.world.enrol(&planted, &other).await;
    let theirs = deployment.world.table().row("PASSKEY#somebody-else").await.expect("a row");
    let mut moved = theirs.clone();
    moved.insert("pk".to_owned(), AttributeValue::S(format!("PASSKEY#{APPROVER}")));
    deployment.world.table().put(moved).await;
    let answer = planted.answer(&deployment.ceremony(&asked));
    assert_refused(&deployment.approve(&asked, &answer).await, "somebody else's");
    deployment.world.table().put(row.clone()).await;
    let answer = own.answer(&deployment.ceremony(&asked));
    assert_eq!(deployment.approve(&asked, &answer).await.status, 200);
    // The very same record, under the enrolment key: it was the signature that counted.
    let enrolled = record_of(&deployment, &planted, &deployment.world.enrolment_signer().await).await;
    plant(vec![AttributeValue::S(enrolled), own_record]).await;
    let asked = deployment.asked("customers").await;
    let answer = planted.answer(&deployment.ceremony(&asked));
    assert_eq!(deployment.approve(&asked, &answer).await.status, 200);
}

/// What `enrol` would write of this authenticator, for the approver, if this were its key.
async fn record_of(deployment: &Deployment, authenticator: &Authenticator, signer: &Signer) -> String {
    let world = &deployment.world;
    let token = InvitationToken::from_text(&world.invite_signed_by(APPROVER, signer).await.token);
    let invitation = Invitation::verify(&token, &signer.keys()).expect("an invitation");
    let made = authenticator.register(&Ceremony::create(token.expose(), &world.host.page_url));
    let name = PasskeyName::parse("My phone").expect("a name");
    let passkey = Passkey::from_registration(&made.to_string(), &invitation, &token, name, world.clock.now());
    let unsigned = passkey.expect("a passkey").to_sign(&signer.public_key().id());
    let signature = signer.sign(unsigned.digest()).await.expect("a signature");
    unsigned.signed(&signature)
}

#[tokio::test]
async fn a_removed_passkey_and_a_removed_approvers_approve_nothing_of_what_waits() {
    let (deployment, mut own) = Deployment::enrolled().await;
    let mut second = Authenticator::new();
    deployment.world.enrol(&second, &deployment.world.invite(APPROVER).await).await;
    let asked = deployment.asked("orders").await;
    let (registry, keys) =
        (deployment.world.host.registry(), deployment.world.enrolment_signer().await.keys());
    let listed = registry.passkeys(&approver(), &keys).await.expect("passkeys").enrolled;
    let label = listed
        .iter()
        .find(|passkey| passkey.credential.to_string() == own.id())
        .expect("it")
        .credential
        .label();
    let which = WhichPasskeys::Labelled(label);
    registry.remove_passkeys(&approver(), &which, &keys).await.expect("removed");
    assert_refused(
        &deployment.approve(&asked, &own.answer(&deployment.ceremony(&asked))).await,
        "a removed one",
    );
    // The approver goes, while the request waits; their agents first. Their invitations, used or not, go as well.
    let (used, open) = (deployment.world.invite(APPROVER).await, deployment.world.invite(APPROVER).await);
    deployment.world.enrol(&Authenticator::new(), &used).await;
    let bot = AgentName::parse("deploy-bot").expect("a name");
    registry.revoke_agent(&bot).await.expect("revoked");
    registry.remove_approver(&approver(), deployment.world.clock.now()).await.expect("removed");
    let page = deployment.approve(&asked, &second.answer(&deployment.ceremony(&asked))).await;
    assert_refused(&page, "a removed approver's");
    assert!(page.text().contains("no passkey here yet"), "{}", page.text());
    for (invited, why) in [(used, "used already"), (open, "no longer valid")] {
        let again = deployment.world.enrol(&second, &invited).await;
        assert!(again.status == 410 && again.text().contains(why), "{}", again.text());
    }
    assert_refused(&deployment.approve(&asked, &second.answer(&deployment.ceremony(&asked))).await, "it");
}

/// Another approver may enrol whatever id they like, with a key of their own: what they count is counted for them alone.
#[tokio::test]
async fn nobody_counts_for_the_passkey_of_another() {
    let deployment = Deployment::new().await;
    let mut own = Authenticator::counting_from(3);
    deployment.world.enrol(&own, &deployment.world.invite(APPROVER).await).await;
    let mut squatter = own.with_another_key();
    squatter.count = 1_000_000;
    let theirs = deployment.world.invite("somebody-else").await;
    assert_eq!(deployment.world.enrol(&squatter, &theirs).await.status, 200);
    let asked = deployment.asked("orders").await;
    let answer = squatter.answer(&deployment.ceremony(&asked));
    assert_refused(&deployment.approve(&asked, &answer).await, "the squatter's");
    let answer = own.answer(&deployment.ceremony(&asked));
    assert_eq!(deployment.approve(&asked, &answer).await.status, 200);
}

/// Whoever serves an old name of the page now gets no approval from the passkeys that belong to it.
#[tokio::test]
async fn a_passkey_of_another_name_of_the_page_counts_no_more() {
    let deployment = Deployment::new().await;
    let (mut own, world) = (Authenticator::new(), &deployment.world);
    let old = "https://old.example.com";
    let invited = world.invite_to(old, APPROVER, &world.enrolment_signer().await).await;
    let made = own.register(&Ceremony::create(&invited.token, old));
    assert_eq!(world.send_enrolment(&made, &invited).await.status, 200);
    let asked = deployment.asked("orders").await;
    let answer = own.answer(&Ceremony::get(&asked.challenge, old));
    assert_refused(&deployment.approve(&asked, &answer).await, "an old page's");
}

/// What the operator sets counts at once, for the gate and for the agent, whichever is more; and no row that is not the
/// operator's says what it takes.
#[tokio::test]
async fn what_it_takes_is_the_operators_word_for_gate_and_agent() {
    let (deployment, _) = Deployment::enrolled().await;
    let (world, registry) = (&deployment.world, deployment.world.host.registry());
    let (gate, bot) = (Audience::parse("production").unwrap(), AgentName::parse("deploy-bot").unwrap());
    let rows = [
        (RequiredProof::EmailLink, RequiredProof::EmailLink, 200),
        (RequiredProof::EmailLink, RequiredProof::Passkey, 422),
        (RequiredProof::Passkey, RequiredProof::EmailLink, 422),
        (RequiredProof::Passkey, RequiredProof::Passkey, 422),
    ];
    for (number, (of_gate, of_agent, status)) in rows.into_iter().enumerate() {
        // Asked under the opposite rule: what counts is the rule of the decision's moment.
        let opposite = if status == 200 { RequiredProof::Passkey } else { RequiredProof::EmailLink };
        registry.set_gate_proof(&gate, opposite).await.expect("set");
        registry.set_agent_proof(&bot, opposite).await.expect("set");
        let asked: Asked = deployment.asked(&format!("orders_{number}")).await;
        registry.set_gate_proof(&gate, of_gate).await.expect("set");
        registry.set_agent_proof(&bot, of_agent).await.expect("set");
        let page = world.browser().decide(&world.link(&asked.id), Verdict::Approve, "").await;
        assert_eq!(page.status, status, "{of_gate} {of_agent}: {}", page.text());
    }
    // A value that this version does not know refuses: it might mean more.
    let asked = deployment.asked("later").await;
    let mut row = world.table().row("GATE#production").await.expect("a row");
    row.insert("proof".to_owned(), AttributeValue::S("two-passkeys".to_owned()));
    world.table().put(row).await;
    let page =
        world.browser().submit(&asked.form, &[("code", &asked.code)], Some(("verdict", "approve"))).await;
    assert_eq!(page.status, 500, "{}", page.text());
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(deployment.status(&asked.id).await, "pending");
}

// Promise: A gate may demand a passkey by itself: it refuses an approval that is proven by less, and uses nothing up.
#[tokio::test]
async fn a_gate_that_demands_a_passkey_refuses_less_and_uses_nothing_up() {
    let world = World::new().await;
    let approved = world.approve(action("{}")).await;
    let demanding = world.gate("gate").require(RequiredProof::Passkey);
    let refused = demanding.permit(&approved.token, action("{}"), world.clock.now()).await;
    let refused = refused.expect_err("nothing runs");
    assert_eq!(refused.reason(), "proof_required");
    assert!(refused.to_string().contains("not used up"), "{refused}");
    let permit = world.gate("gate").permit(&approved.token, action("{}"), world.clock.now()).await;
    assert_eq!(permit.expect("a permit").receipt().proven_by.as_str(), "email-link");
}
