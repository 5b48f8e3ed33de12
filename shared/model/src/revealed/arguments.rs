//! The arguments over several lines, as plain text.

use super::{Reading, in_brackets, marks, misleading, reveal};
use crate::{CanonicalJson, JsonToken};

/// Arguments to be read where there is no markup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Two spaces a level; named characters as [`super::reveal_to_string`] writes them.
    pub text: String,
    /// How many names of what could mislead are in it, and in what is masked.
    pub marks: usize,
    /// How many values are masked.
    pub masked: usize,
}

/// All of it.
pub fn reveal_arguments(arguments: &CanonicalJson) -> String {
    shown_arguments(arguments, |_| false, "").text
}

/// All of it, but the values of members that `masks` picks by their name: `mask` stands there instead. `true`, `false`
/// and `null` give nothing away and stay. Where an object names a member in a text of its own (`{"name": "Cookie",
/// "value": …}`), that name counts as well.
pub fn shown_arguments(arguments: &CanonicalJson, masks: impl Fn(&str) -> bool, mask: &str) -> Shown {
    let mut lines = Lines { shown: Shown { text: String::new(), marks: 0, masked: 0 }, depth: 0 };
    let mut tokens = arguments.tokens().peekable();
    // For each object that is open: whether a text in it named its value.
    let mut named: Vec<bool> = Vec::new();
    let mut key = String::new();
    while let Some(token) = tokens.next() {
        match token {
            JsonToken::Key(literal) => {
                key = JsonToken::decoded(literal).into_owned();
                lines.string(&key);
                let by_text = named.last() == Some(&true) && matches!(&*key, "value" | "values");
                let telling = masks(&key) || by_text;
                let opens = tokens.next();
                lines.token(opens.unwrap_or(JsonToken::Punctuation(':')), false);
                let gives_nothing_away =
                    matches!(tokens.peek(), Some(JsonToken::Scalar("true" | "false" | "null")));
                if telling && !gives_nothing_away {
                    lines.masked(&mut tokens, mask);
                }
            }
            JsonToken::Text(literal) => {
                let text = JsonToken::decoded(literal);
                if matches!(&*key, "name" | "key" | "header" | "field")
                    && masks(&text)
                    && let Some(named) = named.last_mut()
                {
                    *named = true;
                }
                lines.string(&text);
            }
            JsonToken::Punctuation(open @ ('{' | '[')) => {
                named.push(false);
                let close = tokens.next_if(|t| matches!(t, JsonToken::Punctuation('}' | ']')));
                lines.token(token, close.is_some());
                if let Some(JsonToken::Punctuation(close)) = close {
                    lines.shown.text.push(close);
                    named.pop();
                }
                if open == '[' {
                    key.clear();
                }
            }
            JsonToken::Punctuation('}' | ']') => {
                named.pop();
                lines.token(token, false);
            }
            JsonToken::Punctuation(_) | JsonToken::Scalar(_) => lines.token(token, false),
        }
    }
    lines.shown
}

struct Lines {
    shown: Shown,
    depth: usize,
}

impl Lines {
    fn token(&mut self, token: JsonToken<'_>, is_empty: bool) {
        let text = &mut self.shown.text;
        match token {
            JsonToken::Punctuation(open @ ('{' | '[')) => {
                text.push(open);
                if !is_empty {
                    self.depth += 1;
                    self.break_line();
                }
            }
            JsonToken::Punctuation(close @ ('}' | ']')) => {
                self.depth = self.depth.saturating_sub(1);
                self.break_line();
                self.shown.text.push(close);
            }
            JsonToken::Punctuation(',') => {
                text.push(',');
                self.break_line();
            }
            JsonToken::Punctuation(_) => text.push_str(": "),
            JsonToken::Scalar(written) | JsonToken::Key(written) | JsonToken::Text(written) => {
                text.push_str(written);
            }
        }
    }

    fn break_line(&mut self) {
        self.shown.text.push('\n');
        self.shown.text.extend(std::iter::repeat_n("  ", self.depth));
    }

    fn string(&mut self, decoded: &str) {
        self.shown.text.push('"');
        let pieces = reveal(decoded, Reading::Arguments);
        self.shown.marks += marks(&pieces);
        for piece in &pieces {
            self.shown.text.push_str(&in_brackets(piece, escaped));
        }
        self.shown.text.push('"');
    }

    /// Takes the whole value that comes next.
    fn masked<'a>(&mut self, tokens: &mut impl Iterator<Item = JsonToken<'a>>, mask: &str) {
        let mut open = 0_usize;
        for token in tokens {
            match token {
                JsonToken::Punctuation('{' | '[') => open += 1,
                JsonToken::Punctuation('}' | ']') => open = open.saturating_sub(1),
                JsonToken::Key(literal) | JsonToken::Text(literal) => {
                    let text = JsonToken::decoded(literal);
                    self.shown.marks += misleading(&text, Reading::Arguments);
                }
                JsonToken::Punctuation(_) | JsonToken::Scalar(_) => {}
            }
            if open == 0 {
                break;
            }
        }
        self.shown.masked += 1;
        self.shown.text.push_str(mask);
    }
}

/// As JSON writes it within a string.
fn escaped(plain: &str) -> String {
    let mut text = String::with_capacity(plain.len());
    for c in plain.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str(r"\\"),
            '\n' => text.push_str(r"\n"),
            '\t' => text.push_str(r"\t"),
            c => text.push(c),
        }
    }
    text
}
