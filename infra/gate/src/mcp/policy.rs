//! The operator's policy: what the gate lets pass, asks about or refuses. It is checked when the gate starts.

use std::fmt;
use std::time::Duration;

use glob::Pattern;
use sayso_model::{CanonicalJson, ExpiresIn, Invalid, Reason, Summary, ToolName};
use thiserror::Error;

use summary::Template;

mod file;
mod summary;

/// The policy of one gate. The first rule that matches a tool decides.
#[derive(Debug)]
pub(crate) struct Policy {
    /// How long a call waits for the human before it answers that it is still waiting.
    pub(crate) wait: Duration,
    /// The form of the answer that a call is still waiting.
    pub(crate) waiting: WaitingIs,
    /// A prefix of the tool's name, for the approver and in the action.
    pub(crate) server: Option<ServerName>,
    /// The name of the gate's own tool that withdraws approvals, if there is one.
    pub(crate) withdraw_tool: Option<ToolName>,
    default: Ruling,
    summary: Option<Template>,
    expires_in: ExpiresIn,
    rules: Vec<Rule>,
}

/// What a call that still waits for a human returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitingIs {
    /// A tool error: no client checks one against the tool's output schema.
    Error,
    /// A result, for hosts that end the agent's run when a tool fails.
    Result,
}

/// What is wrong with a policy's file, where, and how to fix it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: {problem}")]
pub(crate) struct PolicyError {
    line: usize,
    problem: String,
}

/// A server's name in front of its tools' names. It has no `/`, so that different servers and tools never make the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerName(String);

/// What the server says about a tool, as far as policies use it. Nothing proves that it is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hints {
    /// `readOnlyHint`.
    pub(crate) read_only: bool,
    /// `destructiveHint`.
    pub(crate) destructive: bool,
}

/// What happens to a call.
#[derive(Debug)]
pub(crate) enum Verdict<'a> {
    /// It passes.
    Allow,
    /// It is refused, and nobody is asked.
    Deny,
    /// It is asked about.
    Ask(Terms<'a>),
}

/// How to ask.
#[derive(Debug)]
pub(crate) struct Terms<'a> {
    /// How long the human may take.
    pub(crate) expires_in: ExpiresIn,
    server: Option<&'a ServerName>,
    summary: Option<&'a Template>,
    reason: Option<&'a Template>,
}

#[derive(Debug)]
struct Rule {
    line: usize,
    globs: Vec<Pattern>,
    read_only: Option<bool>,
    destructive: Option<bool>,
    ruling: Ruling,
}

#[derive(Debug)]
enum Ruling {
    Allow,
    Deny,
    Ask(Words),
}

/// What a rule sets itself. The policy's values fill the rest.
#[derive(Debug, Default)]
struct Words {
    summary: Option<Template>,
    reason: Option<Template>,
    expires_in: Option<ExpiresIn>,
}

impl Default for Policy {
    /// The policy of an empty file: a human is asked about everything.
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(45),
            waiting: WaitingIs::Error,
            server: None,
            withdraw_tool: None,
            default: Ruling::Ask(Words::default()),
            summary: None,
            expires_in: ExpiresIn::default(),
            rules: Vec::new(),
        }
    }
}

impl Default for Hints {
    /// The specification's defaults, for a tool without hints.
    fn default() -> Self {
        Self { read_only: false, destructive: true }
    }
}

impl Policy {
    /// Reads the file's text. The error is the first problem.
    pub(crate) fn parse(text: &str) -> Result<Self, PolicyError> {
        file::read(text)
    }

    /// Whether a tool of this name is the gate's own.
    pub(crate) fn is_own(&self, tool: &str) -> bool {
        self.withdraw_tool.as_ref().is_some_and(|own| own.as_str() == tool)
    }

    /// Whether the verdict depends on the server's hints for this tool.
    pub(crate) fn needs_hints(&self, tool: &str) -> bool {
        let decides = |read_only, destructive| self.first(tool, Hints { read_only, destructive });
        let one = decides(false, false);
        [(false, true), (true, false), (true, true)].iter().any(|(r, d)| decides(*r, *d) != one)
    }

    /// What happens to a call of this tool.
    pub(crate) fn judge(&self, tool: &str, hints: Hints) -> Verdict<'_> {
        let rule = self.first(tool, hints).and_then(|index| self.rules.get(index));
        match rule.map_or(&self.default, |rule| &rule.ruling) {
            Ruling::Allow => Verdict::Allow,
            Ruling::Deny => Verdict::Deny,
            Ruling::Ask(words) => Verdict::Ask(Terms {
                expires_in: words.expires_in.unwrap_or(self.expires_in),
                server: self.server.as_ref(),
                summary: words.summary.as_ref().or(self.summary.as_ref()),
                reason: words.reason.as_ref(),
            }),
        }
    }

    /// The tool's name in the action, with the server's name in front if there is one.
    pub(crate) fn tool_name(&self, tool: &str) -> Result<ToolName, Invalid> {
        let name = ToolName::asked(tool)?;
        match &self.server {
            None => Ok(name),
            Some(server) => ToolName::asked(&format!("{server}/{name}")),
        }
    }

    fn first(&self, tool: &str, hints: Hints) -> Option<usize> {
        self.rules.iter().position(|rule| rule.fits(tool, hints))
    }
}

impl Terms<'_> {
    /// The summary that the approver reads beside the action itself.
    pub(crate) fn summary(&self, tool: &str, arguments: &CanonicalJson) -> Summary {
        let own = self.summary.and_then(|template| Summary::parse(&template.render(arguments, 500)).ok());
        own.unwrap_or_else(|| {
            let server = self.server.map(|server| format!("{server}/")).unwrap_or_default();
            summary::plain(&format!("Call {server}{tool}"))
        })
    }

    /// The reason, if the policy has one.
    pub(crate) fn reason(&self, arguments: &CanonicalJson) -> Option<Reason> {
        self.reason.and_then(|template| Reason::parse(&template.render(arguments, 2_000)).ok())
    }
}

impl Rule {
    fn fits(&self, tool: &str, hints: Hints) -> bool {
        self.read_only.is_none_or(|asked| asked == hints.read_only)
            && self.destructive.is_none_or(|asked| asked == hints.destructive)
            && self.globs.iter().any(|glob| glob.matches(tool))
    }

    /// The first of its globs that matches everything that this glob of a later rule matches.
    fn covers(&self, later: &Self, glob: &Pattern) -> Option<&Pattern> {
        let weaker = |mine: Option<bool>, theirs: Option<bool>| mine.is_none() || mine == theirs;
        let applies = weaker(self.read_only, later.read_only) && weaker(self.destructive, later.destructive);
        self.globs.iter().find(|mine| applies && includes(mine, glob))
    }
}

/// Whether `earlier` certainly matches every name that `later` matches.
fn includes(earlier: &Pattern, later: &Pattern) -> bool {
    let (mine, theirs) = (earlier.as_str(), later.as_str());
    // A `*` of the earlier glob matches any wildcard of the later one. Its other wildcards could match one as a letter.
    let stars_only = !mine.contains(['?', '[']) && !theirs.contains('[');
    let recursive = mine.contains("**") || theirs.contains("**");
    let literal = !theirs.contains(['*', '?', '[']);
    mine == theirs || mine == "*" || (literal || (stars_only && !recursive)) && earlier.matches(theirs)
}

impl ServerName {
    /// 1 to 64 of the characters of a tool's name, without `/`.
    fn parse(text: &str) -> Result<Self, String> {
        let fits = ToolName::parse(text).is_ok() && text.len() <= 64 && !text.contains('/');
        if fits && ToolName::asked(&format!("{text}/tool")).is_ok() {
            return Ok(Self(text.to_owned()));
        }
        Err("`server` must be 1 to 64 ASCII letters, digits or any of _-.:, and must not read as a web address".to_owned())
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests;
