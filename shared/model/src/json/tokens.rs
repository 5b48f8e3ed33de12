use std::borrow::Cow;

use super::CanonicalJson;

/// A token of canonical JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonToken<'a> {
    /// One of `{}[],:`.
    Punctuation(char),
    /// The name of a member, with its quotes, as written.
    Key(&'a str),
    /// A string that is a value, with its quotes, as written.
    Text(&'a str),
    /// A number, `true`, `false` or `null`.
    Scalar(&'a str),
}

impl<'a> JsonToken<'a> {
    /// What a string with its quotes and escapes stands for.
    pub fn decoded(literal: &'a str) -> Cow<'a, str> {
        // Canonical JSON decodes; were it not so, the text as written is what there is to show.
        serde_json::from_str(literal).map_or(Cow::Borrowed(literal), Cow::Owned)
    }
}

/// The tokens of the very text that was hashed, in its order. Joined, they are the text.
#[derive(Debug, Clone)]
pub struct JsonTokens<'a>(&'a str);

impl CanonicalJson {
    /// The tokens, none left out.
    pub fn tokens(&self) -> JsonTokens<'_> {
        JsonTokens(self.as_str())
    }
}

impl<'a> Iterator for JsonTokens<'a> {
    type Item = JsonToken<'a>;

    fn next(&mut self) -> Option<JsonToken<'a>> {
        let first = self.0.chars().next()?;
        let end = match first {
            '{' | '}' | '[' | ']' | ',' | ':' => 1,
            '"' => string_end(self.0),
            // No blanks stand between the tokens of canonical JSON.
            _ => self.0.find([',', ']', '}']).unwrap_or(self.0.len()),
        };
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        Some(match first {
            '"' if rest.starts_with(':') => JsonToken::Key(token),
            '"' => JsonToken::Text(token),
            '{' | '}' | '[' | ']' | ',' | ':' => JsonToken::Punctuation(first),
            _ => JsonToken::Scalar(token),
        })
    }
}

fn string_end(text: &str) -> usize {
    let mut escaped = false;
    let closes = |(_, byte): &(usize, u8)| {
        let closes = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        closes
    };
    text.bytes().enumerate().skip(1).find(closes).map_or(text.len(), |(at, _)| at + 1)
}
