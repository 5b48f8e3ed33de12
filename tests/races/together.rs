//! Starting many clients at one moment, and what they are told.

use std::sync::Arc;

use sayso_tests::{Page, Raw, RawAnswer, World};
use tokio::sync::Barrier;

/// Runs all of these at once, each as a task of its own; the answers in their order.
pub(crate) async fn all_at_once<F, T>(calls: impl IntoIterator<Item = F>) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let calls: Vec<F> = calls.into_iter().collect();
    let barrier = Arc::new(Barrier::new(calls.len()));
    let tasks: Vec<_> = calls
        .into_iter()
        .map(|call| {
            let barrier = Arc::clone(&barrier);
            tokio::spawn(async move {
                barrier.wait().await;
                call.await
            })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.expect("a client"));
    }
    answers
}

/// A client of its own, with its own connections.
pub(crate) fn client(world: &World) -> Raw {
    world.raw()
}

/// The status in a tool's answer.
pub(crate) fn status(answer: &RawAnswer) -> String {
    let told = answer.tool().unwrap_or_else(|| panic!("{} {}", answer.status, answer.body));
    assert!(!told.is_error, "{}", told.text);
    told.field("status").to_owned()
}

/// What a page says became of the request, if it says so: its title begins with it.
pub(crate) fn outcome_on(page: &Page) -> Option<String> {
    let title = page.html.split("<title>").nth(1).unwrap_or_default();
    let word = title.split([':', ' ', '<']).next().unwrap_or_default().to_lowercase();
    ["approved", "denied", "expired", "withdrawn"].contains(&word.as_str()).then_some(word)
}

/// The same of a page that must say it.
pub(crate) fn told_by(page: &Page) -> String {
    outcome_on(page).unwrap_or_else(|| panic!("{} {}", page.status, page.text()))
}

/// The id of an approval at the end of a table's key.
pub(crate) fn id_of(key: &str) -> &str {
    key.rsplit('#').next().unwrap_or_default()
}

/// Every deciding link that was ever mailed about an approval, oldest first.
pub(crate) fn mailed_links(world: &World, approval_id: &str) -> Vec<String> {
    let start = format!("{}/{approval_id}/", world.host.page_url);
    let texts: Vec<String> = world.mails().into_iter().filter_map(|mail| mail.text).collect();
    let lines = texts.iter().flat_map(|text| text.lines());
    lines.filter(|line| line.starts_with(&start)).map(str::to_owned).collect()
}
