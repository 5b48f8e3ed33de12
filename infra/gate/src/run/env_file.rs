//! The file of `--env-file`.
//!
//! A strict subset of what readers of such files agree on: `NAME=value` lines, blank lines, `#` comments on lines of their
//! own, an `export` before the name. A value is one word as it stands, or quoted on one line: in single quotes as it stands,
//! in double quotes with `\"`, `\\`, `\$`, `` \` `` and nothing else escaped. Nothing is expanded: where some reader would
//! expand, or end the value at a `#`, the file is refused.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use crate::arguments::is_variable;

/// Far more than any environment holds.
const MAX_BYTES: u64 = 1024 * 1024;

/// What a file sets.
pub(super) type Variables = BTreeMap<String, String>;

/// The file is of no use. Says where, and nothing of what stands there.
#[derive(Debug, Error)]
pub(super) enum Unreadable {
    #[error("it has more than {MAX_BYTES} bytes")]
    TooLarge,
    #[error("it is not UTF-8 text")]
    NotText,
    #[error("line {line}: {problem}")]
    Line { line: usize, problem: &'static str },
    #[error(
        "line {line}: {name} changes which programs or libraries are loaded. Remove it, or allow it with --env-file-allow {name}, which the human then sees"
    )]
    Loads { line: usize, name: String },
}

/// Beginnings of the names by which loaders, allocators and shells are told what to load (`ld.so(8)`, `dyld(1)`, `bash(1)`).
const LOADING: [&str; 9] = [
    "LD_",
    "DYLD_",
    "_RLD",
    "LIBPATH",
    "SHLIB_PATH",
    "GLIBC_TUNABLES",
    "MALLOC_",
    "BASH_FUNC_",
    "GIT_CONFIG",
];

/// Names by which shells, interpreters and common tools find or preload code: what `sudo` removes (`env_delete` in
/// `sudoers(5)`), and the same of runtimes that are newer.
const FINDING: [&str; 46] = [
    "BASH_ENV",
    "BASHOPTS",
    "BROWSER",
    "CDPATH",
    "CLASSPATH",
    "EDITOR",
    "ENV",
    "FPATH",
    "GCONV_PATH",
    "GIT_ASKPASS",
    "GIT_EDITOR",
    "GIT_EXEC_PATH",
    "GIT_EXTERNAL_DIFF",
    "GIT_PAGER",
    "GIT_PROXY_COMMAND",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_TEMPLATE_DIR",
    "GLOBIGNORE",
    "HOSTALIASES",
    "IFS",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "LESSOPEN",
    "LOCPATH",
    "NLSPATH",
    "NODE_OPTIONS",
    "NODE_PATH",
    "NULLCMD",
    "PAGER",
    "PATH",
    "PERL5DB",
    "PERL5LIB",
    "PERL5OPT",
    "PERLLIB",
    "PS4",
    "PYTHONHOME",
    "PYTHONINSPECT",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PYTHONUSERBASE",
    "RUBYLIB",
    "RUBYOPT",
    "SHELLOPTS",
    "ZDOTDIR",
    "_JAVA_OPTIONS",
];

fn changes_what_loads(name: &str) -> bool {
    FINDING.contains(&name) || LOADING.iter().any(|start| name.starts_with(start))
}

/// Reads what the file holds. Of the names that change what programs load it may set those in `allowed`.
pub(super) fn parse(bytes: Vec<u8>, allowed: &BTreeSet<String>) -> Result<Variables, Unreadable> {
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_BYTES {
        return Err(Unreadable::TooLarge);
    }
    let text = String::from_utf8(bytes).map_err(|_| Unreadable::NotText)?;
    let mut variables = Variables::new();
    for (index, line) in text.lines().enumerate() {
        let at = |problem| Unreadable::Line { line: index + 1, problem };
        let line = line.trim_matches([' ', '\t']);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line.split_once('=').ok_or_else(|| at("it has no `=`"))?;
        if !is_variable(name) {
            return Err(at("before the `=` must stand a name of letters, digits and _, and nothing else"));
        }
        if changes_what_loads(name) && !allowed.contains(name) {
            return Err(Unreadable::Loads { line: index + 1, name: name.to_owned() });
        }
        let value = unquote(value).map_err(at)?;
        if variables.insert(name.to_owned(), value).is_some() {
            return Err(at("the name was there before"));
        }
    }
    Ok(variables)
}

fn unquote(value: &str) -> Result<String, &'static str> {
    const OPEN: &str = "the value has an opening quote and must end with the same one, once";
    if value.contains(|c: char| c.is_control() && c != '\t') {
        return Err("the value holds a control character");
    }
    match value.chars().next() {
        Some('\'') => {
            let inner = value[1..].strip_suffix('\'').ok_or(OPEN)?;
            if inner.contains('\'') { Err(OPEN) } else { Ok(inner.to_owned()) }
        }
        Some('"') => unescape(value[1..].strip_suffix('"').ok_or(OPEN)?),
        _ if value.contains([' ', '\t', '\'', '"', '\\', '$', '`', '#']) => {
            Err("a value with a space, a quote or one of \\ $ ` # stands in single quotes")
        }
        _ => Ok(value.to_owned()),
    }
}

/// What stands between double quotes.
fn unescape(inner: &str) -> Result<String, &'static str> {
    let mut value = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => match characters.next() {
                Some(escaped @ ('"' | '\\' | '$' | '`')) => value.push(escaped),
                _ => return Err("in double quotes, \\ stands before \" \\ $ or `, and nothing else"),
            },
            '"' | '$' | '`' => return Err("in double quotes, write \\\" \\$ and \\`, or use single quotes"),
            other => value.push(other),
        }
    }
    Ok(value)
}

#[cfg(test)]
mod tests;
