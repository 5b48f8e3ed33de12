use maud::{Markup, html};
use sayso_model::{Approval, ApprovalId, Outcome};

use super::layout;

/// How an approval stands, for whoever knows no more than its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the states are the words")]
pub enum State {
    Pending,
    Undeliverable,
    Overdue,
    Approved,
    Denied,
    Expired,
    Withdrawn,
}

impl From<&Approval> for State {
    fn from(approval: &Approval) -> Self {
        match approval {
            Approval::Open(_) => Self::Pending,
            Approval::Overdue(_) => Self::Overdue,
            Approval::Closed(closed) => match closed.outcome {
                Outcome::Approved { .. } => Self::Approved,
                Outcome::Denied(_) => Self::Denied,
                Outcome::Expired { .. } => Self::Expired,
                Outcome::Withdrawn { .. } => Self::Withdrawn,
            },
        }
    }
}

/// The state and nothing else: an agent gets this address, and may pass it on.
pub fn status(id: ApprovalId, state: State) -> Markup {
    let (class, word, meaning) = match state {
        State::Pending => (
            "",
            "Waiting for a decision",
            "Nobody has answered yet. Only the approver can, with the link in the mail.",
        ),
        State::Undeliverable => (
            "expired",
            "The mail came back",
            "Nobody has answered. The mail to the approver was not delivered, or was reported as spam: whoever runs this service has to see to the address.",
        ),
        State::Overdue => ("expired", "Time is over", super::outcome::NOTHING_RECORDED),
        State::Approved => ("approved", "Approved", "The approver said yes."),
        State::Denied => ("denied", "Denied", "The approver said no."),
        State::Expired => ("expired", "Expired", "Nobody answered in time. That is not a denial."),
        State::Withdrawn => ("withdrawn", "Withdrawn", "The agent took the request back."),
    };
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
