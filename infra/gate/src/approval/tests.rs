//! Against the functions themselves. Their clock begins at this program's own, and only a test moves it.

use std::sync::Arc;

use sayso_sdk::{AgentKey, BaseUrl, CanonicalJson, Note, Timestamp, ToolName};
use sayso_tests::{Fault, Front, Trouble, Verdict, World};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::*;

mod words;

const MCP: &str = "/mcp";
const AT_ONCE: Duration = Duration::ZERO;
const HOUR: Duration = Duration::from_secs(3600);

/// A deployment, a line to it that breaks, and a state directory.
struct Place {
    world: World,
    front: Front,
    state: tempfile::TempDir,
}

/// What is asked, before it is borrowed.
struct Words {
    action: Action,
    summary: Summary,
}

impl Place {
    async fn new() -> Self {
        Self::at(clock::now()).await
    }

    async fn at(start: Timestamp) -> Self {
        let world = World::at(start).await;
        let front = Front::start(world.host.mcp_url.strip_suffix(MCP).unwrap()).await;
        Self { world, front, state: tempfile::tempdir().unwrap() }
    }

    /// As a new process would have it.
    fn asker(&self) -> Asker {
        self.asker_with(&self.world.agent_key)
    }

    fn asker_with(&self, key: &AgentKey) -> Asker {
        let url = BaseUrl::parse(&format!("{}{MCP}", self.front.url)).unwrap();
        let approvals = Approvals::new(url, key.clone()).unwrap();
        let kept = StateDir::open(Some(self.state.path().join("state"))).unwrap();
        Asker::new(approvals, self.world.gate("gate"), Audience::parse("production").unwrap(), kept)
    }

    async fn decide(&self, id: ApprovalId, verdict: Verdict) {
        self.world.browser().decide(&self.world.link(&id.to_string()), verdict, "Look first.").await;
    }

    fn kept_files(&self) -> usize {
        std::fs::read_dir(self.state.path().join("state")).unwrap().count()
    }

    /// This many requests go well; the one after them is lost for good.
    fn trouble_after(&self, requests: usize, trouble: &Trouble) {
        (0..requests).for_each(|_| self.front.trouble(MCP, Trouble::Pass));
        (0..sayso_sdk::ATTEMPTS).for_each(|_| self.front.trouble(MCP, trouble.clone()));
    }
}

fn words(arguments: &str) -> Words {
    let arguments = CanonicalJson::parse(arguments).unwrap();
    Words {
        action: Action { tool: ToolName::parse("drop_table").unwrap(), arguments },
        summary: Summary::parse("Drop a table").unwrap(),
    }
}

impl Words {
    fn ask<'a>(&'a self, definition: Option<&'a str>) -> Ask<'a> {
        Ask {
            earlier: None,
            scope: "run",
            action: &self.action,
            summary: &self.summary,
            reason: None,
            expires_in: ExpiresIn::from_seconds(600).unwrap(),
            definition,
        }
    }
}

/// Asks without waiting; what is waited for must be what the answer says.
async fn ask(asker: &Asker, words: &Words) -> AskOutcome {
    let mut waited_for = None;
    let answer = asker.ask(&words.ask(None), AT_ONCE, |waiting| waited_for = Some(waiting.id)).await.unwrap();
    if let AskOutcome::Waiting(waiting) = &answer {
        assert_eq!(waited_for, Some(waiting.id));
    }
    answer
}

async fn waiting(asker: &Asker, words: &Words) -> Waiting {
    match ask(asker, words).await {
        AskOutcome::Waiting(waiting) => waiting,
        other => panic!("{other:?}"),
    }
}

async fn approved(asker: &Asker, words: &Words) -> Approved {
    match ask(asker, words).await {
        AskOutcome::Approved(approved) => approved,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_later_process_finds_the_approval_and_it_runs_once() {
    let place = Place::new().await;
    let words = words("{}");
    let waiting = waiting(&place.asker(), &words).await;
    assert_eq!(waiting.approver, "a•••@example.com");
    assert_eq!(self::waiting(&place.asker(), &words).await.id, waiting.id);
    assert_eq!((place.world.mails().len(), place.kept_files()), (1, 1));
    place.decide(waiting.id, Verdict::Approve).await;
    let asker = place.asker();
    let first = approved(&asker, &words).await;
    let second = approved(&place.asker(), &words).await;
    assert_eq!((first.kept.id, second.kept.id), (waiting.id, waiting.id));
    assert_eq!(first.note.as_ref().map(Note::as_str), Some("Look first."));
    let kept = first.kept.clone();
    let permit = asker.redeem(first, words.action.clone()).await.unwrap();
    assert_eq!(permit.into_action(), words.action);
    let late = place.asker().redeem(second, words.action.clone()).await.unwrap_err();
    assert_eq!(late.reason(), "already_redeemed");
    kept.forget();
    assert_eq!(place.kept_files(), 0);
    // The same once more is another approval.
    assert!(self::waiting(&asker, &words).await.id != waiting.id);
    assert_eq!(place.world.mails().len(), 2);
}

#[tokio::test]
async fn every_end_is_told_until_it_is_forgotten() {
    let place = Place::new().await;
    let asker = place.asker();
    let denied = words(r#"{"table":"denied"}"#);
    place.decide(waiting(&asker, &denied).await.id, Verdict::Deny).await;
    for _ in 0..2 {
        let answer = ask(&asker, &denied).await;
        let AskOutcome::NotApproved(NotApproved::Denied(answer)) = answer else { panic!("{answer:?}") };
        assert_eq!(answer.note.as_ref().map(Note::as_str), Some("Look first."));
    }
    let AskOutcome::NotApproved(NotApproved::Denied(told)) = ask(&asker, &denied).await else {
        panic!("it was denied")
    };
    told.kept.forget();
    let asking = denied.ask(None);
    let limited = asker.ask(&asking, AT_ONCE, |_| panic!("nobody was asked")).await;
    assert!(matches!(limited, Err(AskError::Sayso(ApprovalError::Limited { .. }))), "{limited:?}");
    place.world.pass(600);
    assert!(matches!(ask(&asker, &denied).await, AskOutcome::Waiting(_)));

    let withdrawn = words(r#"{"table":"withdrawn"}"#);
    asker.approvals.withdraw(waiting(&asker, &withdrawn).await.id).await.unwrap();
    assert!(matches!(ask(&asker, &withdrawn).await, AskOutcome::NotApproved(NotApproved::Withdrawn(_))));

    let expired = words(r#"{"table":"expired"}"#);
    waiting(&asker, &expired).await;
    place.world.pass(600);
    for _ in 0..2 {
        assert!(matches!(ask(&asker, &expired).await, AskOutcome::NotApproved(NotApproved::Expired(_))));
    }
}

#[tokio::test]
async fn what_nothing_can_run_on_is_asked_for_anew() {
    // A yes whose token this program's clock has seen expire.
    let two_hours_ago = clock::now().as_unix_seconds() - 7200;
    let place = Place::at(Timestamp::from_unix_seconds(two_hours_ago).unwrap()).await;
    let (asker, words) = (place.asker(), words("{}"));
    let first = waiting(&asker, &words).await;
    place.decide(first.id, Verdict::Approve).await;
    let second = waiting(&asker, &words).await;
    assert!(second.id != first.id);
    // One that is another agent's: the key in the configuration was changed.
    let key = AgentKey::from_random([2; 32]);
    place.world.register(&key, "other-bot", "sam@example.com", &["production"]).await;
    let other = waiting(&place.asker_with(&key), &words).await;
    assert!(other.id != second.id);
    // One that does not read.
    std::fs::write(
        std::fs::read_dir(place.state.path().join("state")).unwrap().next().unwrap().unwrap().path(),
        "{",
    )
    .unwrap();
    assert_eq!(waiting(&asker, &words).await.id, second.id);
    assert_eq!(place.world.mails().len(), 3);
}

#[tokio::test]
async fn nothing_runs_on_an_approval_of_a_tool_that_was_another() {
    let place = Place::new().await;
    let asker = place.asker();
    let answered = |words: &Words, definition: Option<&'static str>| {
        let (asker, words) = (&asker, Words { action: words.action.clone(), summary: words.summary.clone() });
        async move { asker.ask(&words.ask(definition), AT_ONCE, |_| ()).await }
    };
    for (now, verdict) in [(Some("new"), None), (None, None), (Some("new"), Some(Verdict::Approve))] {
        let words = words(&format!(r#"{{"mails":{}}}"#, place.world.mails().len()));
        let AskOutcome::Waiting(first) = answered(&words, Some("old")).await.unwrap() else {
            panic!("no answer yet")
        };
        let pending = verdict.is_none();
        if let Some(verdict) = verdict {
            place.decide(first.id, verdict).await;
        }
        if pending {
            // As long as it is not withdrawn, it is not let go of.
            place.trouble_after(1, &Trouble::LoseRequest);
            let lost = answered(&words, now).await;
            assert!(matches!(lost, Err(AskError::Sayso(ApprovalError::Unanswered))), "{lost:?}");
        }
        let AskOutcome::NotApproved(NotApproved::DefinitionChanged(kept)) =
            answered(&words, now).await.unwrap()
        else {
            panic!("it has changed")
        };
        assert_eq!(kept.id, first.id);
        let stands = asker.approvals.check(first.id, AT_ONCE).await.unwrap();
        assert_eq!(stands == ApprovalStatus::Withdrawn, pending, "{stands:?}");
        kept.forget();
        let AskOutcome::Waiting(second) = answered(&words, now).await.unwrap() else { panic!("asked anew") };
        assert!(second.id != first.id);
    }
    // A no is a no, whatever the tool is now.
    let words = words("{}");
    let AskOutcome::Waiting(first) = answered(&words, Some("old")).await.unwrap() else {
        panic!("no answer yet")
    };
    place.decide(first.id, Verdict::Deny).await;
    assert!(matches!(
        answered(&words, Some("new")).await.unwrap(),
        AskOutcome::NotApproved(NotApproved::Denied(_))
    ));
}

#[tokio::test]
async fn what_is_taken_back_is_forgotten_once_sayso_knows() {
    let place = Place::new().await;
    let (asker, words) = (place.asker(), words("{}"));
    let first = waiting(&asker, &words).await;
    place.trouble_after(0, &Trouble::LoseRequest);
    assert_eq!(asker.withdraw(&first.kept).await, Err(ApprovalError::Unanswered));
    assert_eq!(place.kept_files(), 1);
    assert_eq!(asker.withdraw(&first.kept).await, Ok(Withdrawal::Withdrawn));
    assert_eq!(place.kept_files(), 0);
    let second = waiting(&asker, &words).await;
    place.decide(second.id, Verdict::Approve).await;
    assert_eq!(asker.withdraw(&second.kept).await, Ok(Withdrawal::Approved));
    assert!(waiting(&asker, &words).await.id != second.id);
}

#[tokio::test]
async fn a_sayso_that_is_lost_is_an_error_and_the_approval_stays() {
    let place = Place::new().await;
    let (asker, words) = (place.asker(), words("{}"));
    let first = waiting(&asker, &words).await;
    // The look at the kept one, the second request, the check.
    for requests in 0..3 {
        place.trouble_after(requests, &Trouble::LoseRequest);
        let lost = asker.ask(&words.ask(None), AT_ONCE, |_| ()).await;
        assert!(matches!(lost, Err(AskError::Sayso(ApprovalError::Unanswered))), "{requests}: {lost:?}");
    }
    assert_eq!(waiting(&asker, &words).await.id, first.id);
    assert_eq!(place.world.mails().len(), 1);
}

#[tokio::test]
async fn a_mail_that_failed_is_said_so_and_sent_by_the_next_call() {
    let place = Place::new().await;
    let (asker, words) = (place.asker(), words("{}"));
    place.world.tap.break_next("SendEmail", Fault::Refuse(400, "MessageRejected"));
    let unsent = waiting(&asker, &words).await;
    assert!(!unsent.mail_sent);
    assert_eq!(place.world.mails().len(), 0);
    let sent = waiting(&asker, &words).await;
    assert!(sent.id == unsent.id && sent.mail_sent);
    assert_eq!(place.world.mails().len(), 1);
}

#[tokio::test]
async fn a_long_wait_outlives_a_sayso_that_is_lost_for_a_while() {
    let place = Place::new().await;
    let (asker, words) = (place.asker(), words("{}"));
    place.trouble_after(1, &Trouble::LoseRequest);
    let (told, asked) = oneshot::channel();
    let asking = words.ask(None);
    let waited = asker.ask(&asking, HOUR, |waiting| told.send(waiting.id).unwrap());
    let (answer, ()) = tokio::join!(waited, async {
        place.decide(asked.await.unwrap(), Verdict::Approve).await;
    });
    assert!(matches!(answer, Ok(AskOutcome::Approved(_))), "{answer:?}");
}

#[tokio::test]
async fn twenty_that_do_the_same_at_once_are_one_question_and_one_runs() {
    let place = Arc::new(Place::new().await);
    let all = || async {
        let mut tasks = JoinSet::new();
        for _ in 0..20 {
            let place = Arc::clone(&place);
            tasks.spawn(async move {
                let (asker, words) = (place.asker(), words("{}"));
                match ask(&asker, &words).await {
                    AskOutcome::Waiting(waiting) => (waiting.id, None),
                    AskOutcome::Approved(approved) => {
                        let kept = approved.kept.clone();
                        (kept.id, Some(asker.redeem(approved, words.action).await))
                    }
                    other => panic!("{other:?}"),
                }
            });
        }
        tasks.join_all().await
    };
    let asked = all().await;
    let id = asked[0].0;
    assert!(asked.iter().all(|(other, redeemed)| *other == id && redeemed.is_none()), "{asked:?}");
    assert_eq!((place.world.mails().len(), place.kept_files()), (1, 1));
    place.decide(id, Verdict::Approve).await;
    let redeemed = all().await;
    assert!(redeemed.iter().all(|(other, _)| *other == id));
    let outcomes: Vec<_> = redeemed.into_iter().filter_map(|(_, redeemed)| redeemed).collect();
    assert_eq!(outcomes.len(), 20);
    let refused = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).map(Refusal::reason);
    assert!(refused.clone().all(|reason| reason == "already_redeemed"));
    assert_eq!(refused.count(), 19);
}

/// The human answers between the look at the kept approval and the second request.
#[tokio::test]
async fn an_answer_between_two_calls_is_not_lost() {
    for verdict in [Verdict::Approve, Verdict::Deny] {
        let place = Place::new().await;
        let (asker, words) = (place.asker(), words("{}"));
        let first = waiting(&asker, &words).await;
        // As that look would have found it.
        let before = asker.kept.find(&Key::new(asker.approvals.url(), &asker.audience, "run", &words.action));
        assert_eq!(before.as_ref(), Some(&first.kept));
        place.decide(first.id, verdict).await;
        // A no can be asked about again by then.
        place.world.pass(600);
        let again = asker.approvals.request(&asker.asking(&words.ask(None))).await.unwrap();
        assert!(again.id != first.id);
        let answer = asker.answered_meanwhile(before, again.id).await.unwrap();
        match answer {
            Some(AskOutcome::Approved(approved)) => assert_eq!(approved.kept, first.kept),
            Some(AskOutcome::NotApproved(NotApproved::Denied(denied))) => assert_eq!(denied.kept, first.kept),
            other => panic!("{other:?}"),
        }
        assert_eq!(asker.approvals.check(again.id, AT_ONCE).await, Ok(ApprovalStatus::Withdrawn));
    }
}

#[tokio::test]
async fn no_token_and_no_key_is_kept_or_printed() {
    let place = Place::new().await;
    let (asker, words) = (place.asker(), words("{}"));
    let waiting = waiting(&asker, &words).await;
    place.decide(waiting.id, Verdict::Approve).await;
    let approved = approved(&asker, &words).await;
    let files = std::fs::read_dir(place.state.path().join("state")).unwrap();
    let kept: String = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    let printed = format!("{kept} {asker:?} {waiting:?} {approved:?}");
    for hidden in [approved.token.expose(), place.world.agent_key.expose(), "alex@"] {
        assert!(!printed.contains(hidden), "{hidden} in {printed}");
    }
}

/// It is answered between the look at it and the question, and the same cannot be asked again.
#[tokio::test]
async fn a_denial_in_between_is_the_answer_and_not_a_limit() {
    let place = Place::new().await;
    let words = words("{}");
    let waiting = waiting(&place.asker(), &words).await;
    let decided = Arc::new(tokio::sync::Notify::new());
    place.front.take_requests();
    place.front.trouble(MCP, Trouble::Pass);
    place.front.trouble(MCP, Trouble::Hold(Arc::clone(&decided)));
    let asker = place.asker();
    let (answer, ()) = tokio::join!(ask(&asker, &words), async {
        let mut asked = 0;
        while asked < 2 {
            asked += place.front.take_requests().len();
            tokio::task::yield_now().await;
        }
        place.decide(waiting.id, Verdict::Deny).await;
        decided.notify_one();
    });
    assert!(
        matches!(&answer, AskOutcome::NotApproved(NotApproved::Denied(denied)) if denied.kept.id == waiting.id),
        "{answer:?}"
    );
    assert_eq!(place.world.mails().len(), 1);
}
