use sayso_tests::{Verdict, World};

// Promise: The page shows the exact action in full, apart from the agent's own words, and for how long a token would hold.
#[tokio::test]
async fn the_page_shows_what_would_run() {
    let world = World::new().await;
    let agent = world.agent().await;
    let asked = agent.ask("orders_2019").await;
    let page = world.browser().open(&world.link(asked.field("approval_id")).0).await;
    // The parts of a token stand in elements of their own, so spaces do not count.
    let text = page.text().replace(' ', "");
    for shown in
        ["deploy-bot", "drop_table", r#""table":"orders_2019""#, r#""cascade":true"#, "production", "1hour"]
    {
        assert!(text.contains(shown), "{shown} is missing in {text}");
    }
    let action = text.find(r#""cascade""#).expect("the action");
    let label = text.find("Itsownwords.").expect("the label");
    let words = text.find("Dropthetableorders_2019").expect("the summary");
    assert!(action < label && label < words, "{text}");
}

// Promise: A decision takes the link from the mail and a code that the page shows, or, where the operator wants one for a yes, a passkey; a wrong code loses nothing.
#[tokio::test]
async fn a_wrong_code_loses_nothing() {
    let world = World::new().await;
    let agent = world.agent().await;
    let id = agent.ask("orders_2019").await.field("approval_id").to_owned();
    let browser = world.browser();
    let page = browser.open(&world.link(&id).0).await;
    let wrong = if page.code() == "000000" { "000001" } else { "000000" };
    let note = "Check the replica first.";
    let refused =
        browser.submit(&page.form(), &[("code", wrong), ("note", note)], Some(("verdict", "approve"))).await;
    assert_eq!(refused.status, 422);
    assert_eq!(refused.form().fields["note"], note);
    assert_eq!(agent.check(&id).await.field("status"), "pending");
    let spaced = format!(" {} {}", &refused.code()[..3], &refused.code()[3..]);
    let decided = browser.submit(&refused.form(), &[("code", &spaced)], Some(("verdict", "approve"))).await;
    assert_eq!(decided.status, 200);
    assert_eq!(agent.check(&id).await.field("note"), note);
}

// Promise: A no with a common reason takes one tap, and the agent reads the reason in the human's words.
#[tokio::test]
async fn a_no_with_a_reason_takes_one_tap() {
    let world = World::new().await;
    let agent = world.agent().await;
    let rows = [
        ("deny-not-now", "", "Not now."),
        ("deny-wrong-target", "Staging, please.", "Wrong target. Staging, please."),
        ("deny-explain-first", "", "Explain first."),
    ];
    for (verdict, note, told) in rows {
        let id = agent.ask(verdict).await.field("approval_id").to_owned();
        let browser = world.browser();
        let page = browser.open(&world.link(&id).0).await;
        assert!(page.form().buttons.contains(&("verdict".to_owned(), verdict.to_owned())), "{verdict}");
        let fields = [("code", page.code()), ("note", note.to_owned())];
        let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
        let decided = browser.submit(&page.form(), &fields, Some(("verdict", verdict))).await;
        assert_eq!(decided.status, 200, "{}", decided.text());
        let answer = agent.check(&id).await;
        assert_eq!((answer.field("status"), answer.field("note")), ("denied", told));
    }
}

// Promise: Destructive words, wildcards and names of production stand out in the action, by a list of words that judges nothing.
#[tokio::test]
async fn what_to_look_at_twice_stands_out() {
    let world = World::new().await;
    let agent = world.agent().await;
    let sql = "UPDATE t SET a = 1;\n".repeat(30) + "DROP TABLE users;";
    let asked = serde_json::json!({
        "tool": "run_sql",
        "arguments": {"sql": sql, "database": "orders-prod", "paths": ["/srv/*"]},
        "summary": "Some harmless updates",
    });
    let id = agent.call("request_approval", asked).await.field("approval_id").to_owned();
    let page = world.browser().open(&world.link(&id).0).await;
    for marked in ["DROP", "prod", "*"] {
        assert!(page.html.contains(&format!("<mark>{marked}</mark>")), "{marked}");
    }
    assert!(page.text().contains("Look twice: * , drop , prod"), "{}", page.text());
    assert!(page.text().contains("It knows nothing of what they do"), "{}", page.text());
}

// Promise: Once answered, it is answered: the same link shows what happened, when and how, and changes nothing more.
#[tokio::test]
async fn an_answer_stands() {
    let world = World::new().await;
    let agent = world.agent().await;
    let id = agent.ask("orders_2019").await.field("approval_id").to_owned();
    let (browser, link) = (world.browser(), world.link(&id));
    let before = browser.open(&link.0).await;
    world.pass(120);
    browser.decide(&link, Verdict::Deny, "Not today.").await;
    let later = browser.open(&link.0).await;
    assert!(later.forms().is_empty());
    for shown in ["Denied", "22 November 2026, 12:02 UTC", "Not today.", "email-link"] {
        assert!(later.text().contains(shown), "{shown} is missing in {}", later.text());
    }
    let late =
        browser.submit(&before.form(), &[("code", &before.code())], Some(("verdict", "approve"))).await;
    assert_eq!(late.status, 409);
    assert_eq!(agent.check(&id).await.field("status"), "denied");
    let status = browser.open(&format!("{}/{id}", world.host.page_url)).await;
    assert!(status.text().contains("Denied") && !status.text().contains("Not today."), "{}", status.text());
}
