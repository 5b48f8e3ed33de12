//! The arguments where they are not on the page: over several lines, as plain text, and with values masked.

use std::collections::BTreeSet;

use super::{Reading, in_brackets, marks, misleading, reveal};
use crate::masks::Step;
use crate::{CanonicalJson, JsonToken, MAX_BYTES, Masks};

/// What stands for a masked value among [`masked_arguments`].
pub const MASKED: &str = "(masked)";

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
    shown_arguments(arguments, &Masks::NONE, |_| false, "").text
}

/// All of it, but for what `masks` names and the values of members whose names are `telling`: `mask` stands there instead.
/// `true`, `false` and `null` give nothing away and stay, unless they are named. Where an object names a member in a text
/// of its own (`{"name": "Cookie", "value": …}`), that name counts as well.
pub fn shown_arguments(
    arguments: &CanonicalJson,
    masks: &Masks,
    telling: impl Fn(&str) -> bool,
    mask: &str,
) -> Shown {
    let mut picked = BTreeSet::new();
    pick(arguments, masks, telling, |index, _| _ = picked.insert(index));
    let mut lines = Lines { shown: Shown { text: String::new(), marks: 0, masked: 0 }, depth: 0 };
    let mut tokens = arguments.tokens().enumerate().peekable();
    while let Some((index, token)) = tokens.next() {
        if picked.contains(&index) {
            lines.masked(token, &mut tokens, mask);
            continue;
        }
        match token {
            JsonToken::Key(literal) | JsonToken::Text(literal) => lines.string(&JsonToken::decoded(literal)),
            JsonToken::Punctuation('{' | '[') => {
                let close = tokens.next_if(|(_, t)| matches!(t, JsonToken::Punctuation('}' | ']')));
                lines.token(token, close.is_some());
                if let Some((_, JsonToken::Punctuation(close))) = close {
                    lines.shown.text.push(close);
                }
            }
            JsonToken::Punctuation(_) | JsonToken::Scalar(_) => lines.token(token, false),
        }
    }
    lines.shown
}

/// The same canonical JSON with the text [`MASKED`] in the place of each value that `masks` names, and where these are, as
/// JSON Pointers (RFC 6901). If it or they would be longer than arguments may be, it is `{}`, and the pointer is that of the
/// whole.
pub fn masked_arguments(arguments: &CanonicalJson, masks: &Masks) -> (String, Vec<String>) {
    let (mut picked, mut pointers, mut length) = (BTreeSet::new(), Vec::new(), 0);
    pick(
        arguments,
        masks,
        |_| false,
        |index, place| {
            picked.insert(index);
            // Each may repeat a long name: far more than the arguments themselves.
            if length <= MAX_BYTES {
                let pointer: String = place.iter().map(|step| format!("/{step}")).collect();
                length += pointer.len();
                pointers.push(pointer);
            }
        },
    );
    let mut text = String::with_capacity(arguments.as_str().len());
    let mut tokens = arguments.tokens().enumerate();
    while let Some((index, token)) = tokens.next() {
        if picked.contains(&index) {
            skip(token, &mut tokens, |_| {});
            text.push_str(&format!("\"{MASKED}\""));
        } else {
            match token {
                JsonToken::Punctuation(punctuation) => text.push(punctuation),
                JsonToken::Key(written) | JsonToken::Text(written) | JsonToken::Scalar(written) => {
                    text.push_str(written);
                }
            }
        }
    }
    if text.len() > MAX_BYTES || length > MAX_BYTES {
        return ("{}".to_owned(), vec![String::new()]);
    }
    (text, pointers)
}

/// Tells the values to mask to `found`: the index of the token that begins each, and where it is.
fn pick(
    arguments: &CanonicalJson,
    masks: &Masks,
    telling: impl Fn(&str) -> bool,
    mut found: impl FnMut(usize, &[Step]),
) {
    let mut place: Vec<Step> = Vec::new();
    // For each object or array that is open: whether a text in it named its value.
    let mut named: Vec<bool> = Vec::new();
    let mut tokens = arguments.tokens().enumerate();
    while let Some((index, token)) = tokens.next() {
        match token {
            JsonToken::Key(literal) => {
                if let Some(step) = place.last_mut() {
                    *step = Step::Member(JsonToken::decoded(literal).into_owned());
                }
                continue;
            }
            JsonToken::Punctuation(',') => {
                if let Some(Step::Item(at)) = place.last_mut() {
                    *at += 1;
                }
                continue;
            }
            JsonToken::Punctuation('}' | ']') => {
                place.pop();
                named.pop();
                continue;
            }
            JsonToken::Punctuation('{' | '[') | JsonToken::Text(_) | JsonToken::Scalar(_) => {}
            JsonToken::Punctuation(_) => continue,
        }
        let name = match place.last() {
            Some(Step::Member(name)) => name.as_str(),
            _ => "",
        };
        let by_text = named.last() == Some(&true) && matches!(name, "value" | "values");
        let gives_nothing_away = matches!(token, JsonToken::Scalar("true" | "false" | "null"));
        if masks.pick(&place) || ((by_text || telling(name)) && !gives_nothing_away) {
            found(index, &place);
            skip(token, &mut tokens, |_| {});
            continue;
        }
        match token {
            JsonToken::Text(literal) if matches!(name, "name" | "key" | "header" | "field") => {
                let text = JsonToken::decoded(literal);
                if let Some(named) = named.last_mut().filter(|_| telling(&text) || masks.pick_name(&text)) {
                    *named = true;
                }
            }
            JsonToken::Punctuation(open @ ('{' | '[')) => {
                place.push(if open == '[' { Step::Item(0) } else { Step::Member(String::new()) });
                named.push(false);
            }
            _ => {}
        }
    }
}

/// Takes the rest of the value that this token begins, and looks at each token of it.
fn skip<'a>(
    first: JsonToken<'a>,
    tokens: &mut impl Iterator<Item = (usize, JsonToken<'a>)>,
    mut look: impl FnMut(JsonToken<'a>),
) {
    let mut open = 0_usize;
    for token in std::iter::once(first).chain(tokens.map(|(_, token)| token)) {
        look(token);
        match token {
            JsonToken::Punctuation('{' | '[') => open += 1,
            JsonToken::Punctuation('}' | ']') => open = open.saturating_sub(1),
            _ => {}
        }
        if open == 0 {
            break;
        }
    }
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

    /// Takes the whole value that this token begins.
    fn masked<'a>(
        &mut self,
        first: JsonToken<'a>,
        tokens: &mut impl Iterator<Item = (usize, JsonToken<'a>)>,
        mask: &str,
    ) {
        skip(first, tokens, |token| {
            if let JsonToken::Key(literal) | JsonToken::Text(literal) = token {
                self.shown.marks += misleading(&JsonToken::decoded(literal), Reading::Arguments);
            }
        });
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
