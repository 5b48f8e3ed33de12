//! The file of `--env-file`.
//!
//! It is a strict subset of what all readers of such files agree on: `NAME=value` lines, blank lines, `#` comments on lines of
//! their own, an `export` before the name. A value is one word, taken literally, or it is quoted on one line: in single quotes
//! literally, in double quotes with the escapes `\"`, `\\`, `\$`, `` \` `` and no others. Nothing is expanded. If some reader
//! would expand a value, or end it at a `#`, the file is refused.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use crate::arguments::is_variable;

/// Far more than any environment holds.
const MAX_BYTES: u64 = 1024 * 1024;

/// The variables that a file sets.
pub(super) type Variables = BTreeMap<String, String>;

/// The file cannot be used. The message says where, and repeats nothing of the file's contents but names.
#[derive(Debug, Error)]
pub(super) enum EnvFileError {
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

/// Prefixes of the names that tell loaders, allocators and shells what to load (`ld.so(8)`, `dyld(1)`, `bash(1)`).
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

/// Names that tell shells, interpreters and common tools where to find code, or what to preload: those that `sudo` removes
/// (`env_delete` in `sudoers(5)`), and those of newer runtimes.
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

/// Reads the file's contents. Of the names that change what programs load, the file may set only those in `allowed`.
pub(super) fn parse(bytes: Vec<u8>, allowed: &BTreeSet<String>) -> Result<Variables, EnvFileError> {
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_BYTES {
        return Err(EnvFileError::TooLarge);
    }
    let text = String::from_utf8(bytes).map_err(|_| EnvFileError::NotText)?;
    let mut variables = Variables::new();
    for (index, line) in text.lines().enumerate() {
        let at = |problem| EnvFileError::Line { line: index + 1, problem };
        let line = line.trim_matches([' ', '\t']);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line.split_once('=').ok_or_else(|| at("it has no `=`"))?;
        if !is_variable(name) {
            return Err(at("only a name of letters, digits and _ may come before the `=`"));
        }
        if changes_what_loads(name) && !allowed.contains(name) {
            return Err(EnvFileError::Loads { line: index + 1, name: name.to_owned() });
        }
        let value = unquote(value).map_err(at)?;
        if variables.insert(name.to_owned(), value).is_some() {
            return Err(at("this name is set on an earlier line"));
        }
    }
    Ok(variables)
}

fn unquote(value: &str) -> Result<String, &'static str> {
    const OPEN: &str = "a quoted value must end with its opening quote, and must not contain it in between";
    if value.contains(|c: char| c.is_control() && c != '\t') {
        return Err("the value contains a control character");
    }
    match value.chars().next() {
        Some('\'') => {
            let inner = value[1..].strip_suffix('\'').ok_or(OPEN)?;
            if inner.contains('\'') { Err(OPEN) } else { Ok(inner.to_owned()) }
        }
        Some('"') => unescape(value[1..].strip_suffix('"').ok_or(OPEN)?),
        _ if value.contains([' ', '\t', '\'', '"', '\\', '$', '`', '#']) => {
            Err("put a value with a space, a quote or one of \\ $ ` # in single quotes")
        }
        _ => Ok(value.to_owned()),
    }
}

/// The value of the text between double quotes.
fn unescape(inner: &str) -> Result<String, &'static str> {
    let mut value = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => match characters.next() {
                Some(escaped @ ('"' | '\\' | '$' | '`')) => value.push(escaped),
                _ => return Err("in double quotes, only \" \\ $ or ` may follow a \\"),
            },
            '"' | '$' | '`' => return Err("in double quotes, write \\\" \\$ and \\`, or use single quotes"),
            other => value.push(other),
        }
    }
    Ok(value)
}

#[cfg(test)]
mod tests;
