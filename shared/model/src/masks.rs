use std::collections::BTreeMap;
use std::fmt;

use glob::{MatchOptions, Pattern};

use crate::invalid::check_prose;
use crate::json::pointer_token;
use crate::{Audience, Invalid};

/// The most names that a gate has.
const MOST: usize = 50;

/// Names of members are compared without regard to case: `Password` is `password`.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: false,
    require_literal_separator: false,
    require_literal_leading_dot: false,
};

/// The name of arguments whose values mails and records do not show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    text: String,
    names: Names,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Names {
    /// The steps of a JSON Pointer; `*` is any step.
    Place(Vec<String>),
    /// A glob over the names of members.
    Members(Pattern),
}

/// A step on the way to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Member(String),
    Item(usize),
}

impl Mask {
    /// From its text. What begins with `/` is a JSON Pointer (RFC 6901) whose step `*` stands for any member or item:
    /// `/users/*/password`. Anything else is a glob over the names of members, wherever they are, without regard to case:
    /// `*token*`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        check_prose("mask", text, 200, &[])?;
        let names = match text.strip_prefix('/') {
            Some(steps) => Names::Place(steps.split('/').map(step).collect::<Result<_, _>>()?),
            None => Names::Members(Pattern::new(text).map_err(|problem| {
                Invalid::new(format!("the mask `{text}` is no glob ({}): mend it, or write a JSON Pointer, which begins with /", problem.msg))
            })?),
        };
        Ok(Self { text: text.to_owned(), names })
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// RFC 6901, section 4.
fn step(text: &str) -> Result<String, Invalid> {
    if text.split('~').skip(1).any(|rest| !rest.starts_with(['0', '1'])) {
        return Err(Invalid::new("in a JSON Pointer, write ~0 for ~ and ~1 for /"));
    }
    Ok(text.replace("~1", "/").replace("~0", "~"))
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Member(name) => f.write_str(&pointer_token(name)),
            Self::Item(index) => index.fmt(f),
        }
    }
}

/// The masks of one gate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Masks(Vec<Mask>);

impl Masks {
    /// No value is masked.
    pub const NONE: Self = Self(Vec::new());

    /// 50 at most.
    pub fn new(masks: Vec<Mask>) -> Result<Self, Invalid> {
        if masks.len() > MOST {
            return Err(Invalid::new(format!(
                "a gate has at most {MOST} masks: write globs for several names"
            )));
        }
        Ok(Self(masks))
    }

    /// From their texts.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, Invalid> {
        Self::new(texts.into_iter().map(Mask::parse).collect::<Result<_, _>>()?)
    }

    /// Their texts.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(Mask::as_str)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the value at this place is masked.
    pub(crate) fn pick(&self, place: &[Step]) -> bool {
        let is_step = |(named, step): (&String, &Step)| match step {
            _ if named == "*" => true,
            Step::Member(name) => name == named,
            Step::Item(index) => index.to_string() == *named,
        };
        self.0.iter().any(|mask| match &mask.names {
            Names::Place(steps) => steps.len() == place.len() && steps.iter().zip(place).all(is_step),
            Names::Members(_) => match place.last() {
                Some(Step::Member(name)) => self.pick_name(name),
                _ => false,
            },
        })
    }

    /// Whether the values under this name are.
    pub(crate) fn pick_name(&self, name: &str) -> bool {
        self.0.iter().any(|mask| match &mask.names {
            Names::Place(_) => false,
            Names::Members(glob) => glob.matches_with(name, OPTIONS),
        })
    }
}

/// The masks of every gate.
#[derive(Debug, Clone, Default)]
pub struct GateMasks(BTreeMap<Audience, Masks>);

impl GateMasks {
    /// Those of one gate; of a gate that nobody registered there are none.
    pub fn of(&self, gate: &Audience) -> &Masks {
        const NONE: &Masks = &Masks::NONE;
        self.0.get(gate).unwrap_or(NONE)
    }
}

impl FromIterator<(Audience, Masks)> for GateMasks {
    fn from_iter<T: IntoIterator<Item = (Audience, Masks)>>(gates: T) -> Self {
        Self(gates.into_iter().collect())
    }
}
