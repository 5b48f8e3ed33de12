//! What a person sees. A view is a function from finished values to HTML: no clock, no I/O.
//!
//! Both functions an approver's browser meets use them: `page` shows, `decide` answers with the result itself.
//! Nothing is truncated, folded away or scrolled within a box; there is no script and nothing from elsewhere.

mod action;
mod deciding;
mod json;
mod layout;
mod notices;
mod outcome;
mod status;
mod text;

pub use deciding::{Form, FormErrors, deciding};
pub use layout::style_source;
pub use notices::{
    decide_by_form_only, maybe_not_recorded, not_decided, not_found, not_shown, read_only, too_large,
    unreadable,
};
pub use outcome::{Telling, outcome, overdue};
pub use status::{overdue_status, status};

#[cfg(test)]
mod tests;
