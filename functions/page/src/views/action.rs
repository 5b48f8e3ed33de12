//! What would run, and apart from it what the agent says about it.

use maud::{Markup, html};
use sayso_model::Request;

use super::{json, text};

/// The action in full, and what binds a decision to it.
pub(super) fn action(request: &Request, title: &str, explanation: &str) -> Markup {
    let length = request.action.arguments.as_str().len();
    html! {
        section aria-labelledby="action" {
            h2 #action { (title) }
            p.quiet { (explanation) }
            dl {
                dt { "Tool" } dd { code translate="no" { (request.action.tool) } }
                dt { "At the gate" } dd { code translate="no" { (request.audience) } }
                dt { "Arguments" } dd { (count(length, "byte")) ", all shown below" }
            }
            (json::pretty(&request.action.arguments))
            dl.fine {
                dt { "SHA-256 digest" } dd { code translate="no" { (request.action.digest()) } }
                dt { "Approval" } dd { code translate="no" { (request.id) } }
            }
        }
    }
}

/// The agent's own words: never mixed with what is known.
pub(super) fn words(request: &Request) -> Markup {
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

/// A warning above everything, when the request holds characters that mislead.
pub(super) fn warning(request: &Request) -> Markup {
    let acted = json::misleading(&request.action.arguments);
    let reason = request.reason.as_ref().map_or(0, |reason| text::misleading(reason.as_str()));
    let said = text::misleading(request.summary.as_str()) + reason;
    html! {
        @if acted + said > 0 {
            p.banner.alarm {
                b { "Read closely. " }
                "This request holds " (count(acted + said, "character"))
                " that cannot be seen or pass for others"
                @if acted == 0 { ", in the agent’s words" } @else if said == 0 { ", in the arguments" }
                ". Each is marked and named where it stands."
            }
        }
    }
}

/// `1 byte`, `12,345 bytes`.
pub(super) fn count(count: usize, unit: &str) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{grouped} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn counts_are_grouped() {
        assert_eq!(count(1, "byte"), "1 byte");
        assert_eq!(count(999, "byte"), "999 bytes");
        assert_eq!(count(65_536, "byte"), "65,536 bytes");
        assert_eq!(count(1_234_567, "byte"), "1,234,567 bytes");
    }
}
