//! Untrusted text as HTML: escaped, with everything that cannot be seen named where it stands.

use std::fmt::Write as _;

use maud::{Escaper, Markup, PreEscaped};
use sayso_model::{Piece, Reading, reveal};

use super::attention::marked;

/// Prose: lines are lines, and anything made to push text out of sight is named in its place.
pub(crate) fn prose(text: &str) -> Markup {
    let mut html = String::with_capacity(text.len() + 64);
    for piece in reveal(text, Reading::Words) {
        show(&mut html, &piece, escape);
    }
    PreEscaped(html)
}

/// A name, with the words marked that are to be looked at twice.
pub(crate) fn name(name: &str) -> Markup {
    let mut html = String::with_capacity(name.len() + 32);
    marked(&mut html, name);
    PreEscaped(html)
}

/// The inside of a JSON string, as JSON writes it; each line feed is `\n`, and the last of a run also ends the line.
pub(crate) fn json_text(html: &mut String, text: &str) {
    // Pieces end between words, and an option or a name may be several.
    let mut plain = String::new();
    for piece in reveal(text, Reading::Arguments) {
        if let Piece::Plain(text) = piece {
            plain.push_str(text);
        } else {
            json_escaped(html, &std::mem::take(&mut plain));
            show(html, &piece, json_escaped);
        }
    }
    json_escaped(html, &plain);
}

fn show(html: &mut String, piece: &Piece<'_>, plain: impl Fn(&mut String, &str)) {
    let name = piece.named().unwrap_or_default();
    match piece {
        Piece::Plain(text) => plain(html, text),
        Piece::Hidden(_) => chip(html, &name),
        Piece::LookAlike(c) => {
            html.push_str("<b class=\"y\">");
            escape(html, c.encode_utf8(&mut [0; 4]));
            html.push_str("<small>");
            escape(html, &name);
            html.push_str("</small></b>");
        }
        Piece::Gap(run) => {
            chip(html, &name);
            if run.contains('\n') {
                html.push('\n');
            }
        }
    }
}

pub(crate) fn escape(html: &mut String, text: &str) {
    // Writing to a String cannot fail.
    let _ = Escaper::new(html).write_str(text);
}

fn json_escaped(html: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find(needs_escape) {
        let (before, from) = rest.split_at(at);
        let lines = from.starts_with('\n');
        let end = from.find(|c| !needs_escape(c) || (c == '\n') != lines).unwrap_or(from.len());
        let (run, after) = from.split_at(end);
        marked(html, before);
        html.push_str("<em>");
        html.extend(run.chars().map(|c| match c {
            '"' => "\\&quot;",
            '\t' => r"\t",
            '\n' => r"\n",
            _ => r"\\",
        }));
        html.push_str("</em>");
        if lines {
            html.push('\n');
        }
        rest = after;
    }
    marked(html, rest);
}

fn needs_escape(c: char) -> bool {
    matches!(c, '"' | '\\' | '\t' | '\n')
}

fn chip(html: &mut String, name: &str) {
    html.push_str("<b class=\"x\">");
    escape(html, name);
    html.push_str("</b>");
}

#[cfg(test)]
mod tests {
    use super::*;
    use sayso_model::misleading;

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
        assert!(
            shown_in_json("--dry\u{2011}run")
                .contains("<b class=\"y\">\u{2011}<small>U+2011 dash</small></b>")
        );
        assert!(prose("d\u{336}e").into_string().contains("d<b class=\"x\">U+0336 striking mark</b>e"));
        assert_eq!(misleading("p\u{430}y\u{200b}pal", Reading::Words), 2);
        assert_eq!(misleading("Größe, 東京, plain", Reading::Arguments), 0);
    }

    #[test]
    fn lines_of_a_json_text_are_visible_and_break_once_a_run() {
        assert_eq!(shown_in_json("a\n\nb\nc"), "a<em>\\n\\n</em>\nb<em>\\n</em>\nc");
        assert_eq!(shown_in_json("a\r\nb"), r#"a<b class="x">\r</b><em>\n</em>"#.to_owned() + "\nb");
        assert_eq!(shown_in_json("a\\nb\t"), r"a<em>\\</em>nb<em>\t</em>");
    }

    #[test]
    fn a_run_that_pushes_text_out_of_sight_is_named_in_its_place() {
        let far = format!("safe{}rm -rf", " ".repeat(500));
        let marked = "<mark>rm</mark> <mark>-rf</mark>";
        assert_eq!(shown_in_json(&far), format!("safe<b class=\"x\">500 spaces</b>{marked}"));
        let below = format!("ok{}rm", " \n".repeat(20_000));
        let name = "<b class=\"x\">20,000 spaces and 20,000 line breaks in turn</b>";
        assert_eq!(shown_in_json(&below), format!("ok{name}\n<mark>rm</mark>"));
        assert_eq!(prose(&below).into_string(), format!("ok{name}\nrm"));
        assert_eq!(prose("a  b\n\nc").into_string(), "a  b\n\nc");
    }
}
