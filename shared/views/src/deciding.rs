use maud::{Markup, PreEscaped, html};
use sayso_model::passkey::Challenge;
use sayso_model::{ApprovalId, DecidingLink, Request, Timestamp};

use super::{action, layout, passkey};

/// The form as it stands: empty on the first visit, as it was sent when something in it has to change.
#[derive(Clone, Copy)]
pub struct Form<'a> {
    /// Where it goes.
    pub target: &'a str,
    /// What opened this page; it goes back in the form's body.
    pub link: &'a DecidingLink,
    /// What approving takes.
    pub approving: Approving,
    /// The code as typed.
    pub code: &'a str,
    /// The note as typed.
    pub note: &'a str,
    /// What has to change.
    pub errors: &'a FormErrors,
}

/// What approving takes, beside the mailed link. Denying always takes the code alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approving {
    /// The code.
    ByCode,
    /// A passkey that answers this challenge, on this page.
    ByPasskey(Challenge),
    /// A passkey, which works on the page that the mailed link leads to and not on this one.
    ByPasskeyElsewhere,
}

/// The common reasons for a no. The agent reads them as the approver's words, in front of the note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DenialReason {
    /// At another time, perhaps.
    NotNow,
    /// Not this, there or with these arguments.
    WrongTarget,
    /// Not without more about it.
    ExplainFirst,
}

impl DenialReason {
    /// All of them, as the page shows them.
    pub const ALL: [Self; 3] = [Self::NotNow, Self::WrongTarget, Self::ExplainFirst];

    /// What the button sends as the verdict.
    pub fn verdict(self) -> &'static str {
        match self {
            Self::NotNow => "deny-not-now",
            Self::WrongTarget => "deny-wrong-target",
            Self::ExplainFirst => "deny-explain-first",
        }
    }

    /// What the button and the note say.
    pub fn words(self) -> &'static str {
        match self {
            Self::NotNow => "Not now",
            Self::WrongTarget => "Wrong target",
            Self::ExplainFirst => "Explain first",
        }
    }
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
    /// About the passkey.
    pub passkey: Option<String>,
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
    let title = format!("{title}: {}", request.action.tool);
    match form.approving {
        Approving::ByPasskey(_) => layout::document_with_script(&title, "Approval request", &main),
        Approving::ByCode | Approving::ByPasskeyElsewhere => {
            layout::document(&title, "Approval request", &main)
        }
    }
}

fn fields(form: &Form<'_>) -> Markup {
    let (kind, challenge) = match form.approving {
        Approving::ByPasskey(challenge) => (Some("approve"), Some(challenge.to_base64url())),
        Approving::ByCode | Approving::ByPasskeyElsewhere => (None, None),
    };
    html! {
        form method="post" action=(form.target) data-passkey=[kind] data-challenge=[challenge] {
            // Enter in a field presses a form's first submit button: this one, which does nothing.
            button type="submit" disabled hidden {}
            input type="hidden" name="secret" value=(form.link.secret().expose());
            @match form.approving {
                Approving::ByCode => (by_code(form)),
                Approving::ByPasskey(_) | Approving::ByPasskeyElsewhere => (by_passkey(form)),
            }
        }
        p.fine.quiet {
            "Your decision will be recorded as proven by "
            @match form.approving {
                Approving::ByCode => {
                    code { "email-link" } ": by access to the mailbox this link was sent to. That does not show who you are."
                }
                Approving::ByPasskey(_) | Approving::ByPasskeyElsewhere => {
                    code { "passkey" } " if you approve, and by " code { "email-link" }
                    ", access to the mailbox this link was sent to, if you deny."
                }
            }
        }
    }
}

fn by_code(form: &Form<'_>) -> Markup {
    html! {
        (code(form, "to confirm you read this"))
        (note(form))
        p { "If you did not expect this, deny it." }
        fieldset aria-label="Your decision" aria-describedby=[form.errors.verdict.as_ref().map(|_| "verdict-error")] {
            (verdict_error(form))
            div.verdicts {
                button type="submit" name="verdict" value="approve" { "Approve" }
                button type="submit" name="verdict" value="deny" { "Deny" }
            }
            (reasons())
        }
    }
}

/// Denials with a reason, a tap each.
fn reasons() -> Markup {
    html! {
        p.quiet { "Or deny, and tell the agent why:" }
        div.reasons {
            @for reason in DenialReason::ALL {
                button type="submit" name="verdict" value=(reason.verdict()) { (reason.words()) }
            }
        }
    }
}

/// Two roads, one below the other, so that nobody takes one for the other.
fn by_passkey(form: &Form<'_>) -> Markup {
    html! {
        (note(form))
        fieldset aria-labelledby="to-approve" {
            h3 #to-approve { "To approve, use your passkey" }
            @if let Some(error) = &form.errors.passkey {
                p.error role="alert" tabindex="-1" autofocus { (error) }
            }
            @if form.approving == Approving::ByPasskeyElsewhere {
                p { "Your passkey works on the page that the mail leads to. Go back to it, or open the link from the mail again." }
            } @else {
                (passkey::parts("Approve with your passkey"))
            }
        }
        fieldset aria-labelledby="to-deny" {
            h3 #to-deny { "To deny, type the code" }
            (verdict_error(form))
            (code(form, "to deny"))
            div.verdicts.alone { button type="submit" name="verdict" value="deny" { "Deny" } }
            (reasons())
            p.quiet { "If you did not expect this, deny it." }
        }
    }
}

fn verdict_error(form: &Form<'_>) -> Markup {
    let focus = form.errors.code.is_none() && form.errors.note.is_none();
    html! {
        @if let Some(error) = &form.errors.verdict {
            p.error #verdict-error role="alert" tabindex="-1" autofocus[focus] { (error) }
        }
    }
}

fn code(form: &Form<'_>, purpose: &str) -> Markup {
    let error = &form.errors.code;
    html! {
        div {
            label for="code" { "Type " span.number translate="no" { (form.link.code()) } " " (purpose) }
            @if let Some(error) = error { p.error #code-error role="alert" { (error) } }
            input #code name="code" value=(form.code) type="text" inputmode="numeric" autocomplete="off"
                autocorrect="off" spellcheck="false" aria-required=[(form.approving == Approving::ByCode).then_some("true")]
                aria-invalid=[error.as_ref().map(|_| "true")]
                aria-describedby=[error.as_ref().map(|_| "code-error")]
                autofocus[error.is_some()];
        }
    }
}

fn note(form: &Form<'_>) -> Markup {
    let error = &form.errors.note;
    let focus = form.errors.code.is_none() && error.is_some();
    html! {
        div {
            label for="note" {
                "Note " small { "Optional, at most 1,000 characters. Your note goes back to the agent." }
            }
            @if let Some(error) = error { p.error #note-error role="alert" { (error) } }
            textarea #note name="note" rows="3"
                aria-invalid=[error.as_ref().map(|_| "true")]
                aria-describedby=[error.as_ref().map(|_| "note-error")]
                autofocus[focus] {
                // HTML drops a line feed right after the tag: this one, and not the approver's.
                (PreEscaped("\n")) (form.note)
            }
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
