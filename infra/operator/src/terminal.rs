//! The terminal: aligned tables, and text from outside made visible.

use std::io::{self, Write as _};

use sayso_model::{Reading, reveal_to_string};

use crate::outcome::{Report, Stopped};

/// Prints the text or the JSON, and returns the exit status.
pub(crate) fn print(report: &Report, json: bool) -> Result<u8, Stopped> {
    let text = if json { ascii(&format!("{:#}\n", report.json)) } else { report.text.clone() };
    write(&text)?;
    Ok(report.status)
}

/// The same JSON in ASCII, so that no character can control a terminal. Beyond ASCII there are only strings, in which an
/// escape means the same.
fn ascii(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() && c != '\u{7f}' {
            shown.push(c);
        } else {
            let mut units = [0; 2];
            shown.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    shown
}

/// Prints at once, while a command goes on.
pub(crate) fn write(text: &str) -> Result<(), Stopped> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|e| Stopped::not_done(format!("standard output cannot be written: {e}")))
}

/// Prints to standard error, with invisible characters named. Ignores a failure: perhaps nobody reads it.
pub(crate) fn complain(message: &str) {
    let lines = message.lines().map(|line| format!("sayso: {}\n", one_line(line))).collect::<String>();
    let _ = io::stderr().write_all(lines.as_bytes());
}

/// Text from outside on one line, with invisible characters named.
pub(crate) fn one_line(text: &str) -> String {
    reveal_to_string(text, Reading::Words).replace('\n', "⟨U+000A line feed⟩").replace('\t', "⟨U+0009 tab⟩")
}

/// Text from outside on its own lines, each marked, so that none can pass for a line of ours.
pub(crate) fn block(text: &str) -> String {
    marked(&reveal_to_string(text, Reading::Words))
}

/// Like [`block`], for text that is revealed already.
pub(crate) fn marked(revealed: &str) -> String {
    revealed.split('\n').map(|line| format!("  | {line}\n")).collect()
}

/// Columns as wide as their widest cell, with two spaces between. The last one is not padded.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let head = head.map(str::to_owned);
    let width = |column: usize| {
        let cells = rows.iter().chain([&head]).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let line = |row: &[String; N]| {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let pad = width(column).saturating_sub(cell.chars().count());
            format!("{cell}{}", " ".repeat(pad))
        });
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    [&head].into_iter().chain(rows).map(line).collect()
}

/// Names and their values, one on a line.
pub(crate) fn fields(fields: &[(&str, String)]) -> String {
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    fields.iter().map(|(name, value)| format!("{name:width$}  {value}\n")).collect()
}

/// `1 key`, `2 keys`.
pub(crate) fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::{block, one_line, table};

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let rows = [["a".to_owned(), "1".to_owned()], ["länger".to_owned(), String::new()]];
        assert_eq!(table(["NAME", "N"], &rows), "NAME    N\na       1\nlänger\n");
    }

    #[test]
    fn text_from_outside_says_nothing_to_the_terminal() {
        let hostile = "\u{1b}[2Jall is well\r\nStatus  approved\u{202e}\t.";
        for shown in [one_line(hostile), block(hostile)] {
            let silent = |c: char| c == '\n' || c == '\t' || !c.is_control();
            assert!(shown.chars().all(silent) && !shown.contains('\u{202e}'), "{shown}");
        }
        assert_eq!(one_line(hostile).lines().count(), 1);
        assert!(block(hostile).lines().all(|line| line.starts_with("  | ")));
    }
}
