//! The strict JSON profile: what a text must satisfy before it may be hashed as an action's arguments.
//!
//! RFC 8785 (JCS) canonicalises what a parser already made of a text, and a lenient parser makes one value of
//! two texts: it drops a duplicate key, and it rounds 2^53+1 to 2^53. Either would let one approval cover two
//! actions. So the *raw* text is checked first: no duplicate key, no number that an IEEE 754 double does not
//! hold exactly as written, no half of a surrogate pair in a string, at most
//! [`MAX_DEPTH`] levels, at most [`MAX_BYTES`] bytes, an object at the top. Within the profile, texts that
//! differ as JSON values have different canonical forms.
//!
//! One kind of number goes beyond RFC 8785: an integer that is written out, with at most [`MAX_DIGITS`] digits, stays as it is
//! written, however large. Tools have 64-bit identifiers, and no other way to name one. [`Action::digest`](crate::Action::digest)
//! keeps such arguments apart from all others.
//!
//! Not done here: Unicode is not normalised. What differs in bytes differs in digest, and the page shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use thiserror::Error;

mod number;
mod path;
mod tokens;

use path::Path;
pub(crate) use path::pointer_token;
pub use tokens::{JsonToken, JsonTokens};

/// The deepest nesting of objects and arrays, counting the outermost object as one.
pub const MAX_DEPTH: usize = 32;

/// The longest text, in bytes, as received and as canonicalised.
pub const MAX_BYTES: usize = 64 * 1024;

/// The most digits of an integer beyond ±(2^53−1), without its sign.
pub const MAX_DIGITS: usize = 40;

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
    /// A magnitude of 2^53 or more, which not every reader of JSON holds exactly (RFC 7493), and not an integer that is
    /// written out with at most [`MAX_DIGITS`] digits.
    #[error(
        "the number at {path} is beyond ±9007199254740991: write it out as an integer of at most {MAX_DIGITS} digits, or send it as a string"
    )]
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
pub struct CanonicalJson {
    text: String,
    has_large_integers: bool,
}

impl CanonicalJson {
    /// Checks the raw text and canonicalises it.
    pub fn parse(text: &str) -> Result<Self, ProfileViolation> {
        if text.len() > MAX_BYTES {
            return Err(ProfileViolation::TooLarge { bytes: text.len() });
        }
        let value = check(text)?;
        if !matches!(value, Checked::Object(_)) {
            return Err(ProfileViolation::NotAnObject);
        }
        let mut canonical = Self { text: String::with_capacity(text.len()), has_large_integers: false };
        canonical.write(&value)?;
        if canonical.text.len() > MAX_BYTES {
            return Err(ProfileViolation::TooLarge { bytes: canonical.text.len() });
        }
        Ok(canonical)
    }

    fn write(&mut self, value: &Checked<'_>) -> Result<(), ProfileViolation> {
        match value {
            Checked::Object(members) => {
                // RFC 8785, 3.2.3: by UTF-16 code units.
                let mut members: Vec<_> = members.iter().collect();
                members.sort_by_cached_key(|(key, _)| key.encode_utf16().collect::<Vec<_>>());
                self.text.push('{');
                for (index, (key, value)) in members.into_iter().enumerate() {
                    if index > 0 {
                        self.text.push(',');
                    }
                    self.text.push_str(&rfc_8785(key)?);
                    self.text.push(':');
                    self.write(value)?;
                }
                self.text.push('}');
            }
            Checked::Array(items) => {
                self.text.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        self.text.push(',');
                    }
                    self.write(item)?;
                }
                self.text.push(']');
            }
            Checked::LargeInteger(written) => {
                self.has_large_integers = true;
                self.text.push_str(written);
            }
            Checked::Leaf(value) => self.text.push_str(&rfc_8785(value)?),
        }
        Ok(())
    }

    /// Whether an integer is beyond ±(2^53−1), so that the text is not what an implementation of RFC 8785 writes.
    pub fn has_large_integers(&self) -> bool {
        self.has_large_integers
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The same text with white space between its tokens, two spaces a level, for reading. No token changes.
    pub fn indented(&self) -> String {
        let mut out = String::with_capacity(self.text.len() * 2);
        let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
        let mut characters = self.text.chars().peekable();
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

impl std::str::FromStr for CanonicalJson {
    type Err = ProfileViolation;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for CanonicalJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
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

/// Checks a text of any size against every rule of the profile but the two sizes, and gives back its value. It refuses an
/// integer beyond ±(2^53−1), which a [`Value`] would not hold for certain.
pub fn check_text(text: &str) -> Result<Value, ProfileViolation> {
    check(text)?.value(&Path::Root)
}

fn check(text: &str) -> Result<Checked<'_>, ProfileViolation> {
    let raw: &RawValue = serde_json::from_str(text).map_err(|e| not_json(&e))?;
    check_value(raw, &Path::Root, 0)
}

/// What a text is that keeps to the profile.
enum Checked<'a> {
    Object(BTreeMap<String, Checked<'a>>),
    Array(Vec<Checked<'a>>),
    /// As written: an integer beyond ±(2^53−1).
    LargeInteger(&'a str),
    /// A text, another number, a boolean or null.
    Leaf(Value),
}

impl Checked<'_> {
    fn value(self, path: &Path<'_>) -> Result<Value, ProfileViolation> {
        Ok(match self {
            Self::Object(members) => {
                let value = |(key, member): (String, Checked<'_>)| {
                    let value = member.value(&Path::Key(path, &key))?;
                    Ok((key, value))
                };
                Value::Object(members.into_iter().map(value).collect::<Result<_, _>>()?)
            }
            Self::Array(items) => {
                let value = |(index, item): (usize, Checked<'_>)| item.value(&Path::Index(path, index));
                Value::Array(items.into_iter().enumerate().map(value).collect::<Result<_, _>>()?)
            }
            Self::LargeInteger(_) => {
                return Err(ProfileViolation::NumberTooLarge { path: path.to_string() });
            }
            Self::Leaf(value) => value,
        })
    }
}

fn rfc_8785(value: &impl serde::Serialize) -> Result<String, ProfileViolation> {
    serde_json_canonicalizer::to_string(value).map_err(|e| not_json(&e))
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

fn check_value<'a>(
    raw: &'a RawValue,
    path: &Path<'_>,
    depth: usize,
) -> Result<Checked<'a>, ProfileViolation> {
    let text = raw.get();
    let first = text.as_bytes().first().copied().unwrap_or_default();
    if matches!(first, b'{' | b'[') && depth == MAX_DEPTH {
        return Err(ProfileViolation::TooDeep { path: path.to_string() });
    }
    match first {
        b'{' => {
            let Members(members) = parse(text)?;
            let mut object = BTreeMap::new();
            for (key, value) in members {
                let here = Path::Key(path, &key);
                let value = check_value(value, &here, depth + 1)?;
                if object.contains_key(&key) {
                    return Err(ProfileViolation::DuplicateKey { path: here.to_string() });
                }
                object.insert(key, value);
            }
            Ok(Checked::Object(object))
        }
        b'[' => {
            let items: Vec<&RawValue> = parse(text)?;
            let check = |(index, item): (usize, &'a RawValue)| {
                check_value(item, &Path::Index(path, index), depth + 1)
            };
            Ok(Checked::Array(items.into_iter().enumerate().map(check).collect::<Result<_, _>>()?))
        }
        b'"' => {
            let string: String = serde_json::from_str(text).map_err(|e| not_a_text(&e, path))?;
            Ok(Checked::Leaf(Value::String(string)))
        }
        b'-' | b'0'..=b'9' => match number::exact(text) {
            Ok(number) => Ok(Checked::Leaf(Value::Number(number))),
            Err(number::Inexact::TooLarge) if number::is_written_out(text) => Ok(Checked::LargeInteger(text)),
            Err(number::Inexact::TooLarge) => {
                Err(ProfileViolation::NumberTooLarge { path: path.to_string() })
            }
            Err(number::Inexact::TooPrecise) => {
                Err(ProfileViolation::NumberTooPrecise { path: path.to_string() })
            }
        },
        _ => parse(text).map(Checked::Leaf),
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
