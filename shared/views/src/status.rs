use maud::{Markup, html};
use sayso_model::{ApprovalId, Status};

use super::layout;

/// The state and nothing else: an agent gets this address, and may pass it on.
pub fn status(id: ApprovalId, status: Status) -> Markup {
    let (class, word, meaning) = match status {
        Status::Pending => (
            "",
            "Waiting for a decision",
            "Nobody has answered yet. Only the approver can, with the link in the mail.",
        ),
        Status::Undeliverable => (
            "expired",
            "The mail came back",
            "Nobody has answered. The mail to the approver was not delivered, or was reported as spam. The people who run this service have to correct the address.",
        ),
        Status::Approved => ("approved", "Approved", "The approver said yes."),
        Status::Denied => ("denied", "Denied", "The approver said no."),
        Status::Expired => ("expired", "Expired", "Nobody answered in time. That is not a denial."),
        Status::Withdrawn => ("withdrawn", "Withdrawn", "The agent took the request back."),
    };
    state(id, class, word, meaning)
}

/// The deadline has passed, and nothing is recorded yet.
pub fn overdue_status(id: ApprovalId) -> Markup {
    state(id, "expired", "Time is over", super::outcome::NOTHING_RECORDED)
}

fn state(id: ApprovalId, class: &str, word: &str, meaning: &str) -> Markup {
    let main = html! {
        div.middle {
            p.state.(class) { "Status" }
            h1 { (word) }
            p.lead { (meaning) }
            footer {
                p { "Approval " code translate="no" { (id) } }
                p { "This page shows the state only. Nothing can be decided here." }
            }
        }
    };
    layout::document(word, "", &main)
}
