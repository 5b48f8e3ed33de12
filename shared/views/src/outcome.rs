use maud::{Markup, html};
use sayso_model::{ClosedApproval, Decision, Outcome, ProvenBy, Request, Timestamp};

use super::{action, layout, text};

/// To whom an outcome is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telling {
    /// To the approver whose answer just became it.
    Recorded,
    /// To the approver who just sent an answer that it precedes.
    TooLate,
    /// Somebody opens the link later.
    Visit,
}

/// What can be said after the deadline, before an outcome is recorded: an answer given in time may be on its way.
pub(crate) const NOTHING_RECORDED: &str =
    "The time to decide is over, and no answer is recorded so far. Reload this page to see what stands.";

/// A request that nobody can decide any more, and of which nobody has recorded how it ended.
pub fn overdue(request: &Request) -> Markup {
    let main = html! {
        p.state.expired { "Time is over · " (request.closes_at.for_people()) }
        h1 { "Too late to decide " code translate="no" { (request.action.tool) } }
        p.lead { (NOTHING_RECORDED) }
        (action::warning(request))
        (action::action(request, "The request", "What was asked for."))
        (action::words(request))
    };
    layout::document(&format!("Time is over: {}", request.action.tool), "Approval request", &main)
}

/// How an approval ended: what, when, how it was proven, and for what.
pub fn outcome(closed: &ClosedApproval, telling: Telling, now: Timestamp) -> Markup {
    let ClosedApproval { request, outcome } = closed;
    let (before, after) = headline(outcome, telling);
    let state = word(outcome);
    let explanation = match outcome {
        Outcome::Approved { .. } => "What was approved: exactly this and nothing else.",
        Outcome::Denied(_) => "What was denied.",
        Outcome::Expired { .. } | Outcome::Withdrawn { .. } => "What was asked for. It was not approved.",
    };
    let main = html! {
        @if telling == Telling::TooLate {
            p.banner role="status" {
                b { "This had closed before your answer arrived. " }
                "What you just sent changed nothing; this is what stands."
            }
        }
        p.state.(outcome.status()) { (state) " · " (outcome.at().for_people()) }
        h1 { (before) code translate="no" { (request.action.tool) } (after) }
        p.lead { (consequence(closed, now)) }
        section aria-labelledby="happened" {
            h2 #happened { "What happened" }
            dl {
                dt { "Asked by" } dd { (request.agent) ", " (request.created_at.for_people()) }
                dt { (state) } dd { (outcome.at().for_people()) }
                @if let Some(decision) = outcome.decision() { (proof_and_note(decision)) }
                @if let Outcome::Approved { decision, .. } = outcome {
                    @let until = decision.at.plus(request.token_lifetime.duration());
                    dt { "Token valid" } dd { "until " (until.for_people()) ", for one use" }
                }
            }
        }
        (action::warning(request))
        (action::action(request, "The request", explanation))
        (action::words(request))
    };
    layout::document(&format!("{state}: {}", request.action.tool), "Approval request", &main)
}

/// What stands before and after the tool's name.
fn headline(outcome: &Outcome, telling: Telling) -> (&'static str, &'static str) {
    match (outcome, telling) {
        (Outcome::Approved { .. }, Telling::Recorded) => ("You approved ", ""),
        (Outcome::Approved { .. }, _) => ("", " was approved"),
        (Outcome::Denied(_), Telling::Recorded) => ("You denied ", ""),
        (Outcome::Denied(_), _) => ("", " was denied"),
        (Outcome::Expired { .. }, _) => ("Nobody answered in time: ", ""),
        (Outcome::Withdrawn { .. }, _) => ("The agent took it back: ", ""),
    }
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Approved { .. } => "Approved",
        Outcome::Denied(_) => "Denied",
        Outcome::Expired { .. } => "Expired",
        Outcome::Withdrawn { .. } => "Withdrawn",
    }
}

fn consequence(closed: &ClosedApproval, now: Timestamp) -> Markup {
    let agent = &closed.request.agent;
    html! {
        @match &closed.outcome {
            Outcome::Approved { decision, .. } => {
                @let until = decision.at.plus(closed.request.token_lifetime.duration());
                @if now < until {
                    (agent) " may run exactly this, once, until " (until.for_people())
                    ". It cannot be taken back here."
                } @else {
                    (agent) " could run exactly this, once, until " (until.for_people()) ". That time is over."
                }
            }
            Outcome::Denied(_) => {
                "It will not run. " (agent) " is told no" @if has_note(closed) { ", with the note below" } "."
            }
            Outcome::Expired { .. } => {
                "It will not run. This is not a denial: " (agent) " is told that nobody answered, and may ask again."
            }
            Outcome::Withdrawn { .. } => {
                "It will not run. " (agent) " no longer wants it, and there is nothing left to decide."
            }
        }
    }
}

fn has_note(closed: &ClosedApproval) -> bool {
    closed.outcome.decision().is_some_and(|decision| decision.note.is_some())
}

fn proof_and_note(decision: &Decision) -> Markup {
    html! {
        dt { "Proven by" }
        dd {
            code { (decision.proven_by) }
            @match decision.proven_by {
                ProvenBy::EmailLink => {
                    p.quiet { "Access to the mailbox the link was sent to. That does not show who it was." }
                }
                ProvenBy::Passkey => {
                    p.quiet {
                        "A passkey of the approver, unlocked by fingerprint, face or PIN"
                        @if let Some(passkey) = &decision.passkey { " (" code translate="no" { (passkey.label()) } ")" }
                        "."
                    }
                }
            }
        }
        dt { "Note" }
        dd {
            @match &decision.note {
                Some(note) => blockquote.words dir="auto" { (text::prose(note.as_str())) },
                None => span.quiet { "None" },
            }
        }
    }
}
