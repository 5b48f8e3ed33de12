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
