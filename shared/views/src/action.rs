//! What would run, and apart from it what the agent says about it.

use maud::{Markup, html};
use sayso_model::{Reading, Request, counted, misleading};

use super::{attention, json, text};

/// The action in full, and what binds a decision to it.
pub(crate) fn action(request: &Request, title: &str, explanation: &str) -> Markup {
    let length = request.action.arguments.as_str().len();
    html! {
        section aria-labelledby="action" {
            h2 #action { (title) }
            p.quiet { (explanation) }
            (look_twice(request))
            dl {
                dt { "Tool" } dd { code translate="no" { (text::name(request.action.tool.as_str())) } }
                dt { "At the gate" } dd { code translate="no" { (request.audience) } }
                dt { "Arguments" } dd { (counted(length, "byte")) ", all shown below" }
            }
            (json::pretty(&request.action.arguments))
            dl.fine {
                dt { "SHA-256 digest" } dd { code translate="no" { (request.action.digest()) } }
                dt { "Approval" } dd { code translate="no" { (request.id) } }
            }
        }
    }
}

/// Which words are marked. It says what that is worth, so that nobody takes an action without marks for harmless.
fn look_twice(request: &Request) -> Markup {
    let words = attention::found(request.action.tool.as_str(), &request.action.arguments);
    let more = words.len().saturating_sub(attention::NAMED);
    html! {
        @if !words.is_empty() {
            p.twice {
                b { "Look twice: " }
                @for (at, word) in words.iter().take(attention::NAMED).enumerate() {
                    @if at > 0 { ", " }
                    mark translate="no" { (word) }
                }
                @if more > 0 { " and " (counted(more, "more word")) }
                ". "
                span.quiet { "A list of words marks these. It knows nothing of what they do, and marks nothing else." }
            }
        }
    }
}

/// The agent's own words: never mixed with what is known.
pub(crate) fn words(request: &Request) -> Markup {
    html! {
        section aria-labelledby="words" {
            h2 #words { "What the agent says about it" }
            p.quiet { "Its own words. Nobody has checked them, and a decision does not depend on them." }
            blockquote.words dir="auto" { (text::prose(request.summary.as_str())) }
            @if let Some(reason) = &request.reason {
                blockquote.words dir="auto" { (text::prose(reason.as_str())) }
            }
        }
    }
}

/// A warning above everything, when the request holds what misleads.
pub(crate) fn warning(request: &Request) -> Markup {
    let acted = json::misleading(&request.action.arguments);
    let words = |text: &str| misleading(text, Reading::Words);
    let reason = request.reason.as_ref().map_or(0, |reason| words(reason.as_str()));
    let said = words(request.summary.as_str()) + reason;
    html! {
        @if acted + said > 0 {
            p.banner.alarm {
                b { "Read closely. " }
                (counted(acted + said, "mark")) " below"
                @if acted == 0 { ", in the agent’s words," } @else if said == 0 { ", in the arguments," }
                @if acted + said == 1 { " names" } @else { " name" }
                " characters that cannot be seen, that pass for others or that would push the rest out of sight."
            }
        }
    }
}
