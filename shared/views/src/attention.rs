//! Words to look at twice: a help to the eye, and no verdict. What stands here is found by its spelling, whatever it does; what
//! does not stand here may do as much harm.

use std::collections::BTreeSet;

use sayso_model::{CanonicalJson, JsonToken as Token};

use super::text::escape;

/// Verbs that take something away for good, or give somebody power: of SQL (PostgreSQL, MySQL), of POSIX shells and their
/// tools, and as cloud APIs name their calls (AWS, Google Cloud, Azure, Kubernetes). Compared in lower case.
const VERBS: [&str; 43] = [
    "alter",
    "chmod",
    "chown",
    "dd",
    "deauthorize",
    "decommission",
    "delete",
    "deprovision",
    "destroy",
    "detach",
    "disable",
    "drop",
    "erase",
    "fdisk",
    "flush",
    "force",
    "format",
    "grant",
    "halt",
    "kill",
    "killall",
    "mkfs",
    "overwrite",
    "pkill",
    "prune",
    "purge",
    "reboot",
    "remove",
    "reset",
    "revoke",
    "rm",
    "rmdir",
    "shred",
    "shutdown",
    "sudo",
    "terminate",
    "truncate",
    "uninstall",
    "unlink",
    "wipe",
    "xargs",
    "yes",
    "zap",
];

/// What names the place where real people and real data are.
const PLACES: [&str; 5] = ["live", "primary", "prod", "production", "prd"];

/// Options that take away a question, a limit or a way back.
const OPTIONS: [&str; 13] = [
    "--all",
    "--cascade",
    "--force",
    "--hard",
    "--no-preserve-root",
    "--no-verify",
    "--recursive",
    "-f",
    "-fr",
    "-r",
    "-R",
    "-Rf",
    "-rf",
];

/// As many different words as are named above the action.
pub(crate) const NAMED: usize = 8;

/// Text without what needs escaping in JSON, with its words marked.
pub(crate) fn marked(html: &mut String, text: &str) {
    for part in parts(text) {
        match part {
            Part::Plain(text) => escape(html, text),
            Part::Marked(text) => {
                html.push_str("<mark>");
                escape(html, text);
                html.push_str("</mark>");
            }
        }
    }
}

/// The different words that are marked in a tool's name and in its arguments, in lower case, in the order of the alphabet.
pub(crate) fn found(tool: &str, arguments: &CanonicalJson) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    let mut add = |text: &str| {
        let marked = parts(text).filter_map(|part| match part {
            Part::Marked(word) => Some(word.to_lowercase()),
            Part::Plain(_) => None,
        });
        words.extend(marked);
    };
    add(tool);
    for token in arguments.tokens() {
        if let Token::Key(literal) | Token::Text(literal) = token {
            add(&Token::decoded(literal));
        }
    }
    words
}

#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    Plain(&'a str),
    Marked(&'a str),
}

fn parts(text: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (part, after) = first(rest)?;
        rest = after;
        Some(part)
    })
}

/// The first part of a text, and the rest of it.
fn first(text: &str) -> Option<(Part<'_>, &str)> {
    let c = text.chars().next()?;
    let split = |at: usize, is_marked: bool| {
        let (part, after) = text.split_at(at);
        Some((if is_marked { Part::Marked(part) } else { Part::Plain(part) }, after))
    };
    if c == '*' {
        return split(text.find(|c| c != '*').unwrap_or(text.len()), true);
    }
    if c == '-' {
        let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).unwrap_or(text.len());
        if OPTIONS.contains(&&text[..end]) {
            return split(end, true);
        }
        return split(1, false);
    }
    if !c.is_alphanumeric() {
        let end = text.find(|c: char| c.is_alphanumeric() || matches!(c, '*' | '-')).unwrap_or(text.len());
        return split(end, false);
    }
    let end = word(text);
    let lower = text[..end].to_lowercase();
    let is_known = VERBS.contains(&lower.as_str()) || PLACES.contains(&lower.as_str());
    // Not the option behind a word: `a-r`.
    let after_hyphen = end + usize::from(text[end..].starts_with('-'));
    split(if is_known { end } else { after_hyphen }, is_known)
}

/// The length of the word that a text begins with: it ends where letters end, and where a small letter is followed by a
/// capital (`DeleteVolume`).
fn word(text: &str) -> usize {
    let mut before = None;
    for (at, c) in text.char_indices() {
        let is_hump = c.is_uppercase() && before.is_some_and(char::is_lowercase);
        if !c.is_alphanumeric() || is_hump {
            return at;
        }
        before = Some(c);
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(text: &str) -> Vec<&str> {
        let marked = parts(text).filter_map(|part| match part {
            Part::Marked(word) => Some(word),
            Part::Plain(_) => None,
        });
        marked.collect()
    }

    #[test]
    fn words_are_found_by_their_spelling_wherever_they_stand() {
        let rows: [(&str, &[&str]); 18] = [
            ("UPDATE a SET b = 1; DROP TABLE users;", &["DROP"]),
            ("delete from users where id = 7", &["delete"]),
            ("rm -rf /srv/data", &["rm", "-rf"]),
            ("git push --force origin main", &["--force"]),
            ("aws s3 rm s3://prod-backups/* --recursive", &["rm", "prod", "*", "--recursive"]),
            ("delete_volume", &["delete"]),
            ("DeleteDBInstance", &["Delete"]),
            ("terminateInstances", &["terminate"]),
            ("db.prod.example.com", &["prod"]),
            ("SELECT ** FROM t", &["**"]),
            ("drops, dropped, undrop, formatter, killer", &[]),
            ("product, producer, alive, primarily", &[]),
            ("farm-rf, a-f, x-r y", &[]),
            ("update users set name = 'a'", &[]),
            ("größe löschen", &[]),
            ("", &[]),
            ("-", &[]),
            ("--forceful --all", &["--all"]),
        ];
        for (text, expected) in rows {
            assert_eq!(marks(text), expected, "{text}");
        }
    }

    #[test]
    fn nothing_is_lost_between_the_parts() {
        for text in ["rm -rf *--force-x- drop-", "é*é-r-é", "-f", "a--b", "***"] {
            let whole: String = parts(text)
                .map(|part| match part {
                    Part::Plain(text) | Part::Marked(text) => text,
                })
                .collect();
            assert_eq!(whole, text);
        }
    }

    #[test]
    fn the_guide_lists_every_word_and_no_other() {
        let guide = include_str!("../../../docs/approving.md");
        let rows = guide.lines().skip_while(|line| !line.starts_with("| verbs")).take(3);
        let listed: Vec<_> = rows
            .map(|row| row.rsplit('|').nth(1).unwrap().split('`').skip(1).step_by(2).collect::<Vec<_>>())
            .collect();
        assert_eq!(listed, [VERBS.to_vec(), PLACES.to_vec(), OPTIONS.to_vec()]);
    }

    #[test]
    fn one_drop_among_thirty_updates_is_found() {
        let harmless = "UPDATE t SET a = 1;\n".repeat(30);
        let sql = format!(r#"{{"sql":"{}DROP TABLE t;"}}"#, harmless.replace('\n', "\\n"));
        let arguments = CanonicalJson::parse(&sql).unwrap();
        assert_eq!(found("run_sql", &arguments).into_iter().collect::<Vec<_>>(), ["drop"]);
    }
}
