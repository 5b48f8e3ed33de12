//! Untrusted text made honest: what a reader cannot see, or would take for something else, is named.
//!
//! Named are control and format characters (bidirectional overrides and zero-width characters among them), spaces
//! that are not U+0020, private and unassigned code points, piles of combining marks, and letters that make a word
//! look like one in another script (Unicode TR 39). Line feed and tab stay as they are: a caller decides how to
//! show lines. Not done here: escaping for HTML, which the template does.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};
use unicode_security::MixedScript as _;
use unicode_security::skeleton;

/// A stretch of text to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece<'a> {
    /// As written.
    Plain(&'a str),
    /// A character that cannot be seen: show the name in its place.
    Hidden(char),
    /// A letter that passes for another: show it, and the name beside it.
    LookAlike(char),
}

impl Piece<'_> {
    /// `U+202E`, with a word for the kinds that are known for attacks.
    pub fn name(c: char) -> String {
        let known = match c {
            '\u{200b}' => " zero-width space",
            '\u{200c}' => " zero-width non-joiner",
            '\u{200d}' => " zero-width joiner",
            '\u{2060}' | '\u{feff}' => " zero-width no-break",
            '\u{00ad}' => " soft hyphen",
            '\u{00a0}' => " no-break space",
            '\u{200e}' | '\u{200f}' | '\u{061c}' => " direction mark",
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => " direction override",
            '\u{2028}' | '\u{2029}' => " line separator",
            '\u{e0000}'..='\u{e007f}' => " tag",
            c if c.is_control() => " control",
            _ => "",
        };
        format!("U+{:04X}{known}", u32::from(c))
    }
}

/// Splits `text` into what can be shown as it is and what must be named. Nothing is dropped.
pub fn reveal(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        reveal_word(word, &mut pieces);
        let end = after.find(is_word).unwrap_or(after.len());
        let (between, after) = after.split_at(end);
        push(between, name_between, &mut pieces);
        rest = after;
    }
    pieces
}

/// As [`reveal`], for plain text: a named character stands as `⟨U+202E direction override⟩`.
pub fn reveal_to_string(text: &str) -> String {
    let show = |piece| match piece {
        Piece::Plain(plain) => plain.to_owned(),
        Piece::Hidden(c) => format!("⟨{}⟩", Piece::name(c)),
        Piece::LookAlike(c) => format!("{c}⟨{}⟩", Piece::name(c)),
    };
    reveal(text).into_iter().map(show).collect()
}

fn name_between<'a>(_: usize, c: char) -> Option<Piece<'a>> {
    if is_hidden(c) {
        Some(Piece::Hidden(c))
    } else if passes_for_syntax(c) {
        Some(Piece::LookAlike(c))
    } else {
        None
    }
}

/// Whether a character passes for one that has a meaning in a path, an address or a command. Quotation marks and dashes
/// are not among them: prose is full of them.
fn passes_for_syntax(c: char) -> bool {
    let mut prototype = [0; 4];
    let mut looks_like = skeleton(c.encode_utf8(&mut prototype));
    !c.is_ascii()
        && looks_like.next().is_some_and(|first| "/\\.:;@|<>=&%#?*~$!,".contains(first))
        && looks_like.next().is_none()
}

fn reveal_word<'a>(word: &'a str, pieces: &mut Vec<Piece<'a>>) {
    // A word in two scripts, or one in another script that reads as ASCII from end to end.
    let passes_for_ascii = || skeleton(word).all(|c| c.is_ascii());
    let suspect = !word.is_ascii() && (!word.is_single_script() || passes_for_ascii());
    let name = |marks: usize, c: char| {
        if marks > 2 {
            Some(Piece::Hidden(c))
        } else if suspect && !c.is_ascii() {
            Some(Piece::LookAlike(c))
        } else {
            None
        }
    };
    push(word, name, pieces);
}

/// Pushes `text`, naming the characters that `name` picks (given how many combining marks end with this one).
fn push<'a>(text: &'a str, name: impl Fn(usize, char) -> Option<Piece<'a>>, pieces: &mut Vec<Piece<'a>>) {
    let mut plain_from = 0;
    let mut marks = 0;
    for (at, c) in text.char_indices() {
        marks = if is_mark(c) { marks + 1 } else { 0 };
        if let Some(named) = name(marks, c) {
            if plain_from < at {
                pieces.push(Piece::Plain(&text[plain_from..at]));
            }
            pieces.push(named);
            plain_from = at + c.len_utf8();
        }
    }
    if plain_from < text.len() {
        pieces.push(Piece::Plain(&text[plain_from..]));
    }
}

fn is_word(c: char) -> bool {
    (c.is_alphanumeric() || is_mark(c)) && !is_hidden(c)
}

fn is_mark(c: char) -> bool {
    use GeneralCategory::{EnclosingMark, NonspacingMark};
    matches!(c.general_category(), NonspacingMark | EnclosingMark) && !is_hidden(c)
}

fn is_hidden(c: char) -> bool {
    use GeneralCategory::{
        Control, Format, LineSeparator, ParagraphSeparator, PrivateUse, SpaceSeparator, Unassigned,
    };
    match c {
        ' ' | '\n' | '\t' => false,
        // Default-ignorable or blank though their category says letter, mark or symbol.
        '\u{034f}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{2800}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{ffa0}'
        | '\u{e0100}'..='\u{e01ef}' => true,
        c => matches!(
            c.general_category(),
            Control | Format | LineSeparator | ParagraphSeparator | PrivateUse | SpaceSeparator | Unassigned
        ),
    }
}
