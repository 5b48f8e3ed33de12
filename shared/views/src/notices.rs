//! Pages that say what went wrong and what to do. None repeats anything of what was sent.

use maud::Markup;

use super::layout::notice;

/// An unknown id, a wrong secret, an address that is none: one page for all of them.
pub fn not_found() -> Markup {
    notice(
        "There is nothing here",
        &[
            "The link may be damaged. Go back to the mail and open the link there. If it is cut at the end of a line, copy all of it, to its last character and without spaces or line breaks, and paste it into the address bar.",
            "Links work as long as the approval is kept.",
        ],
    )
}

/// Any method but GET and HEAD, where nothing can be changed.
pub fn read_only() -> Markup {
    notice("This address only shows", &["Nothing was changed. Open the link from the mail in a browser."])
}

/// Any method but POST, where only the form leads.
pub fn decide_by_form_only() -> Markup {
    notice(
        "Decisions come from the form",
        &["Nothing was changed. Open the link from the mail: it shows the request, and how it stands."],
    )
}

/// A body that is not the form.
pub fn unreadable() -> Markup {
    notice(
        "This is not the form",
        &["Nothing was decided. Open the link from the mail and send the form that it shows."],
    )
}

/// A body beyond the limit.
pub fn too_large() -> Markup {
    notice(
        "The note is too long",
        &[
            "Nothing was decided. Go back in your browser, where your text still is, and shorten the note to 1,000 characters.",
        ],
    )
}

/// The page could not be shown.
pub fn not_shown(error_id: &str) -> Markup {
    notice(
        "This did not work",
        &[
            "Something failed on our side, and nothing was changed. Reload the page in a moment.",
            &format!("If it goes on, tell the people who run this service: error {error_id}."),
        ],
    )
}

/// The answer did not get as far as being recorded.
pub fn not_decided(error_id: &str) -> Markup {
    notice(
        "Nothing was decided",
        &[
            "Something failed on our side before your answer was recorded. Reload this page to send it again, or go back: your text is still there.",
            &format!("If it goes on, tell the people who run this service: error {error_id}."),
        ],
    )
}

/// Whether the answer was recorded is not known.
pub fn maybe_not_recorded(error_id: &str) -> Markup {
    notice(
        "Your answer may not have been recorded",
        &[
            "Something failed on our side while it was being recorded. Reload the link from the mail to see whether it was. If it was not, answer again: only the first answer counts.",
            &format!("If it goes on, tell the people who run this service: error {error_id}."),
        ],
    )
}
