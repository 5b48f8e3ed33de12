use thiserror::Error;

/// A value that breaks a rule. The message names the value and says what to change; it never repeats more of
/// the input than a caller needs to find it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Invalid(String);

impl Invalid {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// Refuses text that is blank, longer than `most` characters (Unicode scalar values), or that holds a control
/// character other than those in `allowed`.
pub(crate) fn check_prose(name: &str, text: &str, most: usize, allowed: &[char]) -> Result<(), Invalid> {
    if text.trim().is_empty() {
        return Err(Invalid::new(format!("`{name}` is empty: say it in 1 to {most} characters")));
    }
    let length = text.chars().count();
    if length > most {
        return Err(Invalid::new(format!("`{name}` has {length} characters: shorten it to at most {most}")));
    }
    match text.chars().find(|c| c.is_control() && !allowed.contains(c)) {
        None => Ok(()),
        Some(control) => {
            let which = u32::from(control);
            let may =
                if allowed.is_empty() { "keep it on one line" } else { "only tab and line feed are allowed" };
            Err(Invalid::new(format!(
                "`{name}` holds the control character U+{which:04X}: remove it ({may})"
            )))
        }
    }
}

/// Refuses a name that is empty, longer than `most`, or that holds a character outside ASCII letters, digits
/// and `punctuation`.
pub(crate) fn check_name(name: &str, text: &str, most: usize, punctuation: &str) -> Result<(), Invalid> {
    let fits = |c: char| c.is_ascii_alphanumeric() || punctuation.contains(c);
    if !text.is_empty() && text.len() <= most && text.chars().all(fits) {
        return Ok(());
    }
    Err(Invalid::new(format!("`{name}` must be 1 to {most} ASCII letters, digits or any of {punctuation}")))
}
