//! The agent's text, made fit for a mail.

use sayso_model::{Masks, Reading, Request, counted, misleading, reveal_to_string, shown_arguments};

use super::telling::is_telling;

/// How much of an action's arguments the mail shows, in characters and in lines.
const MAX_CHARACTERS: usize = 2_000;
const MAX_LINES: usize = 40;

/// Replaces a value whose name suggests a secret, or that the operator has named. An agent cannot imitate it: these brackets
/// are named where a text has them.
const MASK: &str = "⟨masked in this mail, shown on the page⟩";

/// What the mail shows of a request. Invisible characters are named; addresses are not yet broken up.
pub(super) struct Shown {
    pub(super) arguments: String,
    /// What to know before reading them.
    pub(super) notes: Vec<String>,
    pub(super) cut: Option<String>,
    pub(super) summary: String,
    pub(super) reason: Option<String>,
}

impl Shown {
    pub(super) fn of(request: &Request, masks: &Masks) -> Self {
        let full = shown_arguments(&request.action.arguments, masks, is_telling, MASK);
        let text = full.text;
        let end = text.match_indices('\n').nth(MAX_LINES - 1).map_or(text.len(), |(at, _)| at);
        let end = text.char_indices().nth(MAX_CHARACTERS).map_or(end, |(at, _)| at.min(end));
        let missing = text[end..].chars().count();
        let cut = (missing > 0).then(|| {
            format!("{missing} more characters are not shown in this mail. The page shows all of it: read it there before you decide.")
        });
        let words = [Some(request.summary.as_str()), request.reason.as_ref().map(|reason| reason.as_str())];
        let marks =
            full.marks + words.iter().flatten().map(|text| misleading(text, Reading::Words)).sum::<usize>();
        Self {
            notes: notes(marks, full.masked),
            arguments: text[..end].to_owned(),
            cut,
            summary: reveal_to_string(request.summary.as_str(), Reading::Words),
            reason: request.reason.as_ref().map(|reason| reveal_to_string(reason.as_str(), Reading::Words)),
        }
    }
}

fn notes(marks: usize, masked: usize) -> Vec<String> {
    let read_closely = (marks > 0).then(|| {
        let (holds, names) = if marks == 1 { ("1 mark", "names") } else { (&*counted(marks, "mark"), "name") };
        format!("Read closely: {holds} in \u{27e8} \u{27e9} {names} characters that cannot be seen, that pass for others or that would push the rest out of sight.")
    });
    let masked = (masked > 0).then(|| {
        format!("{} masked in this mail, because of the name: the page shows all of it.", values(masked))
    });
    read_closely.into_iter().chain(masked).collect()
}

fn values(count: usize) -> String {
    format!("{} {}", counted(count, "value"), if count == 1 { "is" } else { "are" })
}
