//! Reads a policy's file, from top to bottom, up to the first problem.

use std::time::Duration;

use glob::Pattern;
use sayso_model::{ExpiresIn, ToolName};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::summary::Template;
use super::{Policy, PolicyError, Rule, Ruling, ServerName, WaitingIs, Words};

/// Most MCP clients wait about a minute for a call. Some wait as long as they get progress. The operator knows which.
const MAX_WAIT_SECONDS: u64 = 3600;

const TOP: [&str; 8] = [
    "server",
    "default",
    "wait_seconds",
    "waiting",
    "withdraw_tool",
    "expires_in_seconds",
    "summary",
    "tools",
];

const RULE: [&str; 7] =
    ["match", "decision", "read_only_hint", "destructive_hint", "summary", "reason", "expires_in_seconds"];

pub(super) fn read(text: &str) -> Result<Policy, PolicyError> {
    let file = DeTable::parse(text).map_err(|error| PolicyError {
        line: line(text, error.span().map_or(0, |span| span.start)),
        problem: format!("this is not TOML: {}", error.message().replace('\n', ", ")),
    })?;
    let mut policy = Policy::default();
    for setting in settings(text, file.get_ref()) {
        match setting.name {
            "server" => {
                let name = ServerName::parse(setting.text()?);
                policy.server = Some(name.map_err(|problem| setting.wrong(problem))?);
            }
            "default" => policy.default = setting.ruling()?,
            "wait_seconds" => policy.wait = setting.wait()?,
            "waiting" => policy.waiting = setting.waiting()?,
            "withdraw_tool" => {
                let name = ToolName::asked(setting.text()?);
                policy.withdraw_tool = Some(name.map_err(|problem| {
                    setting.wrong(problem.to_string().replacen("`tool`", "`withdraw_tool`", 1))
                })?);
            }
            "expires_in_seconds" => policy.expires_in = setting.expires_in()?,
            "summary" => policy.summary = Some(setting.template(false)?),
            "tools" => read_rules(&mut policy, &setting)?,
            _ => return Err(setting.unknown(&TOP)),
        }
    }
    Ok(policy)
}

fn read_rules(policy: &mut Policy, tools: &Setting<'_>) -> Result<(), PolicyError> {
    let wrong = |line| PolicyError {
        line,
        problem: "`tools` must be a list of rules: begin each with a line that says [[tools]]".to_owned(),
    };
    let DeValue::Array(rules) = tools.value else { return Err(wrong(tools.line)) };
    for item in rules {
        let line = line(tools.file, item.span().start);
        let DeValue::Table(table) = item.get_ref() else { return Err(wrong(line)) };
        let rule = rule(tools.file, line, table)?;
        refuse_shadowed(&policy.rules, &rule)?;
        policy.rules.push(rule);
    }
    Ok(())
}

fn rule(file: &str, line: usize, table: &DeTable<'_>) -> Result<Rule, PolicyError> {
    let (mut globs, mut ruling, mut words) = (None, None, Words::default());
    let (mut read_only, mut destructive) = (None, None);
    let mut only_for_ask = None;
    for setting in settings(file, table) {
        match setting.name {
            "match" => globs = Some(setting.globs()?),
            "decision" => ruling = Some(setting.ruling()?),
            "read_only_hint" => read_only = Some(setting.flag()?),
            "destructive_hint" => destructive = Some(setting.flag()?),
            "summary" => words.summary = Some(setting.template(false)?),
            "reason" => words.reason = Some(setting.template(true)?),
            "expires_in_seconds" => words.expires_in = Some(setting.expires_in()?),
            _ => return Err(setting.unknown(&RULE)),
        }
        if ["summary", "reason", "expires_in_seconds"].contains(&setting.name) {
            only_for_ask = only_for_ask.or(Some(setting));
        }
    }
    let missing = |problem: &str| PolicyError { line, problem: problem.to_owned() };
    let globs = globs
        .ok_or_else(|| missing("this rule has no `match`: say which tools, as in match = \"delete_*\""))?;
    let ruling = ruling.ok_or_else(|| {
        missing("this rule has no `decision`: write decision = \"allow\", \"ask\" or \"deny\"")
    })?;
    let ruling = match (ruling, only_for_ask) {
        (Ruling::Ask(_), _) => Ruling::Ask(words),
        (ruling, None) => ruling,
        (_, Some(setting)) => {
            let name = setting.name;
            return Err(setting
                .wrong(format!("`{name}` is for a rule that asks: remove it, or write decision = \"ask\"")));
        }
    };
    Ok(Rule { line, globs, read_only, destructive, ruling })
}

/// Refuses a rule that can never apply: its author must have meant something else.
fn refuse_shadowed(earlier: &[Rule], rule: &Rule) -> Result<(), PolicyError> {
    for glob in &rule.globs {
        let first = earlier.iter().find_map(|before| Some((before, before.covers(rule, glob)?)));
        if let Some((before, by)) = first {
            let problem = format!(
                "`{glob}` can never apply, because `{by}` on line {} decides first: move this rule before that one, \
                 or remove it",
                before.line
            );
            return Err(PolicyError { line: rule.line, problem });
        }
    }
    Ok(())
}

/// One key of a table with its value.
struct Setting<'a> {
    file: &'a str,
    name: &'a str,
    line: usize,
    value: &'a DeValue<'a>,
}

/// The table's keys, in the order of the file.
fn settings<'a>(file: &'a str, table: &'a DeTable<'a>) -> Vec<Setting<'a>> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    let setting = |(name, value): (&'a Spanned<_>, &'a Spanned<DeValue<'a>>)| {
        let name: &Spanned<std::borrow::Cow<'a, str>> = name;
        Setting { file, name: name.get_ref(), line: line(file, name.span().start), value: value.get_ref() }
    };
    entries.into_iter().map(setting).collect()
}

impl Setting<'_> {
    fn wrong(&self, problem: String) -> PolicyError {
        PolicyError { line: self.line, problem }
    }

    fn unknown(&self, known: &[&str]) -> PolicyError {
        let name = self.name;
        let mend = match nearest(name, known) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("remove it (there is {})", known.join(", ")),
        };
        self.wrong(format!("the key `{}` is unknown: {mend}", name.escape_debug()))
    }

    fn text(&self) -> Result<&str, PolicyError> {
        match self.value {
            DeValue::String(text) => Ok(text),
            _ => Err(self.wrong(format!("`{}` must be a text: put it in quotation marks", self.name))),
        }
    }

    fn flag(&self) -> Result<bool, PolicyError> {
        match self.value {
            DeValue::Boolean(flag) => Ok(*flag),
            _ => Err(self.wrong(format!("`{}` must be true or false, without quotation marks", self.name))),
        }
    }

    fn seconds(&self) -> Result<i64, PolicyError> {
        let whole = match self.value {
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        whole.ok_or_else(|| {
            self.wrong(format!("`{}` must be a whole number of seconds, without quotation marks", self.name))
        })
    }

    fn wait(&self) -> Result<Duration, PolicyError> {
        let seconds = self.seconds()?;
        match u64::try_from(seconds) {
            Ok(fits) if fits <= MAX_WAIT_SECONDS => Ok(Duration::from_secs(fits)),
            _ => Err(self.wrong(format!(
                "`wait_seconds` must be 0 to {MAX_WAIT_SECONDS} (most clients give up after about a minute), not {seconds}"
            ))),
        }
    }

    fn waiting(&self) -> Result<WaitingIs, PolicyError> {
        match self.text()? {
            "error" => Ok(WaitingIs::Error),
            "result" => Ok(WaitingIs::Result),
            _ => Err(self.wrong("`waiting` must be \"error\" or \"result\"".to_owned())),
        }
    }

    fn expires_in(&self) -> Result<ExpiresIn, PolicyError> {
        ExpiresIn::from_seconds(self.seconds()?).map_err(|invalid| self.wrong(invalid.to_string()))
    }

    fn template(&self, lines: bool) -> Result<Template, PolicyError> {
        Template::parse(self.text()?, lines)
            .map_err(|problem| self.wrong(format!("`{}` {problem}", self.name)))
    }

    fn ruling(&self) -> Result<Ruling, PolicyError> {
        match self.text()? {
            "allow" => Ok(Ruling::Allow),
            "ask" => Ok(Ruling::Ask(Words::default())),
            "deny" => Ok(Ruling::Deny),
            other => {
                Err(self
                    .wrong(format!("`{}` must be \"allow\", \"ask\" or \"deny\", not {other:?}", self.name)))
            }
        }
    }

    fn globs(&self) -> Result<Vec<Pattern>, PolicyError> {
        let list = match self.value {
            DeValue::Array(list) => list.iter().map(Spanned::get_ref).collect(),
            one => vec![one],
        };
        if list.is_empty() {
            return Err(
                self.wrong("`match` is empty: name at least one tool, as in match = \"delete_*\"".into())
            );
        }
        list.into_iter().map(|value| self.glob(value)).collect()
    }

    fn glob(&self, value: &DeValue<'_>) -> Result<Pattern, PolicyError> {
        let problem = match value {
            DeValue::String(text) if text.is_empty() => {
                "an empty glob matches no tool: write a name, or \"*\" for every tool".to_owned()
            }
            DeValue::String(text) => match Pattern::new(text) {
                Ok(glob) => return Ok(glob),
                Err(error) => format!(
                    "the glob {text:?} is invalid at character {}, {}: * stands for any characters, ? for one, \
                     [abc] for one of these, [*] for a star itself",
                    error.pos + 1,
                    error.msg
                ),
            },
            _ => {
                "`match` must be a glob or a list of globs, as in match = [\"list_*\", \"get_*\"]".to_owned()
            }
        };
        Err(self.wrong(problem))
    }
}

/// The line of a byte, counted from one.
fn line(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

/// The known name that was probably meant: one name begins with the other, or they differ in at most two characters.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let close = |known: &&&str| {
        let short = name.len().min(known.len());
        short >= 4 && (known.starts_with(name) || name.starts_with(**known)) || distance(name, known) <= 2
    };
    known.iter().filter(close).min_by_key(|known| distance(name, known)).copied()
}

/// How many characters have to be changed, added or removed (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, a) in from.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], index + 1);
        for (column, b) in to.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}
