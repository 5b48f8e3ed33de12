//! Mail gateways open links, prefetch them, run what pages contain and submit the forms they find.

use sayso_tests::{Form, Verdict, World};
use scraper::Html;

use crate::inspect::{assert_inert, assert_pending, linkable, selector};

/// Every address in a mail, wherever a client or a scanner would find one.
fn links(mail: &sayso_local::outbox::Mail) -> Vec<String> {
    let mut links = linkable(mail.text.as_deref().unwrap_or_default());
    let html = mail.html.clone().unwrap_or_default();
    links.extend(linkable(&html));
    for element in Html::parse_document(&html).select(&selector("[href], [src], [action]")) {
        let found = ["href", "src", "action"].into_iter().filter_map(|name| element.attr(name));
        links.extend(found.map(str::to_owned));
    }
    links
}

/// What a scanner puts into a field.
fn fillings(code: &str) -> Vec<Vec<(&'static str, String)>> {
    // Whatever the code is, this is not it.
    let wrong = if code == "123456" { "654321" } else { "123456" };
    let fill = |code: &str, note: &str| vec![("code", code.to_owned()), ("note", note.to_owned())];
    vec![
        vec![],
        fill("", ""),
        fill(wrong, "test@example.com"),
        fill("test", "test"),
        fill("' OR 1=1 --", "<script>alert(1)</script>"),
        fill("000000000000", &"x".repeat(1_001)),
        vec![("secret", String::new())],
        vec![("verdict", "approve".to_owned())],
        vec![("verdict", "deny".to_owned()), ("code", "on".to_owned())],
    ]
}

#[tokio::test]
async fn the_mail_has_one_address_and_it_is_the_deciding_link() {
    let world = World::new().await;
    let id = world.agent().await.ask("customers_2019").await.field("approval_id").to_owned();
    let link = world.link(&id).0;
    let found = links(&world.mails()[0]);
    assert!(found.len() >= 2 && found.iter().all(|found| *found == link), "{found:?}");
    assert_inert(&world.mails()[0].html.clone().unwrap());
}

#[tokio::test]
async fn nothing_a_scanner_does_decides() {
    let world = World::new().await;
    let id = world.agent().await.ask("customers_2019").await.field("approval_id").to_owned();
    let link = world.link(&id);
    let browser = world.browser();
    for url in links(&world.mails()[0]) {
        for method in ["GET", "HEAD", "OPTIONS", "GET", "POST", "PUT", "DELETE"] {
            let page = browser.request(method, &url, None).await;
            assert_inert(&page.html);
            if method == "GET" {
                assert_eq!(page.status, 200);
            }
        }
    }
    let page = browser.open(&link.0).await;
    assert!(page.links().is_empty(), "a page with links has more to open: {:?}", page.links());
    let (form, code) = (page.form(), page.code());
    assert_eq!(page.forms().len(), 1);
    assert_eq!((form.method.as_str(), form.fields["code"].as_str()), ("POST", ""));
    let buttons: Vec<Option<(&str, &str)>> = form
        .buttons
        .iter()
        .map(|(name, value)| Some((name.as_str(), value.as_str())))
        .chain([None])
        .collect();
    // Approve, deny, deny with each of three reasons, and none.
    assert_eq!(buttons.len(), 6);
    for button in buttons {
        for filling in fillings(&code) {
            let changes: Vec<(&str, &str)> =
                filling.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let answer = browser.submit(&form, &changes, button).await;
            assert!(matches!(answer.status, 404 | 422), "{} {changes:?} {button:?}", answer.status);
            assert_inert(&answer.html);
            // A scanner goes on with what it finds.
            for next in answer.forms() {
                let answer = browser.submit(&next, &[], button).await;
                assert_eq!(answer.status, 422, "{changes:?} {button:?}");
            }
        }
        for method in ["GET", "HEAD", "OPTIONS"] {
            let by_method = Form { method: method.to_owned(), ..form.clone() };
            assert_eq!(browser.submit(&by_method, &[("code", &code)], button).await.status, 405);
        }
    }
    assert_pending(&world, &id).await;
    assert_eq!(world.mails().len(), 1);

    // And the approver still can.
    let decided = browser.decide(&link, Verdict::Deny, "").await;
    assert_eq!(decided.status, 200);
    assert_eq!(world.agent().await.check(&id).await.field("status"), "denied");
}

#[tokio::test]
async fn a_page_opened_before_by_someone_else_still_decides() {
    let world = World::new().await;
    let id = world.agent().await.ask("customers_2019").await.field("approval_id").to_owned();
    let (link, browser) = (world.link(&id), world.browser());
    let first = browser.open(&link.0).await;
    for _ in 0..20 {
        assert_eq!(browser.open(&link.0).await.html, first.html, "opening is not using up");
    }
    assert_eq!(browser.decide(&link, Verdict::Approve, "").await.status, 200);
    assert_eq!(world.agent().await.check(&id).await.field("status"), "approved");
    // Opened again, and sent again, it shows what stands.
    for verdict in ["approve", "deny"] {
        let again =
            browser.submit(&first.form(), &[("code", &first.code())], Some(("verdict", verdict))).await;
        assert_eq!(again.status, if verdict == "approve" { 200 } else { 409 });
    }
    assert!(browser.open(&link.0).await.forms().is_empty());
    assert_eq!(world.table().keys("OUTCOME#").await.len(), 1);
}
