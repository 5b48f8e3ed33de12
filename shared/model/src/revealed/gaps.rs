//! Runs of what is blank.

use super::characters::{is_hidden, name as name_of};

/// The longest runs that are shown as they are: two blank lines, an indentation, an emoji's joiners.
const MAX_LINE_BREAKS: usize = 3;
const MAX_BLANKS: usize = 24;
const MAX_HIDDEN: usize = 8;
/// A run of more parts than this is named by their sums.
const MAX_PARTS: usize = 4;

/// Whether a character shows nothing, so that a run of it can push text out of sight.
pub(super) fn may_be_in_one(c: char) -> bool {
    matches!(c, ' ' | '\n' | '\t') || is_hidden(c)
}

/// Whether a run of such characters is long enough for that.
pub(super) fn hides_what_follows(run: &str) -> bool {
    let longest = run.split('\n').map(|line| line.chars().filter(|c| matches!(c, ' ' | '\t')).count()).max();
    run.matches('\n').count() > MAX_LINE_BREAKS
        || longest.is_some_and(|longest| longest > MAX_BLANKS)
        || run.chars().filter(|c| is_hidden(*c)).count() > MAX_HIDDEN
}

/// `20,000 line breaks`, `1 line break, 40 spaces`; with many parts, `20,000 spaces and 20,000 line breaks in turn`.
pub(super) fn name(run: &str) -> String {
    let mut parts: Vec<(char, usize)> = Vec::new();
    let mut sums: Vec<(char, usize)> = Vec::new();
    for c in run.chars() {
        match parts.last_mut() {
            Some((last, count)) if *last == c => *count += 1,
            _ => parts.push((c, 1)),
        }
        match sums.iter_mut().find(|(known, _)| *known == c) {
            Some((_, count)) => *count += 1,
            None => sums.push((c, 1)),
        }
    }
    let list = |parts: &[(char, usize)], join: &str| {
        parts.iter().map(|(c, count)| part(*c, *count)).collect::<Vec<_>>().join(join)
    };
    if parts.len() <= MAX_PARTS { list(&parts, ", ") } else { format!("{} in turn", list(&sums, " and ")) }
}

fn part(c: char, count: usize) -> String {
    match c {
        '\n' => counted(count, "line break"),
        ' ' => counted(count, "space"),
        '\t' => counted(count, "tab"),
        '\r' => counted(count, "carriage return"),
        c => format!("{} × {}", grouped(count), name_of(c)),
    }
}

/// `1 byte`, `12,345 bytes`.
pub fn counted(count: usize, unit: &str) -> String {
    format!("{} {unit}{}", grouped(count), if count == 1 { "" } else { "s" })
}

fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn counts_are_grouped() {
        assert_eq!(counted(1, "byte"), "1 byte");
        assert_eq!(counted(999, "byte"), "999 bytes");
        assert_eq!(counted(65_536, "byte"), "65,536 bytes");
        assert_eq!(counted(1_234_567, "byte"), "1,234,567 bytes");
    }
}
