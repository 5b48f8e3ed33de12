//! What a person sees. A view is a function from finished values to HTML: no clock, no I/O.
//!
//! Every function an approver's browser meets uses them: `page` shows, `decide` answers with the result itself.
//! Nothing is truncated, folded away or scrolled within a box; nothing comes from elsewhere. One script uses passkeys,
//! on the pages that take one; everything else works without.

mod action;
mod answer;
mod attention;
mod deciding;
mod headers;
mod json;
mod layout;
mod notices;
mod outcome;
mod passkey;
mod status;
mod text;

pub use answer::{html, with_script};
pub use deciding::{Approving, DenialReason, Form, FormErrors, deciding};
pub use headers::protect;
pub use notices::{
    decide_by_form_only, maybe_not_recorded, not_decided, not_found, not_shown, read_only, too_large,
    unreadable,
};
pub use outcome::{Telling, outcome, overdue};
pub use passkey::{enrolled, enrolment, not_enrolled};
pub use status::{overdue_status, status};

#[cfg(test)]
mod tests;
