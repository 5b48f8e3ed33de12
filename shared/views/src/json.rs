//! Canonical JSON over several lines, all of it. It walks the very text that was hashed, so order and numbers are the
//! ones that will be executed, and no parser's idea of them.

use std::iter::Peekable;

use maud::{Markup, PreEscaped, html};
use sayso_model::{CanonicalJson, JsonToken as Token, Reading};

use super::text;

/// With more levels than this, a phone shows narrower ones.
const DEEP: usize = 8;

/// The arguments, two spaces a level.
pub(crate) fn pretty(json: &CanonicalJson) -> Markup {
    let mut lines =
        Lines { html: String::with_capacity(json.as_str().len() * 4), depth: 0, deepest: 0, in_block: false };
    lines.begin();
    let mut tokens = json.tokens().peekable();
    while let Some(token) = tokens.next() {
        lines.token(token, &mut tokens);
    }
    lines.end();
    html! { pre.json.deep[lines.deepest > DEEP] translate="no" dir="ltr" { (PreEscaped(lines.html)) } }
}

/// How many characters of keys and strings are named because they mislead.
pub(crate) fn misleading(json: &CanonicalJson) -> usize {
    let count = |token| match token {
        Token::Key(literal) | Token::Text(literal) => {
            sayso_model::misleading(&Token::decoded(literal), Reading::Arguments)
        }
        Token::Punctuation(_) | Token::Scalar(_) => 0,
    };
    json.tokens().map(count).sum()
}

struct Lines {
    html: String,
    depth: usize,
    deepest: usize,
    /// A text of several lines is open: it ends with the line.
    in_block: bool,
}

impl Lines {
    fn begin(&mut self) {
        self.html.push_str("<span class=\"d");
        self.html.push_str(&self.depth.to_string());
        self.html.push_str("\"><i>");
        self.html.extend(std::iter::repeat_n("  ", self.depth));
        self.html.push_str("</i>");
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.in_block) {
            self.html.push_str("</span>");
        }
        self.html.push_str("</span>\n");
    }

    fn token<'a>(&mut self, token: Token<'a>, next: &mut Peekable<impl Iterator<Item = Token<'a>>>) {
        match token {
            Token::Punctuation(open @ ('{' | '[')) => {
                self.html.push(open);
                if let Some(Token::Punctuation(close)) =
                    next.next_if(|t| matches!(t, Token::Punctuation('}' | ']')))
                {
                    self.html.push(close);
                } else {
                    self.end();
                    self.depth += 1;
                    self.deepest = self.deepest.max(self.depth);
                    self.begin();
                }
            }
            Token::Punctuation(close @ ('}' | ']')) => {
                self.end();
                self.depth = self.depth.saturating_sub(1);
                self.begin();
                self.html.push(close);
            }
            Token::Punctuation(',') => {
                self.html.push(',');
                self.end();
                self.begin();
            }
            Token::Punctuation(colon) => {
                self.html.push(colon);
                self.html.push(' ');
            }
            Token::Scalar(scalar) => text::escape(&mut self.html, scalar),
            Token::Key(literal) => self.quoted("u", &Token::decoded(literal)),
            Token::Text(literal) => self.string(&Token::decoded(literal)),
        }
    }

    fn string(&mut self, text: &str) {
        if text.contains('\n') {
            self.html.push_str("<span class=\"lines\">");
            self.quoted("q", text);
            self.in_block = true;
        } else {
            self.quoted("q", text);
        }
    }

    fn quoted(&mut self, element: &str, text: &str) {
        self.html.push_str(&format!("<{element}>&quot;"));
        text::json_text(&mut self.html, text);
        self.html.push_str(&format!("&quot;</{element}>"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sayso_model::MAX_BYTES;

    fn shown(json: &str) -> String {
        pretty(&CanonicalJson::parse(json).unwrap()).into_string()
    }

    /// What a browser would show: without the tags, with the entities resolved.
    fn visible(json: &str) -> String {
        let mut text = String::new();
        let mut inside = false;
        for c in shown(json).chars() {
            match c {
                '<' => inside = true,
                '>' => inside = false,
                c if !inside => text.push(c),
                _ => {}
            }
        }
        text.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    }

    #[test]
    fn it_is_the_same_json_on_several_lines() {
        let json = r#"{"b":[1,{"c":null},[],{}],"a":"x, ]} \" \\ :","n":-1.5e-7,"":true}"#;
        let text = visible(json);
        assert_eq!(
            text,
            "{\n  \"\": true,\n  \"a\": \"x, ]} \\\" \\\\ :\",\n  \"b\": [\n    1,\n    {\n      \"c\": null\n    },\n    [],\n    {}\n  ],\n  \"n\": -1.5e-7\n}\n"
        );
        assert_eq!(CanonicalJson::parse(&text), CanonicalJson::parse(json));
    }

    #[test]
    fn an_object_without_members_is_shown_as_one() {
        assert_eq!(visible("{}"), "{}\n");
    }

    #[test]
    fn nothing_in_a_text_leaves_its_element() {
        let html = shown(r#"{"a":"x\",\n  \"safe\": true </q></span></pre><script>","b":1}"#);
        assert!(html.contains("<span class=\"lines\"><q>"));
        assert!(!html.contains("<script"));
        assert_eq!(html.matches("</pre>").count(), 1);
        assert_eq!(html.matches("<q>").count(), 1);
    }

    #[test]
    fn keys_are_revealed_like_values() {
        let arguments = CanonicalJson::parse("{\"dry\u{200b}_run\":\"p\u{430}y\"}").unwrap();
        assert_eq!(misleading(&arguments), 2);
        assert!(pretty(&arguments).into_string().contains("U+200B zero-width space"));
    }

    #[test]
    fn nothing_is_left_out_of_a_long_text() {
        let words: Vec<String> = (0..6_000).map(|n| format!("w{n}")).collect();
        let text = visible(&format!(r#"{{"a":"{}"}}"#, words.join(" ")));
        assert!(words.iter().all(|word| text.contains(word.as_str())));
        assert!(!text.contains('…'));
    }

    #[test]
    fn the_largest_page_fits_an_answer_of_lambda() {
        // The most markup a byte of JSON can ask for: one-digit items, 31 levels deep.
        let open = format!("{{\"a\":{}", "[".repeat(31));
        let close = format!("{}}}", "]".repeat(31));
        let room = (MAX_BYTES - open.len() - close.len()) / 2;
        let html = shown(&format!("{open}{}0{close}", "0,".repeat(room - 1)));
        let in_an_event = serde_json::to_string(&html).unwrap();
        assert!(in_an_event.len() < 5_500_000, "{}", in_an_event.len());
    }
}
