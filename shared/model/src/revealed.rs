//! Untrusted text made honest: what a reader cannot see, or would take for something else, is named.
//!
//! Named everywhere are control and format characters (bidirectional overrides and zero-width characters among them),
//! spaces that are not U+0020, private and unassigned code points, marks that strike a letter out, stand on none or are
//! piled up, letters that have another spelling in NFC, and letters that make a word look like one in another script
//! (Unicode TR 39). Long runs of what is blank are folded to one name with their exact count. Arguments are no prose:
//! there, whatever passes for an ASCII character is named as well, dashes and quotation marks too. What passes for what
//! is Unicode's data, not a list of ours. Not done here: escaping for HTML, which the template does.

use unicode_normalization::char::compose;
use unicode_security::MixedScript as _;

use characters::{
    composes_to_another, is_hidden, is_mark, is_overlay, is_word, passes_for_a_letter, passes_for_any_syntax,
    passes_for_path_syntax, word_passes_for_ascii,
};

mod arguments;
mod characters;
mod gaps;

pub use arguments::{MASKED, Shown, masked_arguments, reveal_arguments, shown_arguments};
pub use gaps::counted;

/// How a text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// As prose, which is full of dashes and quotation marks.
    Words,
    /// As a machine will read it: a dash that is not ASCII's is not what it looks like.
    Arguments,
}

/// A stretch of text to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece<'a> {
    /// As written.
    Plain(&'a str),
    /// A character that cannot be seen: show the name in its place.
    Hidden(char),
    /// A character that passes for another: show it, and the name beside it.
    LookAlike(char),
    /// A run of what is blank, long enough to push the rest out of sight: show its name in its place.
    Gap(&'a str),
}

impl<'a> Piece<'a> {
    /// The name to show, unless the piece is plain.
    pub fn named(&self) -> Option<String> {
        match self {
            Self::Plain(_) => None,
            Self::Hidden(c) | Self::LookAlike(c) => Some(characters::name(*c)),
            Self::Gap(run) => Some(gaps::name(run)),
        }
    }
}

/// Splits `text` into what can be shown as it is and what must be named. Nothing is dropped.
pub fn reveal(text: &str, reading: Reading) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(gaps::may_be_in_one).unwrap_or(rest.len());
        let (visible, after) = rest.split_at(end);
        reveal_visible(visible, reading, &mut pieces);
        let end = after.find(|c| !gaps::may_be_in_one(c)).unwrap_or(after.len());
        let (run, after) = after.split_at(end);
        if gaps::hides_what_follows(run) {
            pieces.push(Piece::Gap(run));
        } else {
            push(run, |_, c| is_hidden(c).then_some(Piece::Hidden(c)), &mut pieces);
        }
        rest = after;
    }
    pieces
}

/// As [`reveal`], for plain text: a named character stands as `⟨U+202E direction override⟩`. These brackets are ours:
/// where the text has one, it is named too.
pub fn reveal_to_string(text: &str, reading: Reading) -> String {
    reveal(text, reading).iter().map(|piece| in_brackets(piece, str::to_owned)).collect()
}

/// How many names [`reveal`] gives to what could mislead. The `\r` of a line that ends in CR LF is named and misleads
/// nobody: a file from Windows has one a line, and they must not drown what a reader should look for.
pub fn misleading(text: &str, reading: Reading) -> usize {
    marks(&reveal(text, reading))
}

fn marks(pieces: &[Piece<'_>]) -> usize {
    let ends_a_line = |at: usize| {
        let next = pieces.get(at + 1);
        pieces[at] == Piece::Hidden('\r')
            && matches!(next, Some(Piece::Plain(text)) if text.starts_with('\n'))
    };
    (0..pieces.len()).filter(|at| !matches!(pieces[*at], Piece::Plain(_)) && !ends_a_line(*at)).count()
}

fn in_brackets(piece: &Piece<'_>, plain: impl Fn(&str) -> String) -> String {
    match (piece, piece.named()) {
        (Piece::Plain(text), _) => {
            let mut shown = String::with_capacity(text.len());
            for c in plain(text).chars() {
                match c {
                    '⟨' => shown.push_str("⟨U+27E8⟩"),
                    '⟩' => shown.push_str("⟨U+27E9⟩"),
                    c => shown.push(c),
                }
            }
            shown
        }
        (Piece::LookAlike(c), Some(name)) => format!("{c}⟨{name}⟩"),
        (_, name) => format!("⟨{}⟩", name.unwrap_or_default()),
    }
}

/// What has no blank in it: words, and what stands between them.
fn reveal_visible<'a>(text: &'a str, reading: Reading, pieces: &mut Vec<Piece<'a>>) {
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        reveal_word(word, reading, pieces);
        let end = after.find(is_word).unwrap_or(after.len());
        let (between, after) = after.split_at(end);
        let next = after.chars().next();
        let name = |before: Option<char>, c: char| {
            let named = match reading {
                Reading::Words => passes_for_path_syntax(c),
                Reading::Arguments => passes_for_any_syntax(before.or(word.chars().last()), c, next),
            };
            (named || composes_to_another(c)).then_some(Piece::LookAlike(c))
        };
        push(between, name, pieces);
        rest = after;
    }
}

fn reveal_word<'a>(word: &'a str, reading: Reading, pieces: &mut Vec<Piece<'a>>) {
    if word.is_ascii() {
        return push(word, |_, _| None, pieces);
    }
    // A word in two scripts, or one in another script that reads as ASCII from end to end.
    let suspect = !word.is_single_script() || word_passes_for_ascii(word, reading);
    let is_latin = word.chars().any(|c| c.is_ascii_alphabetic());
    // What the letter before and its marks are in one character, and how many marks it has.
    let mut base: Option<char> = None;
    let mut marks = 0;
    let name = |_: Option<char>, c: char| {
        let composed = base.and_then(|base| compose(base, c));
        let named = if is_mark(c) {
            marks += 1;
            let on_ascii = reading == Reading::Arguments && base.is_some_and(|base| base.is_ascii());
            let misleads = is_overlay(c) || base.is_none() || marks > 2 || composed.is_some() || on_ascii;
            misleads.then_some(Piece::Hidden(c))
        } else {
            marks = 0;
            let passes = reading == Reading::Arguments && passes_for_a_letter(c, is_latin);
            let named = composed.is_some() || composes_to_another(c) || (suspect && !c.is_ascii()) || passes;
            named.then_some(Piece::LookAlike(c))
        };
        base = composed.or(if is_mark(c) { base } else { Some(c) });
        named
    };
    push(word, name, pieces);
}

/// Pushes `text`, naming the characters that `name` picks (given the character before it in `text`).
fn push<'a>(
    text: &'a str,
    mut name: impl FnMut(Option<char>, char) -> Option<Piece<'a>>,
    pieces: &mut Vec<Piece<'a>>,
) {
    let mut plain_from = 0;
    let mut before = None;
    for (at, c) in text.char_indices() {
        if let Some(named) = name(before, c) {
            if plain_from < at {
                pieces.push(Piece::Plain(&text[plain_from..at]));
            }
            pieces.push(named);
            plain_from = at + c.len_utf8();
        }
        before = Some(c);
    }
    if plain_from < text.len() {
        pieces.push(Piece::Plain(&text[plain_from..]));
    }
}
