//! What the tests look at in pages and mails, with a parser and not with the eye.

use std::collections::BTreeSet;

use sayso_tests::{Page, World};
use scraper::{Html, Selector};

/// Elements that run, load, or change what an address means.
const ACTIVE: [&str; 14] = [
    "script", "iframe", "frame", "object", "embed", "applet", "img", "image", "link", "base", "audio",
    "video", "template", "noscript",
];

pub(crate) fn selector(css: &str) -> Selector {
    Selector::parse(css).expect("a selector")
}

/// Every element as its name and its attributes' names: what markup a page consists of.
pub(crate) fn shape(html: &str) -> BTreeSet<String> {
    let document = Html::parse_document(html);
    let all = selector("*");
    let shape = document.select(&all).map(|element| {
        let mut names: Vec<&str> = element.value().attrs().map(|(name, _)| name).collect();
        names.sort_unstable();
        format!("{} {}", element.value().name(), names.join(" "))
    });
    shape.collect()
}

/// No script of any kind, nothing that loads anything, no address but those that the page itself needs.
pub(crate) fn assert_inert(html: &str) {
    let document = Html::parse_document(html);
    for element in document.select(&selector("*")) {
        let name = element.value().name();
        assert!(!ACTIVE.contains(&name), "<{name}> in {html}");
        for (attribute, value) in element.value().attrs() {
            assert!(!attribute.starts_with("on"), "{attribute}={value} in {html}");
            let value = value.trim_start().to_ascii_lowercase();
            for scheme in ["javascript:", "data:", "vbscript:"] {
                assert!(!value.starts_with(scheme), "{attribute}={value}");
            }
            assert!(attribute != "http-equiv" && attribute != "formaction" && attribute != "srcset");
        }
    }
}

/// The text of all elements that match, with nothing between text that the source has not.
pub(crate) fn text_of(html: &str, css: &str) -> String {
    Html::parse_document(html).select(&selector(css)).flat_map(|element| element.text()).collect()
}

/// Everything of an answer that must not tell one refusal from another: all but the time.
pub(crate) fn indistinguishable(page: &Page) -> (u16, Vec<(String, String)>, String) {
    let mut headers: Vec<(String, String)> = page
        .headers
        .iter()
        .filter(|(name, _)| *name != "date")
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    headers.sort();
    (page.status, headers, page.html.clone())
}

/// Nobody decided: the agent reads `pending`, and the table holds no outcome.
pub(crate) async fn assert_pending(world: &World, approval_id: &str) {
    let answer = world.agent().await.check(approval_id).await;
    assert_eq!(answer.field("status"), "pending");
    assert_eq!(world.table().keys("OUTCOME#").await, Vec::<String>::new());
}

/// Every word of a plain text in which some mail client could see an address: with a scheme, an at sign, or a dot (or
/// what is taken for one) between what could be labels of a host. Numbers with fewer dots than an address has are none.
pub(crate) fn linkable(text: &str) -> Vec<String> {
    let words = text.split(|c: char| c.is_whitespace() || "<>\"'()".contains(c));
    words.filter(|word| is_linkable(word)).map(str::to_owned).collect()
}

fn is_linkable(word: &str) -> bool {
    // What our own marks stand in is no part of a host.
    let in_label =
        |c: char| (!c.is_ascii() && !"⟨⟩".contains(c)) || c.is_ascii_alphanumeric() || "_-%~".contains(c);
    let is_dot = |c: char| ".。．｡".contains(c);
    let characters: Vec<char> = word.chars().collect();
    let between = |at: usize| {
        at > 0
            && is_dot(characters[at])
            && in_label(characters[at - 1])
            && characters.get(at + 1).is_some_and(|after| in_label(*after))
    };
    let scheme = word
        .split_once("://")
        .is_some_and(|(scheme, _)| scheme.ends_with(|c: char| c.is_ascii_alphanumeric()));
    let dots: Vec<usize> = (0..characters.len()).filter(|at| between(*at)).collect();
    let numeric = dots.iter().all(|at| {
        let digit = |at: usize| characters.get(at).is_some_and(char::is_ascii_digit);
        digit(at - 1) && digit(at + 1)
    });
    let at_sign = characters
        .windows(3)
        .any(|three| matches!(three, [before, '@' | '＠', after] if *before != '⟨' && *after != '⟩'));
    scheme || at_sign || (!dots.is_empty() && (!numeric || dots.len() > 2))
}

/// The text of a mail, element by element and without that of its own link: what a client looks for addresses in.
pub(crate) fn stretches(html: &str) -> Vec<String> {
    let document = Html::parse_document(html);
    let body = document.select(&selector("body")).next().expect("a body");
    body.text().map(str::to_owned).collect()
}
