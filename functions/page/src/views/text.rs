//! Untrusted text as HTML: escaped, with everything that cannot be seen named where it stands.

use std::fmt::Write as _;

use maud::{Escaper, Markup, PreEscaped};
use sayso_model::{Piece, reveal};

/// A longer run of blanks or line feeds is named: it could push what follows out of sight.
const LONGEST_BLANK: usize = 24;

/// Prose: lines are lines, and anything made to push text out of sight is named.
pub(super) fn prose(text: &str) -> Markup {
    let mut html = String::with_capacity(text.len() + 64);
    for piece in reveal(text) {
        let Piece::Plain(plain) = piece else {
            mark(&mut html, &piece);
            continue;
        };
        for part in parts(plain, false) {
            match part {
                Part::Lines(lines) if lines.len() <= 2 => html.push_str(lines),
                Part::Lines(lines) => {
                    chip(&mut html, &format!("{} line breaks", lines.len()));
                    html.push('\n');
                }
                Part::Blanks(blanks) => long_blank(&mut html, blanks),
                Part::Text(text) => escape(&mut html, text),
            }
        }
    }
    PreEscaped(html)
}

/// The inside of a JSON string, as JSON writes it; each line feed is `\n`, and the last of a run also ends the line.
pub(super) fn json_text(html: &mut String, text: &str) {
    for piece in reveal(text) {
        let Piece::Plain(plain) = piece else {
            mark(html, &piece);
            continue;
        };
        for part in parts(plain, true) {
            match part {
                Part::Lines(lines) => {
                    if lines.len() > LONGEST_BLANK {
                        chip(html, &format!("{} line feeds", lines.len()));
                    }
                    html.push_str("<em>");
                    html.extend(lines.chars().map(|_| r"\n"));
                    html.push_str("</em>\n");
                }
                Part::Blanks(blanks) => long_blank(html, blanks),
                Part::Text(text) => json_escaped(html, text),
            }
        }
    }
}

/// How many characters [`prose`] and [`json_text`] name because they mislead.
pub(super) fn misleading(text: &str) -> usize {
    reveal(text).iter().filter(|piece| !matches!(piece, Piece::Plain(_))).count()
}

pub(super) fn escape(html: &mut String, text: &str) {
    // Writing to a String cannot fail.
    let _ = Escaper::new(html).write_str(text);
}

fn json_escaped(html: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find(needs_escape) {
        let (before, from) = rest.split_at(at);
        let end = from.find(|c| !needs_escape(c)).unwrap_or(from.len());
        let (run, after) = from.split_at(end);
        escape(html, before);
        html.push_str("<em>");
        html.extend(run.chars().map(|c| match c {
            '"' => "\\&quot;",
            '\t' => r"\t",
            _ => r"\\",
        }));
        html.push_str("</em>");
        rest = after;
    }
    escape(html, rest);
}

fn needs_escape(c: char) -> bool {
    matches!(c, '"' | '\\' | '\t')
}

fn mark(html: &mut String, piece: &Piece<'_>) {
    match piece {
        Piece::Plain(plain) => escape(html, plain),
        Piece::Hidden(c) => chip(html, &Piece::name(*c)),
        Piece::LookAlike(c) => {
            html.push_str("<b class=\"y\">");
            escape(html, c.encode_utf8(&mut [0; 4]));
            html.push_str("<small>");
            escape(html, &Piece::name(*c));
            html.push_str("</small></b>");
        }
    }
}

fn long_blank(html: &mut String, blanks: &str) {
    chip(html, &format!("{} spaces", blanks.len()));
    html.push_str(blanks);
}

fn chip(html: &mut String, name: &str) {
    html.push_str("<b class=\"x\">");
    escape(html, name);
    html.push_str("</b>");
}

enum Part<'a> {
    Text(&'a str),
    /// A run of line feeds.
    Lines(&'a str),
    /// A run of more than [`LONGEST_BLANK`] spaces (and tabs, where they are not shown as `\t`).
    Blanks(&'a str),
}

/// Cuts a text into its parts; joined, they are the text.
fn parts(text: &str, tabs_are_shown: bool) -> Vec<Part<'_>> {
    let is_blank = |c: char| c == ' ' || (c == '\t' && !tabs_are_shown);
    let mut parts = Vec::new();
    let mut rest = text;
    let mut from = 0;
    while let Some(at) = rest[from..].find(|c| c == '\n' || is_blank(c)).map(|at| from + at) {
        let lines = rest[at..].starts_with('\n');
        let ends = |c: char| if lines { c != '\n' } else { !is_blank(c) };
        let end = rest[at..].find(ends).map_or(rest.len(), |end| at + end);
        if !lines && end - at <= LONGEST_BLANK {
            from = end;
            continue;
        }
        if at > 0 {
            parts.push(Part::Text(&rest[..at]));
        }
        let run = &rest[at..end];
        parts.push(if lines { Part::Lines(run) } else { Part::Blanks(run) });
        rest = &rest[end..];
        from = 0;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown_in_json(text: &str) -> String {
        let mut html = String::new();
        json_text(&mut html, text);
        html
    }

    #[test]
    fn markup_is_text() {
        assert_eq!(prose("<script>&\"'").into_string(), "&lt;script&gt;&amp;&quot;'");
        assert_eq!(shown_in_json("<b class=\"x\">"), r#"&lt;b class=<em>\&quot;</em>x<em>\&quot;</em>&gt;"#);
    }

    #[test]
    fn what_cannot_be_seen_is_named() {
        assert!(prose("a\u{202e}b").into_string().contains("<b class=\"x\">U+202E direction override</b>b"));
        assert!(shown_in_json("p\u{430}ypal").contains("<b class=\"y\">\u{430}<small>U+0430</small></b>"));
        assert_eq!(misleading("p\u{430}y\u{200b}pal"), 2);
        assert_eq!(misleading("Größe, 東京, plain"), 0);
    }

    #[test]
    fn lines_of_a_json_text_are_visible_and_break_once_a_run() {
        assert_eq!(shown_in_json("a\n\nb\nc"), "a<em>\\n\\n</em>\nb<em>\\n</em>\nc");
        assert_eq!(shown_in_json("a\\nb\t"), r"a<em>\\</em>nb<em>\t</em>");
        let many = shown_in_json(&"\n".repeat(10_000));
        assert_eq!(many.matches(r"\n").count(), 10_000);
        assert!(many.starts_with("<b class=\"x\">10000 line feeds</b>"));
    }

    #[test]
    fn runs_that_push_text_out_of_sight_are_named_and_kept() {
        let far = format!("safe{}rm -rf", " ".repeat(500));
        assert_eq!(
            shown_in_json(&far),
            format!("safe<b class=\"x\">500 spaces</b>{}rm -rf", " ".repeat(500))
        );
        assert_eq!(prose("a  b\n\nc").into_string(), "a  b\n\nc");
        assert_eq!(prose("a\n\n\n\nc").into_string(), "a<b class=\"x\">4 line breaks</b>\nc");
    }
}
