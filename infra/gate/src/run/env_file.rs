//! The file of `--env-file`, read when the approval is used up and not before.
//!
//! A strict subset of what readers of such files agree on: `NAME=value` lines, blank lines, `#` comments on lines of their
//! own, an `export` before the name. A value is one word as it stands, or quoted on one line: in single quotes as it stands,
//! in double quotes with `\"`, `\\`, `\$`, `` \` `` and nothing else escaped. Nothing is expanded: where some reader would
//! expand, or end the value at a `#`, the file is refused.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use thiserror::Error;

use crate::arguments::is_variable;

/// Far more than any environment holds.
const MOST_BYTES: u64 = 1024 * 1024;

/// What a file sets.
pub(super) type Variables = BTreeMap<String, String>;

/// The file is of no use. Says where, and nothing of what stands there.
#[derive(Debug, Error)]
pub(super) enum Unreadable {
    #[error("it cannot be read ({0})")]
    Io(#[from] io::Error),
    #[error("it has more than {MOST_BYTES} bytes")]
    TooLarge,
    #[error("it is not UTF-8 text")]
    NotText,
    #[error("line {line}: {problem}")]
    Line { line: usize, problem: &'static str },
}

/// Opens it, and reads it to its end.
pub(super) fn read(file: &Path) -> Result<Variables, Unreadable> {
    let mut bytes = Vec::new();
    File::open(file)?.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MOST_BYTES {
        return Err(Unreadable::TooLarge);
    }
    parse(&String::from_utf8(bytes).map_err(|_| Unreadable::NotText)?)
}

fn parse(text: &str) -> Result<Variables, Unreadable> {
    let mut variables = Variables::new();
    for (index, line) in text.lines().enumerate() {
        let at = |problem| Unreadable::Line { line: index + 1, problem };
        let line = line.trim_matches([' ', '\t']);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line.split_once('=').ok_or_else(|| at("it has no `=`"))?;
        if !is_variable(name) {
            return Err(at("before the `=` must stand a name of letters, digits and _, and nothing else"));
        }
        let value = unquote(value).map_err(at)?;
        if variables.insert(name.to_owned(), value).is_some() {
            return Err(at("the name was there before"));
        }
    }
    Ok(variables)
}

fn unquote(value: &str) -> Result<String, &'static str> {
    const OPEN: &str = "the value has an opening quote and must end with the same one, once";
    if value.contains(|c: char| c.is_control() && c != '\t') {
        return Err("the value holds a control character");
    }
    match value.chars().next() {
        Some('\'') => {
            let inner = value[1..].strip_suffix('\'').ok_or(OPEN)?;
            if inner.contains('\'') { Err(OPEN) } else { Ok(inner.to_owned()) }
        }
        Some('"') => unescape(value[1..].strip_suffix('"').ok_or(OPEN)?),
        _ if value.contains([' ', '\t', '\'', '"', '\\', '$', '`', '#']) => {
            Err("a value with a space, a quote or one of \\ $ ` # stands in single quotes")
        }
        _ => Ok(value.to_owned()),
    }
}

/// What stands between double quotes.
fn unescape(inner: &str) -> Result<String, &'static str> {
    let mut value = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => match characters.next() {
                Some(escaped @ ('"' | '\\' | '$' | '`')) => value.push(escaped),
                _ => return Err("in double quotes, \\ stands before \" \\ $ or `, and nothing else"),
            },
            '"' | '$' | '`' => return Err("in double quotes, write \\\" \\$ and \\`, or use single quotes"),
            other => value.push(other),
        }
    }
    Ok(value)
}

#[cfg(test)]
mod tests;
