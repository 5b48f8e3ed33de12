//! The agent's key is not the gate's alone: what somebody else asked with it, for the gate's own action.

use super::*;

const HONEST: &str = "Drop a table";
const WEEK: u64 = 604_800;

/// With the gate's key, and not through the gate.
async fn ask_beforehand(place: &Place, summary: &str, reason: Option<&str>, seconds: u64) -> PendingApproval {
    let url = BaseUrl::parse(&place.world.host.mcp_url).unwrap();
    let approvals = Approvals::new(url, place.world.agent_key.clone()).unwrap();
    let reason = reason.map(|reason| Reason::parse(reason).unwrap());
    let asking = ApprovalRequest {
        action: &words("{}").action,
        audience: &Audience::parse("production").unwrap(),
        summary: &Summary::parse(summary).unwrap(),
        reason: reason.as_ref(),
        earlier: None,
        expires_in: ExpiresIn::from_seconds(i64::try_from(seconds).unwrap()).unwrap(),
    };
    approvals.request(&asking).await.unwrap()
}

/// Whether the request can still be decided by the link in its mail.
async fn decides(place: &Place, id: ApprovalId) -> bool {
    let page = place.world.browser().open(&place.world.link(&id.to_string()).0).await;
    !page.forms().is_empty()
}

#[tokio::test]
async fn a_human_reads_the_gates_words_whoever_asked_before_it() {
    for (summary, reason, seconds) in
        [("Read a table", None, 600), (HONEST, Some("The backup is tested."), 600), (HONEST, None, WEEK)]
    {
        let place = Place::new().await;
        let before = ask_beforehand(&place, summary, reason, seconds).await;
        assert!(decides(&place, before.id).await);
        let waiting = waiting(&place.asker(), &words("{}")).await;
        assert!(waiting.id != before.id, "{summary} {reason:?} {seconds}");
        assert_eq!(place.world.mails().len(), 2);
        assert!(!decides(&place, before.id).await, "{summary} {reason:?} {seconds}");
        let page = place.world.browser().open(&place.world.link(&waiting.id.to_string()).0).await;
        assert!(page.text().contains(HONEST), "{}", page.text());
        assert_eq!(waiting.closes_at, place.world.clock.now().plus(Duration::from_secs(600)));
    }
    // In the same words, and for no longer, it is the same question.
    let place = Place::new().await;
    let before = ask_beforehand(&place, HONEST, None, 300).await;
    assert_eq!(waiting(&place.asker(), &words("{}")).await.id, before.id);
    assert_eq!(place.world.mails().len(), 1);
}

#[tokio::test]
async fn nothing_runs_on_a_yes_to_anothers_words() {
    let place = Place::new().await;
    let before = ask_beforehand(&place, "Read a table", None, 600).await;
    let withdrawing = Arc::new(tokio::sync::Notify::new());
    place.front.take_requests();
    place.front.trouble(MCP, Trouble::Pass);
    place.front.trouble(MCP, Trouble::Hold(Arc::clone(&withdrawing)));
    let (asker, words) = (place.asker(), words("{}"));
    let (after, ()) = tokio::join!(waiting(&asker, &words), async {
        requests(&place, 2).await;
        place.decide(before.id, Verdict::Approve).await;
        withdrawing.notify_one();
    });
    assert!(after.id != before.id);
    assert_eq!(place.world.mails().len(), 2);
}

#[tokio::test]
async fn who_asks_again_and_again_in_other_words_gets_nothing_run() {
    let place = Place::new().await;
    ask_beforehand(&place, "Read a table", None, 600).await;
    let asking_anew = Arc::new(tokio::sync::Notify::new());
    place.front.take_requests();
    (0..2).for_each(|_| place.front.trouble(MCP, Trouble::Pass));
    place.front.trouble(MCP, Trouble::Hold(Arc::clone(&asking_anew)));
    let (asker, words) = (place.asker(), words("{}"));
    let asking = words.ask(None);
    let asked = asker.ask(&asking, AT_ONCE, |_| panic!("nobody is waited for"));
    let (answer, ()) = tokio::join!(asked, async {
        requests(&place, 3).await;
        ask_beforehand(&place, "Read two tables", None, 600).await;
        asking_anew.notify_one();
    });
    assert!(matches!(answer, Err(AskError::InOtherWords)), "{answer:?}");
    assert_eq!(place.kept_files(), 0);
}

/// Goes on when so many have come in.
async fn requests(place: &Place, wanted: usize) {
    let mut came = 0;
    while came < wanted {
        came += place.front.take_requests().len();
        tokio::task::yield_now().await;
    }
}
