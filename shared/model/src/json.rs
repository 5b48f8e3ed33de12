//! The strict JSON profile: what a text must satisfy before it may be hashed as an action's arguments.
//!
//! RFC 8785 (JCS) canonicalises what a parser already made of a text, and a lenient parser makes one value of
//! two texts: it drops a duplicate key, and it rounds 2^53+1 to 2^53. Either would let one approval cover two
//! actions. So the *raw* text is checked first: no duplicate key, no number that an IEEE 754 double does not
//! hold exactly as written, no half of a surrogate pair in a string, at most
//! [`MAX_DEPTH`] levels, at most [`MAX_BYTES`] bytes, an object at the top. Within the profile, texts that
//! differ as JSON values have different canonical forms.
//!
//! Not done here: Unicode is not normalised. What differs in bytes differs in digest, and the page shows it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use thiserror::Error;

mod number;
mod tokens;

pub use tokens::{JsonToken, JsonTokens};

/// The deepest nesting of objects and arrays, counting the outermost object as one.
pub const MAX_DEPTH: usize = 32;

/// The longest text, in bytes, as received and as canonicalised.
pub const MAX_BYTES: usize = 64 * 1024;

/// Why a text is outside the profile. A path is a JSON Pointer (RFC 6901); the message says what to change.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProfileViolation {
    /// Not one JSON value (RFC 8259).
    #[error("it is not valid JSON: {0}")]
    NotJson(String),
    /// The top is an array, a string, a number or a literal.
    #[error("it must be a JSON object, like {{\"name\": \"value\"}}")]
    NotAnObject,
    /// Over [`MAX_BYTES`].
    #[error(
        "it has {bytes} bytes: the most is {MAX_BYTES}; pass a reference (a path, a digest) instead of the content"
    )]
    TooLarge {
        /// The length found.
        bytes: usize,
    },
    /// Over [`MAX_DEPTH`].
    #[error("it is nested more than {MAX_DEPTH} levels deep at {path}: flatten it")]
    TooDeep {
        /// Where.
        path: String,
    },
    /// One object names a key twice.
    #[error(
        "the key at {path} is there twice: remove one, because readers disagree on which of the two counts"
    )]
    DuplicateKey {
        /// Where.
        path: String,
    },
    /// A magnitude of 2^53 or more, which not every reader of JSON holds exactly (RFC 7493).
    #[error("the number at {path} is beyond ±9007199254740991: send it as a string")]
    NumberTooLarge {
        /// Where.
        path: String,
    },
    /// A decimal that no double holds as written: two different texts would become one number.
    #[error("the number at {path} has more digits than a double holds: shorten it, or send it as a string")]
    NumberTooPrecise {
        /// Where.
        path: String,
    },
}

/// A JSON object in the strict profile, in its RFC 8785 form: the text that is hashed, shown and executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanonicalJson(String);

impl CanonicalJson {
    /// Checks the raw text and canonicalises it.
    pub fn parse(text: &str) -> Result<Self, ProfileViolation> {
        if text.len() > MAX_BYTES {
            return Err(ProfileViolation::TooLarge { bytes: text.len() });
        }
        let canonical = serde_json_canonicalizer::to_string(&Value::Object(check_object(text)?))
            .map_err(|e| ProfileViolation::NotJson(e.to_string()))?;
        if canonical.len() > MAX_BYTES {
            return Err(ProfileViolation::TooLarge { bytes: canonical.len() });
        }
        Ok(Self(canonical))
    }

    /// The RFC 8785 text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same text with white space between its tokens, two spaces a level, for reading. No token changes.
    pub fn indented(&self) -> String {
        let mut out = String::with_capacity(self.0.len() * 2);
        let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
        let mut characters = self.0.chars().peekable();
        while let Some(c) = characters.next() {
            if in_string {
                in_string = escaped || c != '"';
                escaped = !escaped && c == '\\';
                out.push(c);
                continue;
            }
            let break_line = |out: &mut String, depth: usize| {
                out.push('\n');
                out.push_str(&"  ".repeat(depth));
            };
            match c {
                '{' | '[' => {
                    out.push(c);
                    // An empty object or array stays on one line.
                    if let Some(close) = characters.next_if(|next| matches!(next, '}' | ']')) {
                        out.push(close);
                    } else {
                        depth += 1;
                        break_line(&mut out, depth);
                    }
                }
                '}' | ']' => {
                    depth -= 1;
                    break_line(&mut out, depth);
                    out.push(c);
                }
                ',' => {
                    out.push(c);
                    break_line(&mut out, depth);
                }
                ':' => out.push_str(": "),
                c => {
                    in_string = c == '"';
                    out.push(c);
                }
            }
        }
        out
    }
}

impl fmt::Display for CanonicalJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The members of a JSON object, each value as its raw text; refuses a key that is there twice. Looks no deeper.
pub fn members(text: &str) -> Result<Vec<(String, &RawValue)>, ProfileViolation> {
    let raw: &RawValue = parse(text)?;
    if !raw.get().starts_with('{') {
        return Err(ProfileViolation::NotAnObject);
    }
    let Members(members) = parse(raw.get())?;
    let mut seen = BTreeSet::new();
    match members.iter().find(|(key, _)| !seen.insert(key)) {
        None => Ok(members),
        Some((key, _)) => {
            Err(ProfileViolation::DuplicateKey { path: Path::Key(&Path::Root, key).to_string() })
        }
    }
}

/// Checks a text of any size against every rule of the profile but the two sizes, and gives back its value.
pub fn check_text(text: &str) -> Result<Value, ProfileViolation> {
    let raw: &RawValue = serde_json::from_str(text).map_err(|e| not_json(&e))?;
    check_value(raw, &Path::Root, 0)
}

fn check_object(text: &str) -> Result<Map<String, Value>, ProfileViolation> {
    match check_text(text)? {
        Value::Object(object) => Ok(object),
        _ => Err(ProfileViolation::NotAnObject),
    }
}

fn not_json(error: &serde_json::Error) -> ProfileViolation {
    ProfileViolation::NotJson(error.to_string())
}

/// Half a surrogate pair. "At line 1 column 8" would count from the text's own beginning.
fn not_a_text(error: &serde_json::Error, path: &Path<'_>) -> ProfileViolation {
    let problem = error.to_string();
    let problem = problem.split(" at line ").next().unwrap_or_default();
    ProfileViolation::NotJson(format!("the text at {path}: {problem}"))
}

fn check_value(raw: &RawValue, path: &Path<'_>, depth: usize) -> Result<Value, ProfileViolation> {
    let text = raw.get();
    let first = text.as_bytes().first().copied().unwrap_or_default();
    if matches!(first, b'{' | b'[') && depth == MAX_DEPTH {
        return Err(ProfileViolation::TooDeep { path: path.to_string() });
    }
    match first {
        b'{' => {
            let Members(members) = parse(text)?;
            let mut object = BTreeMap::new();
            for (key, value) in &members {
                let here = Path::Key(path, key);
                if object.insert(key.clone(), check_value(value, &here, depth + 1)?).is_some() {
                    return Err(ProfileViolation::DuplicateKey { path: here.to_string() });
                }
            }
            Ok(Value::Object(object.into_iter().collect()))
        }
        b'[' => {
            let items: Vec<&RawValue> = parse(text)?;
            let check =
                |(index, item): (usize, &&RawValue)| check_value(item, &Path::Index(path, index), depth + 1);
            Ok(Value::Array(items.iter().enumerate().map(check).collect::<Result<_, _>>()?))
        }
        b'"' => {
            let string: String = serde_json::from_str(text).map_err(|e| not_a_text(&e, path))?;
            Ok(Value::String(string))
        }
        b'-' | b'0'..=b'9' => match number::exact(text) {
            Ok(number) => Ok(Value::Number(number)),
            Err(number::Inexact::TooLarge) => {
                Err(ProfileViolation::NumberTooLarge { path: path.to_string() })
            }
            Err(number::Inexact::TooPrecise) => {
                Err(ProfileViolation::NumberTooPrecise { path: path.to_string() })
            }
        },
        _ => parse(text),
    }
}

fn parse<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Result<T, ProfileViolation> {
    serde_json::from_str(text).map_err(|e| not_json(&e))
}

/// An object's members as written, duplicates included: what every map type of serde drops.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// A place in a document, as a list from the leaf to the root so that no text is built unless it is needed.
enum Path<'a> {
    Root,
    Key(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("the top"),
            Self::Key(parent, key) => {
                parent.fmt_prefix(f)?;
                // A key is the sender's text: bounded, and with its control characters escaped.
                let shown: String = key.chars().take(64).flat_map(char::escape_debug).collect();
                let cut = if key.chars().count() > 64 { "…" } else { "" };
                write!(f, "/{}{cut}", pointer_token(&shown))
            }
            Self::Index(parent, index) => {
                parent.fmt_prefix(f)?;
                write!(f, "/{index}")
            }
        }
    }
}

impl Path<'_> {
    fn fmt_prefix(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            inner => fmt::Display::fmt(inner, f),
        }
    }
}

fn pointer_token(key: &str) -> Cow<'_, str> {
    if key.contains(['~', '/']) {
        Cow::Owned(key.replace('~', "~0").replace('/', "~1"))
    } else {
        Cow::Borrowed(key)
    }
}
