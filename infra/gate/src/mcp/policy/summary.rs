//! Templates for the text that the approver reads: `Delete the volume {volume_id} in {region.name}`.

use sayso_model::{CanonicalJson, Summary, members};
use serde_json::value::RawValue;

/// The longest text that is inserted for one value, in characters.
const MAX_VALUE: usize = 120;

/// A text with placeholders for the values of arguments.
#[derive(Debug)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug)]
enum Part {
    Text(String),
    Value(Vec<String>),
}

impl Template {
    /// Parses a template. The error says what to change. `lines`: whether it may have tabs and several lines.
    pub(super) fn parse(text: &str, lines: bool) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err("is empty: write a text, or leave the key out".to_owned());
        }
        if let Some(control) =
            text.chars().find(|c| c.is_control() && !(lines && matches!(c, '\t' | '\n' | '\r')))
        {
            let mend = if lines { "remove it" } else { "keep it on one line" };
            return Err(format!("holds the control character U+{:04X}: {mend}", u32::from(control)));
        }
        let mut parts = Vec::new();
        let mut written = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            written.push_str(before);
            if from.starts_with("{{") || from.starts_with("}}") {
                written.push_str(&from[..1]);
                rest = &from[2..];
            } else if from.starts_with('}') {
                return Err("has a } without a { before it: write }} for a brace".to_owned());
            } else {
                let (path, after) = placeholder(&from[1..])?;
                parts.push(Part::Text(std::mem::take(&mut written)));
                parts.push(Part::Value(path));
                rest = after;
            }
        }
        parts.push(Part::Text(written + rest));
        Ok(Self(parts))
    }

    /// The text for these arguments, of at most `most` characters. Its only line breaks are the template's own line feeds.
    pub(super) fn render(&self, arguments: &CanonicalJson, most: usize) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.replace('\r', ""),
            Part::Value(path) => {
                let value =
                    find(arguments.as_str(), path).unwrap_or_else(|| format!("(no {})", path.join(".")));
                cut(&clean(&value), MAX_VALUE)
            }
        };
        cut(&self.0.iter().map(part).collect::<String>(), most)
    }
}

/// The path in `a.b}…`, and what follows the brace.
fn placeholder(from: &str) -> Result<(Vec<String>, &str), String> {
    let Some((path, after)) = from.split_once('}').filter(|(path, _)| !path.contains('{')) else {
        return Err("has a { that is not closed: write {{ for a brace".to_owned());
    };
    let path: Vec<String> = path.split('.').map(str::to_owned).collect();
    if path.iter().any(|name| name.trim() != name || name.is_empty()) {
        let mend = "name an argument, as in {volume_id} or {region.name}, or write {{ and }} for braces";
        return Err(format!("has an empty placeholder, or one with a space at an end of a name: {mend}"));
    }
    Ok((path, after))
}

/// The value at a path through objects, by name, and arrays, by index. A string comes without its quotes, any other value as the
/// approver's page shows it.
fn find(canonical: &str, path: &[String]) -> Option<String> {
    let value = path.iter().try_fold(canonical, |value, name| match value.chars().next()? {
        '{' => members(value).ok()?.into_iter().find(|(key, _)| key == name).map(|(_, member)| member.get()),
        '[' => {
            let items: Vec<&RawValue> = serde_json::from_str(value).ok()?;
            items.get(name.parse::<usize>().ok()?).map(|item| item.get())
        }
        _ => None,
    })?;
    Some(serde_json::from_str(value).unwrap_or_else(|_| value.to_owned()))
}

fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().nth(most).is_none() {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// Makes a valid summary of any text.
#[expect(clippy::expect_used, reason = "one line that is not empty and not too long")]
pub(super) fn plain(text: &str) -> Summary {
    let text = cut(&clean(text), 500);
    let text = if text.trim().is_empty() { "Call a tool" } else { &text };
    Summary::parse(text).expect("a summary")
}
