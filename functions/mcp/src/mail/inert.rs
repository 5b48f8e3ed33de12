//! Text in which no mail client finds an address, with and without markup.
//!
//! Clients make links of what looks like one, schemes or none. So wherever a host could be (a dot or a character that
//! stands for one between two others, an at sign, the colon and slashes of a scheme), the text is taken apart. In HTML
//! by an element that shows nothing, which is what [FlowFuse] found to work across clients: the characters stay those
//! that were written. In plain text there is nothing but characters: there the one in question stands in brackets that
//! nothing else has, and the mail says so.
//!
//! [FlowFuse]: https://github.com/FlowFuse/flowfuse/pull/3730

use maud::{Escaper, PreEscaped};
use std::fmt::Write as _;

/// What a mail says if [`bracketed`] has changed something.
pub(super) const ABOUT_BRACKETS: &str = "In this plain text, \u{27e8}.\u{27e9} stands for a dot, and \u{27e8}:\u{27e9} and \u{27e8}@\u{27e9} for those, so that no mail\n\
     program makes a link of what the agent wrote. The page shows it as it is.";

/// For plain text: each such character as `⟨.⟩`.
pub(super) fn bracketed(text: &str) -> String {
    let mut shown = String::with_capacity(text.len() + 16);
    let mut from = 0;
    for (at, c) in links(text) {
        shown.push_str(&text[from..at]);
        shown.extend(['\u{27e8}', c, '\u{27e9}']);
        from = at + c.len_utf8();
    }
    shown + &text[from..]
}

/// For HTML: every character as it is, escaped, and no two that could be a host's in one stretch of text.
pub(super) fn taken_apart(text: &str) -> PreEscaped<String> {
    let mut html = String::with_capacity(text.len() + 64);
    let mut from = 0;
    let escape = |html: &mut String, text: &str| {
        // Writing to a String cannot fail.
        let _ = Escaper::new(html).write_str(text);
    };
    for (at, _) in links(text) {
        escape(&mut html, &text[from..at]);
        html.push_str("<br style=\"display:none\">");
        from = at;
    }
    escape(&mut html, &text[from..]);
    PreEscaped(html)
}

/// The characters without which a client would see no address.
fn links(text: &str) -> impl Iterator<Item = (usize, char)> {
    let all: Vec<(usize, char)> = text.char_indices().collect();
    let at = |index: Option<usize>| index.and_then(|index| all.get(index)).map_or(' ', |(_, c)| *c);
    let mut found = Vec::new();
    for (index, &(position, c)) in all.iter().enumerate() {
        let (before, after) = (at(index.checked_sub(1)), at(Some(index + 1)));
        let links = match c {
            '.' | '\u{3002}' | '\u{ff0e}' | '\u{ff61}' => {
                may_end_a_label(before) && may_begin_a_label(after) && !in_a_decimal(&all, index)
            }
            '@' | '\u{ff20}' => !before.is_whitespace() && !after.is_whitespace(),
            ':' => before.is_alphanumeric() && matches!(after, '/' | '\\' | '+'),
            // The second of two backslashes: a share on another machine.
            '\\' => before == '\\' && may_begin_a_label(after) && !at(index.checked_sub(2)).is_alphanumeric(),
            _ => false,
        };
        if links {
            found.push((position, c));
        }
    }
    found.into_iter()
}

fn may_end_a_label(c: char) -> bool {
    !c.is_whitespace() && (!c.is_ascii_punctuation() || matches!(c, '_' | '-' | '%' | '~'))
}

fn may_begin_a_label(c: char) -> bool {
    !c.is_whitespace() && (!c.is_ascii_punctuation() || matches!(c, '_' | '-' | '%' | '~'))
}

/// Whether the dot is in a number like 1.5 or 1.2.3. An IPv4 address has one dot more.
fn in_a_decimal(all: &[(usize, char)], dot: usize) -> bool {
    let numeric = |(_, c): &&(usize, char)| c.is_ascii_digit() || *c == '.';
    let before = all[..dot].iter().rev().take_while(numeric).count();
    let after = all[dot + 1..].iter().take_while(numeric).count();
    let run = &all[dot - before..=dot + after];
    let digit = |index: usize| all.get(index).is_some_and(|(_, c)| c.is_ascii_digit());
    let dots = run.iter().filter(|(_, c)| *c == '.').count();
    all[dot].1 == '.' && dot > 0 && digit(dot - 1) && digit(dot + 1) && dots < 3
}

#[cfg(test)]
mod tests {
    use super::{bracketed, taken_apart};

    /// Each stretch of text between two elements.
    fn stretches(html: &str) -> Vec<&str> {
        html.split("<br style=\"display:none\">").collect()
    }

    #[test]
    fn no_text_stays_that_a_mail_client_would_link() {
        let rows = [
            ("see https://evil.example/ok", "see https⟨:⟩//evil⟨.⟩example/ok"),
            ("sayso-approvals.com/ok", "sayso-approvals⟨.⟩com/ok"),
            ("WWW.evil.com", "WWW⟨.⟩evil⟨.⟩com"),
            ("foo_.com", "foo_⟨.⟩com"),
            ("evil\u{301}.com", "evil\u{301}⟨.⟩com"),
            ("evil⟨U+0301 combining mark⟩.com", "evil⟨U+0301 combining mark⟩⟨.⟩com"),
            ("evil。com and evil．com｡de", "evil⟨。⟩com and evil⟨．⟩com⟨｡⟩de"),
            ("192.0.2.7/ok", "192⟨.⟩0⟨.⟩2⟨.⟩7/ok"),
            ("http://[2001:db8::1]/ok", "http⟨:⟩//[2001:db8::1]/ok"),
            ("münchen.de 例え.テスト", "münchen⟨.⟩de 例え⟨.⟩テスト"),
            ("a@evil.com mailto:a@localhost", "a⟨@⟩evil⟨.⟩com mailto:a⟨@⟩localhost"),
            ("tel:+491234", "tel⟨:⟩+491234"),
            (r"\\evil\share", r"\⟨\⟩evil\share"),
            ("\"./job.sh\"", "\"./job⟨.⟩sh\""),
            ("3.com 1.5.evil.com", "3⟨.⟩com 1.5⟨.⟩evil⟨.⟩com"),
            // What no client links stays as it is.
            (
                "Version 1.5. Then 3.14, 1.2.3, .bashrc, ../x, a: b.",
                "Version 1.5. Then 3.14, 1.2.3, .bashrc, ../x, a: b.",
            ),
        ];
        for (text, shown) in rows {
            assert_eq!(bracketed(text), shown);
            let html = taken_apart(text).into_string();
            let parts = stretches(&html);
            assert_eq!(parts.concat().replace("&quot;", "\""), text, "no character is added or lost");
            assert!(parts.iter().all(|part| bracketed(part) == *part), "{html}");
        }
    }
}
