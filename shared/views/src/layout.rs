use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use super::passkey;

/// The one stylesheet, inline in every page: no second request, and a hash in the policy instead of an address.
const STYLE: &str = include_str!("style.css");

/// What `style-src` allows: `'sha256-…'` of the one stylesheet.
pub(crate) fn style_source() -> &'static str {
    static SOURCE: LazyLock<String> =
        LazyLock::new(|| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(STYLE.as_bytes()))));
    &SOURCE
}

/// A whole page. `kind` stands at the top, beside the product's name.
pub(crate) fn document(title: &str, kind: &str, main: &Markup) -> Markup {
    page(title, kind, main, None)
}

/// A whole page that uses a passkey.
pub(crate) fn document_with_script(title: &str, kind: &str, main: &Markup) -> Markup {
    page(title, kind, main, Some(passkey::SCRIPT))
}

fn page(title: &str, kind: &str, main: &Markup, script: Option<&str>) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                // Phones make links of digits that look like a number to call.
                meta name="format-detection" content="telephone=no, date=no, address=no, email=no";
                title { (title) " · Sayso" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header.top { (mark()) "Sayso" span { (kind) } }
                main { (main) }
                @if let Some(script) = script { script { (PreEscaped(script)) } }
            }
        }
    }
}

/// A short page: a headline and what to do about it.
pub(crate) fn notice(title: &str, paragraphs: &[&str]) -> Markup {
    let main = html! {
        div.middle {
            h1 { (title) }
            @for paragraph in paragraphs { p.lead { (paragraph) } }
        }
    };
    document(title, "", &main)
}

fn mark() -> Markup {
    html! {
        svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round"
            stroke-linejoin="round" aria-hidden="true" {
            path d="M20.5 11.5a8.5 8.5 0 0 1-12.4 7.5L3.5 20.5 5 15.9A8.5 8.5 0 1 1 20.5 11.5Z" {}
            path d="m8.5 11.8 2.5 2.5 4.7-5" {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_allows_the_style_of_the_page_and_no_other() {
        let page = notice("Title", &["Text"]).into_string();
        let style = page.split("<style>").nth(1).and_then(|rest| rest.split("</style>").next()).unwrap();
        let hash = STANDARD.encode(Sha256::digest(style.as_bytes()));
        assert_eq!(style_source(), format!("'sha256-{hash}'"));
        assert_eq!(page.matches("<style").count(), 1);
        assert!(!page.contains(" style="), "the policy allows no style attributes");
    }

    #[test]
    fn every_level_of_nesting_has_its_indentation() {
        for depth in 0..=sayso_model::MAX_DEPTH {
            assert!(STYLE.contains(&format!(".d{depth} {{ --d: {depth}; }}")));
        }
    }
}
