//! Whose signature counts, and what it cannot make true.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sayso_cloud::Signer;
use sayso_model::audit::{Chain, Fact, Header, Kind, LineDigest, Range};
use sayso_model::token::{ApprovalToken, Issuer, TYPE};
use sayso_model::{
    AgentName, ApprovalId, ApproverId, Decision, Outcome, ProvenBy, Receipt, Request, Timestamp, ToolName,
};
use sayso_sdk::Refusal;
use sayso_tests::action;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{History, entries, entry, parsed};
use crate::setting::run_in;

impl History {
    /// An export as its program writes it, of facts that somebody has been at, signed by `signer`.
    pub(super) async fn dishonest(&self, name: &str, signer: &Signer, change: impl Fn(Fact) -> Vec<Fact>) {
        self.continued(name, signer, Range::new(None, self.end).expect("a range"), None, |facts| {
            facts.into_iter().flat_map(change).collect()
        })
        .await;
    }

    /// The same, as the export after another; gives the digest of its head.
    async fn continued(
        &self,
        name: &str,
        signer: &Signer,
        range: Range,
        previous: Option<LineDigest>,
        change: impl FnOnce(Vec<Fact>) -> Vec<Fact>,
    ) -> LineDigest {
        let world = &self.operated.world;
        let now = range.to().plus(sayso_model::audit::SETTLING);
        let audited = world.store().await.audited(range, now).await.expect("the facts");
        let mut facts = change(audited.facts);
        facts.sort_by_key(Fact::order);
        let issuer = Issuer::parse(&world.host.issuer_url).expect("an issuer");
        let table = self.operated.world.backends.table.clone();
        let header = Header { table, issuer, range, previous };
        let (mut chain, first) = Chain::begin(header, sayso_model::GateMasks::default());
        let mut lines = vec![first];
        lines.extend(facts.iter().map(|fact| chain.fact(fact)));
        let head = chain.end(now, signer.public_key());
        let signature = signer.sign(head.digest()).await.expect("a signature");
        lines.push(head.signed(&signature));
        self.write(name, lines.iter().map(|line| format!("{line}\n")).collect::<String>());
        LineDigest::of(lines.last().expect("a head").as_bytes())
    }
}

fn is(fact: &Fact, id: &str, kind: Kind) -> bool {
    fact.approval_id().to_string() == id && fact.kind() == kind
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_signed_by_another_key_is_refused_whatever_it_brings_along() {
    let history = History::new().await;
    history.keys().await;
    let world = &history.operated.world;
    let (audit, signing) = (world.audit_signer().await, world.signer().await);
    history.dishonest("genuine", &audit, |fact| vec![fact]).await;
    assert_eq!(history.verify(&["genuine"]).await.status, 0);
    // The key of approvals is one of this deployment; it is not this one.
    history.dishonest("other", &signing, |fact| vec![fact]).await;
    history.finds(&["other"], "which is none of those you trust").await;
    // The right key's name over the other's signature.
    let mut lines = history.lines("other");
    let mut head: Value = parsed(&lines).pop().expect("a head");
    head["jwk"] = json!(audit.public_key().to_jwk());
    *lines.last_mut().expect("a head") = serde_json_canonicalizer::to_string(&head).expect("JSON");
    history.write("relabelled", lines.iter().map(|line| format!("{line}\n")).collect::<String>());
    history.finds(&["relabelled"], "the head is signed by another key").await;

    let folder = history.operated.folder.path();
    let (right, wrong) = (audit.public_key().id().to_string(), signing.public_key().id().to_string());
    // One thumbprint in sixty-four begins with a hyphen.
    let hyphen = format!("-{}", &wrong[1..]);
    for (key, status) in [(&right, 0), (&wrong, 1), (&hyphen, 1)] {
        let ran = run_in(folder, &[], &["audit", "verify", "--key", key, "genuine"]).await;
        assert_eq!(ran.status, status, "{}", ran.all);
    }
    let both =
        run_in(folder, &[], &["audit", "verify", "--key", &wrong, "--key", "audit-keys.json", "genuine"])
            .await;
    assert_eq!(both.status, 0, "{}", both.all);
    let unpinned = run_in(folder, &[], &["audit", "verify", "genuine"]).await;
    assert!(unpinned.status == 2 && unpinned.all.contains("name the key to trust"), "{}", unpinned.all);
    // By the deployment itself.
    history.operated.does(&["audit", "verify", "genuine"]).await;
    assert_eq!(history.operated.run(&["audit", "verify", "other"]).await.status, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_never_passes_for_a_head_nor_a_head_for_a_token() {
    let history = History::new().await;
    history.keys().await;
    let world = &history.operated.world;
    let audit = world.audit_signer().await;
    let mut lines = history.exported("genuine", &[]).await;
    let mut head: Value = parsed(&lines).pop().expect("a head");
    let jws = head["head"].as_str().expect("a JWS").to_owned();

    // The very same words, signed by the same key as an approval token.
    let says = jws.split('.').nth(1).expect("claims");
    let header = json!({"alg": "ES256", "typ": TYPE, "kid": audit.public_key().id().as_str()}).to_string();
    let signed = format!("{}.{says}", URL_SAFE_NO_PAD.encode(header));
    let signature = audit.sign(Sha256::digest(signed.as_bytes()).into()).await.expect("a signature");
    head["head"] = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes())).into();
    *lines.last_mut().expect("a head") = serde_json_canonicalizer::to_string(&head).expect("JSON");
    history.write("token", lines.iter().map(|line| format!("{line}\n")).collect::<String>());
    history.finds(&["token"], "what is in the head's place was signed as something else").await;

    let gate = world.gate("a gate");
    let now = world.clock.now();
    let refused = gate.permit(&ApprovalToken::from_text(&jws), action("{}"), now).await.map(drop);
    assert!(matches!(refused, Err(Refusal::Token(_))), "{refused:?}");
}

const WITH_TOKENS: [&str; 2] = ["--issuer-keys", "issuer-keys.json"];

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_sign_exports_cannot_change_what_was_approved() {
    let history = History::new().await;
    history.keys().await;
    let audit = history.operated.world.audit_signer().await;
    let used = history.used.clone();
    let changes: [fn(&mut Request); 3] = [
        |request| request.agent = AgentName::parse("other-bot").expect("a name"),
        |request| request.approver = ApproverId::parse("other-approver").expect("an id"),
        |request| request.action = action(r#"{"table":"nothing"}"#),
    ];
    for change in changes {
        history
            .dishonest("changed", &audit, |fact| match fact {
                Fact::Request(mut request) if request.id.to_string() == used => {
                    change(&mut request);
                    vec![Fact::Request(request)]
                }
                fact => vec![fact],
            })
            .await;
        let problem = "its token is for another approval than the export says";
        history.finds(&[&WITH_TOKENS[..], &["changed"]].concat(), problem).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_sign_exports_cannot_invent_an_approval() {
    let history = History::new().await;
    history.keys().await;
    let audit = history.operated.world.audit_signer().await;
    let (denied, orders) = (history.denied.clone(), history.used.clone());
    // A denial made an approval: with the token of another one, with one that nobody signed, with none.
    let tokens = [history.token.clone(), format!("{}A", history.token), "forged".to_owned()];
    for (token, told, problem) in [
        (&tokens[0], true, ": its token is "),
        (&tokens[1], true, ": its token is "),
        (&tokens[2], true, ": its token is "),
        (&tokens[2], false, "its token is missing: nothing attests it"),
    ] {
        history
            .dishonest("invented", &audit, |fact| match fact {
                // Long enough ago for its token to be told.
                Fact::Request(mut request) if request.id.to_string() == denied => {
                    request.created_at = request.created_at.minus(Duration::from_secs(2 * 3_600));
                    vec![Fact::Request(request)]
                }
                Fact::Outcome { id, outcome: Outcome::Denied(Decision { at, .. }) }
                    if id.to_string() == denied =>
                {
                    let at = at.minus(Duration::from_secs(2 * 3_600));
                    let decision = Decision { at, proven_by: ProvenBy::EmailLink, passkey: None, note: None };
                    let token = ApprovalToken::from_text(token);
                    let outcome = Outcome::Approved { decision, token: token.clone() };
                    let later = Fact::Token { id, at: at.plus(Duration::from_secs(3_630)), token };
                    [Fact::Outcome { id, outcome }].into_iter().chain(told.then_some(later)).collect()
                }
                fact => vec![fact],
            })
            .await;
        history.finds(&[&WITH_TOKENS[..], &["invented"]].concat(), problem).await;
    }
    // And one whose token is left out.
    history
        .dishonest("bare", &audit, |fact| match fact {
            Fact::Token { id, .. } if id.to_string() == orders => vec![],
            fact => vec![fact],
        })
        .await;
    history.finds(&[&WITH_TOKENS[..], &["bare"]].concat(), "its token is missing: nothing attests it").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_genuine_token_attests_nothing_that_is_told_out_of_order_twice_or_not_at_all() {
    let history = History::new().await;
    history.keys().await;
    let audit = history.operated.world.audit_signer().await;
    let used = history.used.clone();
    let last = history.end.minus(Duration::from_secs(1));
    // What each makes of what was asked, and of how it ended; the token is genuine.
    type Change = fn(Fact, Timestamp) -> Vec<Fact>;
    let rows: [(Kind, Change, &str); 7] = [
        (Kind::Request, |_, _| vec![], "what was asked is missing"),
        (
            Kind::Request,
            |fact, last| vec![asked(fact, |request| request.created_at = last)],
            "what was asked is told after what became of it",
        ),
        (
            Kind::Request,
            |fact, last| {
                let other = asked(fact.clone(), |request| {
                    request.action = action(r#"{"table":"nothing"}"#);
                    request.created_at = last;
                });
                vec![fact, other]
            },
            "what was asked was told before",
        ),
        (
            Kind::Outcome,
            |fact, last| vec![decided(fact, |decision| decision.at = last)],
            "how it ended is told after its token",
        ),
        (
            Kind::Outcome,
            |fact, last| vec![fact.clone(), decided(fact, |decision| decision.at = last)],
            "how it ended was told before",
        ),
        (
            Kind::Outcome,
            |fact, _| {
                vec![Fact::Outcome { id: fact.approval_id(), outcome: Outcome::Withdrawn { at: fact.at() } }]
            },
            "its token is for another approval than the export says",
        ),
        (
            Kind::Token,
            |fact, last| match fact {
                Fact::Token { id, token, at } => {
                    vec![Fact::Token { id, at, token: token.clone() }, Fact::Token { id, at: last, token }]
                }
                fact => vec![fact],
            },
            "its token was told before",
        ),
    ];
    for (kind, change, problem) in rows {
        let changed = |fact: Fact| if is(&fact, &used, kind) { change(fact, last) } else { vec![fact] };
        history.dishonest("changed", &audit, changed).await;
        history.finds(&[&WITH_TOKENS[..], &["changed"]].concat(), problem).await;
    }
}

fn asked(fact: Fact, change: impl Fn(&mut Request)) -> Fact {
    let Fact::Request(mut request) = fact else { panic!("{fact:?}") };
    change(&mut request);
    Fact::Request(request)
}

fn decided(fact: Fact, change: impl Fn(&mut Decision)) -> Fact {
    let Fact::Outcome { id, outcome: Outcome::Approved { mut decision, token } } = fact else {
        panic!("{fact:?}")
    };
    change(&mut decision);
    Fact::Outcome { id, outcome: Outcome::Approved { decision, token } }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_action_is_not_put_under_a_genuine_token_over_several_exports() {
    let history = History::new().await;
    history.keys().await;
    let audit = history.operated.world.audit_signer().await;
    let (used, middle, end) = (history.used.clone(), history.middle, history.end);
    let (first, second) = (Range::new(None, middle), Range::new(Some(middle), end));
    let (first, second) = (first.expect("a range"), second.expect("a range"));
    // Left out of the first, and told with another action behind its token.
    let told =
        history.operated.world.store().await.audited(first, end.plus(sayso_model::audit::SETTLING)).await;
    let request = told.expect("the facts").facts.into_iter().find(|fact| is(fact, &used, Kind::Request));
    let late = asked(request.expect("the request"), |request| {
        request.action = action(r#"{"table":"nothing"}"#);
        request.created_at = end.minus(Duration::from_secs(1));
    });
    let unasked =
        |facts: Vec<Fact>| facts.into_iter().filter(|fact| !is(fact, &used, Kind::Request)).collect();
    let head = history.continued("1", &audit, first, None, unasked).await;
    let added = |facts| [facts, vec![late]].concat();
    history.continued("2", &audit, second, Some(head), added).await;
    history.finds(&[&WITH_TOKENS[..], &["1", "2"]].concat(), "what was asked is missing").await;
    // The second alone: it may be that the request was told before it, and so nothing may tell it now.
    let problem = "what was asked is told after what became of it";
    history.finds(&[&WITH_TOKENS[..], &["2"]].concat(), problem).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_without_a_token_is_missed_however_often_it_is_told() {
    let history = History::new().await;
    history.keys().await;
    let audit = history.operated.world.audit_signer().await;
    let (denied, end) = (history.denied.clone(), history.end);
    let hour = |hours: u64| end.plus(Duration::from_secs(hours * 3_600));
    let id = ApprovalId::parse(&denied).expect("an id");
    let invented = |at: Timestamp| {
        let decision = Decision { at, proven_by: ProvenBy::EmailLink, passkey: None, note: None };
        Fact::Outcome {
            id,
            outcome: Outcome::Approved { decision, token: ApprovalToken::from_text("forged") },
        }
    };
    let approved = |facts: Vec<Fact>| {
        let change = |fact| if is(&fact, &denied, Kind::Outcome) { invented(fact.at()) } else { fact };
        facts.into_iter().map(change).collect()
    };
    let first = Range::new(None, end).expect("a range");
    let mut head = history.continued("1", &audit, first, None, approved).await;
    assert_eq!(history.verify(&[&WITH_TOKENS[..], &["1"]].concat()).await.status, 0, "it may still come");
    for later in [1, 2] {
        let range = Range::new(Some(hour(later - 1)), hour(later)).expect("a range");
        let again = |facts| [facts, vec![invented(hour(later).minus(Duration::from_secs(1)))]].concat();
        head = history.continued(&(later + 1).to_string(), &audit, range, Some(head), again).await;
    }
    let problem = "its token is missing: nothing attests it";
    history.finds(&[&WITH_TOKENS[..], &["1", "2", "3"]].concat(), problem).await;
    history.finds(&["1", "2", "3"], "how it ended was told before").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_was_used_but_what_was_asked_and_approved() {
    let history = History::new().await;
    history.keys().await;
    let audit = history.operated.world.audit_signer().await;
    let (used, denied) = (history.used.clone(), history.denied.clone());
    let changes: [fn(&mut Receipt, ApprovalId, Timestamp); 3] = [
        |receipt, _, _| receipt.tool = ToolName::parse("other_tool").expect("a name"),
        |receipt, _, _| receipt.digest = action(r#"{"table":"nothing"}"#).digest(),
        |receipt, denied, end| {
            (receipt.id, receipt.redeemed_at) = (denied, end.minus(Duration::from_secs(1)))
        },
    ];
    let denied = ApprovalId::parse(&denied).expect("an id");
    for change in changes {
        history
            .dishonest("changed", &audit, |fact| match fact {
                Fact::Redemption(mut receipt) if receipt.id.to_string() == used => {
                    change(&mut receipt, denied, history.end);
                    vec![Fact::Redemption(receipt)]
                }
                fact => vec![fact],
            })
            .await;
        history.finds(&["changed"], "what was used is not what was asked and approved").await;
    }
    history
        .dishonest("twice", &audit, |fact| match fact {
            Fact::Redemption(receipt) => {
                let later = Receipt { redeemed_at: history.middle, ..receipt.clone() };
                vec![Fact::Redemption(receipt), Fact::Redemption(later)]
            }
            fact => vec![fact],
        })
        .await;
    history.finds(&["twice"], "that it was used was told before").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_verified_under_the_issuers_keys_and_no_others() {
    let history = History::new().await;
    history.keys().await;
    let genuine = history.exported("genuine", &[]).await;
    entry(&entries(&genuine), "token", &history.used);
    let told = history.verify(&[&WITH_TOKENS[..], &["genuine"]].concat()).await;
    let counted = "Approvals: 2; with a token that verifies: 1";
    assert!(told.status == 0 && told.all.contains(counted), "{}", told.all);
    let untold = history.verify(&["genuine"]).await;
    assert!(untold.status == 0 && untold.all.contains("no token was verified"), "{}", untold.all);

    let wrong = ["--issuer-keys", "audit-keys.json", "genuine"];
    history.finds(&wrong, "its token is not signed by a key of the issuer").await;
    let both = ["--issuer-keys", "audit-keys.json", "--issuer-keys", "issuer-keys.json", "genuine"];
    assert_eq!(history.verify(&both).await.status, 0);
    let other = [&["--issuer", "https://issuer.example"][..], &WITH_TOKENS, &["genuine"]].concat();
    history.finds(&other, "it is an export of the issuer").await;
}
