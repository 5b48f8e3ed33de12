use maud::{Markup, PreEscaped, html};
use sayso_model::{ApprovalId, DecidingLink, Request, Timestamp};

use super::{action, layout};

/// The form as it stands: empty on the first visit, as it was sent when something in it has to change.
#[derive(Clone, Copy)]
pub struct Form<'a> {
    /// Where it goes.
    pub target: &'a str,
    /// What opened this page; it goes back in the form's body.
    pub link: &'a DecidingLink,
    /// The code as typed.
    pub code: &'a str,
    /// The note as typed.
    pub note: &'a str,
    /// What has to change.
    pub errors: &'a FormErrors,
}

/// What has to change in a form that was sent, field by field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FormErrors {
    /// About the code.
    pub code: Option<String>,
    /// About the note.
    pub note: Option<String>,
    /// About the choice between the two buttons.
    pub verdict: Option<String>,
}

impl FormErrors {
    /// Whether there is nothing to change.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The page that shows an open request to its approver, and asks. `newer` is a request of the same agent for the same tool
/// that came after it.
pub fn deciding(request: &Request, newer: Option<ApprovalId>, form: &Form<'_>, now: Timestamp) -> Markup {
    let title = if form.errors.is_empty() { "Approve or deny" } else { "Not decided yet" };
    let left = left(now, request.closes_at);
    let main = html! {
        @if !form.errors.is_empty() {
            p.banner.alarm { b { "Nothing has been decided yet. " } "The form below says what to change." }
        }
        p.state { "Waiting for your decision · " (left) }
        h1 { (request.agent) " asks to run " code translate="no" { (request.action.tool) } }
        (action::warning(request))
        @if let Some(newer) = newer {
            p.banner {
                b { "There is a newer request. " }
                "The agent asked for the same tool with other arguments on " (newer.made_at().for_people())
                " (approval " code translate="no" { (newer) } "). This one may be out of date: read both mails before you decide."
            }
        }
        (action::action(request, "What would run", "Exactly this and nothing else: a decision is bound to it."))
        (action::words(request))
        section aria-labelledby="decision" {
            h2 #decision { "Your decision" }
            dl {
                dt { "Asked by" } dd { (request.agent) ", " (request.created_at.for_people()) }
                dt { "Decide by" } dd { (request.closes_at.for_people()) " (" (left) ")" }
            }
            p {
                "Approving lets exactly this run once, within " (request.token_lifetime.for_people())
                " of your approval. Denying tells the agent no."
            }
            (fields(form))
        }
    };
    layout::document(&format!("{title}: {}", request.action.tool), "Approval request", &main)
}

fn fields(form: &Form<'_>) -> Markup {
    let errors = form.errors;
    let focus_note = errors.code.is_none() && errors.note.is_some();
    let focus_verdict = errors.code.is_none() && errors.note.is_none();
    html! {
        form method="post" action=(form.target) {
            // Enter in a field presses a form's first submit button: this one, which does nothing.
            button type="submit" disabled hidden {}
            input type="hidden" name="secret" value=(form.link.secret().expose());
            div {
                label for="code" {
                    "Type " span.number translate="no" { (form.link.code()) }
                    " to confirm you read this"
                }
                @if let Some(error) = &errors.code { p.error #code-error role="alert" { (error) } }
                input #code name="code" value=(form.code) type="text" inputmode="numeric" autocomplete="off"
                    autocorrect="off" spellcheck="false" aria-required="true"
                    aria-invalid=[errors.code.as_ref().map(|_| "true")]
                    aria-describedby=[errors.code.as_ref().map(|_| "code-error")]
                    autofocus[errors.code.is_some()];
            }
            div {
                label for="note" {
                    "Note " small { "Optional, at most 1,000 characters. Your note goes back to the agent." }
                }
                @if let Some(error) = &errors.note { p.error #note-error role="alert" { (error) } }
                textarea #note name="note" rows="3"
                    aria-invalid=[errors.note.as_ref().map(|_| "true")]
                    aria-describedby=[errors.note.as_ref().map(|_| "note-error")]
                    autofocus[focus_note] {
                    // HTML drops a line feed right after the tag: this one, and not the approver's.
                    (PreEscaped("\n")) (form.note)
                }
            }
            p { "If you did not expect this, deny it." }
            fieldset aria-label="Your decision" aria-describedby=[errors.verdict.as_ref().map(|_| "verdict-error")] {
                @if let Some(error) = &errors.verdict {
                    p.error #verdict-error role="alert" tabindex="-1" autofocus[focus_verdict] { (error) }
                }
                div.verdicts {
                    button type="submit" name="verdict" value="approve" { "Approve" }
                    button type="submit" name="verdict" value="deny" { "Deny" }
                }
            }
        }
        p.fine.quiet {
            "Your decision will be recorded as proven by " code { "email-link" }
            ": by access to the mailbox this link was sent to. That does not show who you are."
        }
    }
}

fn left(now: Timestamp, until: Timestamp) -> String {
    let minutes = now.until(until).as_secs() / 60;
    let (count, unit) = match minutes {
        0 => return "less than a minute left".to_owned(),
        m if m < 120 => (m, "minute"),
        m if m < 48 * 60 => (m / 60, "hour"),
        m => (m / (24 * 60), "day"),
    };
    format!("{count} {unit}{} left", if count == 1 { "" } else { "s" })
}
