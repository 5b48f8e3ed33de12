//! What a single character is to a reader.

use std::iter::once;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::canonical_combining_class;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};
use unicode_security::skeleton;

use super::Reading;

/// `\r` or `U+202E`, with a word for the kinds that are known for attacks.
pub(super) fn name(c: char) -> String {
    // As JSON writes them, like a line feed and a tab.
    match c {
        '\r' => return r"\r".to_owned(),
        '\u{c}' => return r"\f".to_owned(),
        '\u{8}' => return r"\b".to_owned(),
        _ => {}
    }
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
        c if is_mark(c) && is_overlay(c) => " striking mark",
        c if is_mark(c) => " combining mark",
        c => match c.general_category() {
            GeneralCategory::DashPunctuation => " dash",
            GeneralCategory::InitialPunctuation | GeneralCategory::FinalPunctuation => " quotation mark",
            _ => "",
        },
    };
    format!("U+{:04X}{known}", u32::from(c))
}

pub(super) fn is_word(c: char) -> bool {
    (c.is_alphanumeric() || is_mark(c)) && !is_hidden(c)
}

pub(super) fn is_mark(c: char) -> bool {
    use GeneralCategory::{EnclosingMark, NonspacingMark};
    matches!(c.general_category(), NonspacingMark | EnclosingMark) && !is_hidden(c)
}

/// A mark that is drawn through or around its letter, by Unicode's combining class for overlays.
pub(super) fn is_overlay(c: char) -> bool {
    canonical_combining_class(c) == 1 || c.general_category() == GeneralCategory::EnclosingMark
}

pub(super) fn is_hidden(c: char) -> bool {
    use GeneralCategory::{
        Control, Format, LineSeparator, ParagraphSeparator, PrivateUse, SpaceSeparator, Unassigned,
    };
    match c {
        ' ' | '\n' | '\t' => false,
        c if c.is_ascii_graphic() => false,
        // Blank though their category says symbol: a braille pattern without dots, a note without a head, a placeholder.
        '\u{2800}' | '\u{1d159}' | '\u{fffc}' => true,
        c => {
            let ignorable = skeleton(c.encode_utf8(&mut [0; 4])).next().is_none();
            ignorable
                || matches!(
                    c.general_category(),
                    Control
                        | Format
                        | LineSeparator
                        | ParagraphSeparator
                        | PrivateUse
                        | SpaceSeparator
                        | Unassigned
                )
        }
    }
}

/// Whether NFC spells this very character another way: U+212A, the sign for kelvin, is a K.
pub(super) fn composes_to_another(c: char) -> bool {
    !c.is_ascii() && !is_mark(c) && !once(c).nfc().eq(once(c)) && !is_excluded_from_nfc(c)
}

/// What NFC takes apart, and never puts together, is how some scripts write a letter with its mark.
fn is_excluded_from_nfc(c: char) -> bool {
    once(c).nfc().nth(1).is_some_and(is_mark)
}

/// What the character is taken for: Unicode's prototype of it, or else of its plain form, where it is a styled one.
fn looks_like(c: char) -> String {
    let own: String = skeleton(c.encode_utf8(&mut [0; 4])).collect();
    if own.is_ascii() {
        return own;
    }
    let plain: String = once(c).nfkc().collect();
    skeleton(&plain).collect()
}

/// What it is taken for, if that is one character.
fn looks_like_one(c: char) -> Option<char> {
    let looks_like = looks_like(c);
    let mut characters = looks_like.chars();
    characters.next().filter(|_| characters.next().is_none())
}

/// Whether a letter of a word passes for one of ASCII: a styled one anywhere, any other among Latin letters.
pub(super) fn passes_for_a_letter(c: char, among_latin: bool) -> bool {
    let styled = || once(c).nfkc().all(|c| c.is_ascii());
    !c.is_ascii() && (styled() || (among_latin && looks_like(c).is_ascii()))
}

/// Whether a word reads as ASCII from end to end; among arguments, also when it reads as dashes.
pub(super) fn word_passes_for_ascii(word: &str, reading: Reading) -> bool {
    skeleton(word).all(|c| c.is_ascii())
        || (reading == Reading::Arguments && skeleton(word).all(|c| c == LONG_DASH))
}

/// Whether a character passes for one that has a meaning in a path, an address or a command. Quotation marks and dashes
/// are not among them: prose is full of them.
pub(super) fn passes_for_path_syntax(c: char) -> bool {
    let mut prototype = [0; 4];
    let mut looks_like = skeleton(c.encode_utf8(&mut prototype));
    !c.is_ascii()
        && looks_like.next().is_some_and(|first| "/\\.:;@|<>=&%#?*~$!,".contains(first))
        && looks_like.next().is_none()
}

/// Unicode's prototype of long dashes, of bars and of the character for one.
const LONG_DASH: char = '\u{30fc}';
/// Unicode's prototypes of the dots that are not ASCII's: in the middle, and as a small ring.
const DOTS: [char; 2] = ['\u{b7}', '\u{2f3}'];

/// Whether what stands between words passes for what ASCII has there: among arguments nothing else is a dash, a dot, a
/// quotation mark or a slash. Punctuation of East Asian writing is left alone where it ends a word of that writing.
pub(super) fn passes_for_any_syntax(before: Option<char>, c: char, after: Option<char>) -> bool {
    let alike = || {
        looks_like(c).is_ascii()
            || looks_like_one(c).is_some_and(|c| c == LONG_DASH || DOTS.contains(&c))
            || c.general_category() == GeneralCategory::DashPunctuation
    };
    let east_asian = |c: char| matches!(c, '\u{2e80}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ffef}' | '\u{20000}'..='\u{3ffff}');
    let at_home = east_asian(c)
        && before.is_some_and(east_asian)
        && after.is_none_or(|after| !after.is_ascii_alphanumeric());
    !c.is_ascii() && alike() && !at_home
}
