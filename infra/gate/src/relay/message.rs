//! One JSON-RPC message as text. What a gate lets through it has read as whoever gets it will read it: one line, no name
//! that is there twice, none that some reader takes for another.

use std::fmt;

use sayso_model::{ProfileViolation, members};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use thiserror::Error;

/// The codes of JSON-RPC 2.0, section 5.1.
pub(crate) mod code {
    pub(crate) const PARSE_ERROR: i32 = -32700;
    pub(crate) const INVALID_REQUEST: i32 = -32600;
    pub(crate) const METHOD_NOT_FOUND: i32 = -32601;
    pub(crate) const INVALID_PARAMS: i32 = -32602;
    pub(crate) const INTERNAL_ERROR: i32 = -32603;
}

/// A request's id in one spelling, so that equal ids are equal texts: `1.0` is `1`, `"\u0061"` is `"a"`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Id(String);

impl Id {
    /// From its JSON: a number or a string (or null, which only an error's id may be).
    pub(crate) fn parse(raw: &RawValue) -> Option<Self> {
        let value: Value = serde_json::from_str(raw.get()).ok()?;
        match value {
            #[expect(clippy::cast_possible_truncation, reason = "integral and within 2^53")]
            Value::Number(number) => Some(match number.as_f64() {
                Some(double) if double.fract() == 0.0 && double.abs() < 9e15 => {
                    Self((double as i64).to_string())
                }
                _ => Self(number.to_string()),
            }),
            Value::String(_) | Value::Null => Some(Self(value.to_string())),
            _ => None,
        }
    }

    /// Of an error about what could not be read: some write null, and some leave it out.
    fn null() -> Self {
        Self("null".to_owned())
    }

    /// An id that is an integer.
    pub(crate) fn number(number: u64) -> Self {
        Self(number.to_string())
    }

    /// An id that is a text.
    pub(crate) fn text(text: &str) -> Self {
        Self(json!(text).to_string())
    }

    /// As a value in a message.
    pub(crate) fn to_value(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or_default()
    }

    /// As it stands in a message.
    pub(crate) fn to_raw(&self) -> Option<Box<RawValue>> {
        RawValue::from_string(self.0.clone()).ok()
    }

    /// As a member of a message's `params` has it.
    pub(crate) fn from_value(value: &Value) -> Option<Self> {
        let raw = serde_json::value::to_raw_value(value).ok()?;
        Self::parse(&raw)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// To be answered.
    Request { id: Id, method: String },
    /// Not to be answered.
    Notification { method: String },
    /// An answer, or an error.
    Response { id: Id },
    /// The client that sent this request has disconnected. Transports make this themselves: it is never parsed from text, and
    /// never sent to the server, because a broken connection is no cancellation.
    Gone { id: Id },
}

/// A text that is no message. `id` is its id as far as it has one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{problem}")]
pub(crate) struct NotAMessage {
    pub(crate) id: Option<Id>,
    pub(crate) code: i32,
    pub(crate) problem: String,
}

impl NotAMessage {
    /// The JSON-RPC error that tells its sender.
    pub(crate) fn answer(&self) -> Message {
        Message::error(self.id.as_ref(), self.code, &self.problem)
    }
}

/// One message: its envelope read, the rest as it came.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    kind: Kind,
    members: Members,
}

/// The members of an object in their order, each as its raw text.
pub(crate) type Members = Vec<(String, Box<RawValue>)>;

const ENVELOPE: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];

impl Message {
    /// Reads the envelope. The error is for its sender.
    pub(crate) fn parse(text: &str) -> Result<Self, NotAMessage> {
        let refuse = |code, problem| NotAMessage { id: None, code, problem };
        if text.trim_start().starts_with('[') {
            let problem = "batches are not supported: send one message at a time".to_owned();
            return Err(refuse(code::INVALID_REQUEST, problem));
        }
        let members = object(text, &ENVELOPE).map_err(|ambiguity| {
            let code = match ambiguity {
                Ambiguity::Violation(ProfileViolation::NotJson(_)) => code::PARSE_ERROR,
                _ => code::INVALID_REQUEST,
            };
            refuse(code, format!("the message: {ambiguity}"))
        })?;
        Self::from_members(members)
    }

    fn from_members(members: Members) -> Result<Self, NotAMessage> {
        let id = find(&members, "id").map(Id::parse);
        let refuse = |problem: &str| NotAMessage {
            id: id.clone().flatten(),
            code: code::INVALID_REQUEST,
            problem: format!("the message: {problem}"),
        };
        let method: Option<Option<String>> =
            find(&members, "method").map(|raw| serde_json::from_str(raw.get()).ok());
        let answers = find(&members, "result").is_some() || find(&members, "error").is_some();
        let kind = match (method, id.clone()) {
            (Some(None), _) => return Err(refuse("`method` must be a text")),
            (_, Some(None)) => return Err(refuse("`id` must be a text or a number")),
            (Some(Some(_)), _) if answers => return Err(refuse("it is a request and an answer at once")),
            (Some(Some(method)), Some(Some(id))) => Kind::Request { id, method },
            (Some(Some(method)), None) => Kind::Notification { method },
            (None, Some(Some(id))) if answers => Kind::Response { id },
            // An error about what could not be read.
            (None, None) if find(&members, "error").is_some_and(|error| error.get().starts_with('{')) => {
                Kind::Response { id: Id::null() }
            }
            (None, _) => return Err(refuse("it has neither a `method` nor an answer with an `id`")),
        };
        Ok(Self { kind, members })
    }

    /// A request of our own.
    pub(crate) fn request(id: &Id, method: &str, params: &Value) -> Self {
        Self::own(&json!({"jsonrpc": "2.0", "id": id.to_value(), "method": method, "params": params}))
    }

    /// A notification of our own.
    pub(crate) fn notification(method: &str, params: &Value) -> Self {
        Self::own(&json!({"jsonrpc": "2.0", "method": method, "params": params}))
    }

    /// An answer of our own.
    pub(crate) fn result(id: &Id, result: &Value) -> Self {
        Self::own(&json!({"jsonrpc": "2.0", "id": id.to_value(), "result": result}))
    }

    /// An error of our own; without an id if what it answers had none. No version of MCP has an id that is null.
    pub(crate) fn error(id: Option<&Id>, code: i32, message: &str) -> Self {
        let mut error = json!({"jsonrpc": "2.0", "error": {"code": code, "message": message}});
        if let Some(id) = id {
            error["id"] = id.to_value();
        }
        Self::own(&error)
    }

    /// A request of these parts and no others.
    pub(crate) fn of_parts(id: &RawValue, method: &str, params: &RawValue) -> Option<Self> {
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":{},"method":{},"params":{}}}"#,
            id.get(),
            json!(method),
            params.get()
        );
        Self::parse(&text).ok()
    }

    /// That nobody waits for the answer to a request any more.
    pub(crate) fn gone(id: Id) -> Self {
        Self { kind: Kind::Gone { id }, members: Members::new() }
    }

    #[expect(clippy::expect_used, reason = "a message built here is one")]
    fn own(message: &Value) -> Self {
        Self::parse(&message.to_string()).expect("a message built here is one")
    }

    /// What it is.
    pub(crate) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The raw text of a member of the envelope, such as `params` or `result`.
    pub(crate) fn member(&self, name: &str) -> Option<&RawValue> {
        find(&self.members, name)
    }

    /// The same message with another member, such as another `id`.
    #[must_use]
    pub(crate) fn with(&self, name: &str, value: Box<RawValue>) -> Self {
        let mut members = self.members.clone();
        match members.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => members.push((name.to_owned(), value)),
        }
        // Replacing a value keeps a message a message, but for an id that is none.
        Self::from_members(members).unwrap_or_else(|_| self.clone())
    }

    /// What a path of names leads to, such as `params`, `_meta`, `progressToken`; nothing if some object on the way is
    /// not read alike by everyone.
    pub(crate) fn at(&self, path: &[&str]) -> Option<Box<RawValue>> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.member(first)?.to_owned(), |raw, name| {
            find(&object(raw.get(), &[name]).ok()?, name).map(ToOwned::to_owned)
        })
    }

    /// The same message with another value where a path of names leads; as it is if that leads nowhere.
    #[must_use]
    pub(crate) fn with_at(&self, path: &[&str], value: &RawValue) -> Self {
        let Some((first, rest)) = path.split_first() else { return self.clone() };
        match self.member(first).and_then(|raw| replace(raw, rest, value)) {
            Some(member) => self.with(first, member),
            None => self.clone(),
        }
    }

    /// The message on one line.
    pub(crate) fn to_line(&self) -> String {
        one_line(&write(&self.members))
    }
}

/// An object that two readers may read differently, or none at all.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Ambiguity {
    /// Not one JSON object, or a name is there twice.
    #[error(transparent)]
    Violation(#[from] ProfileViolation),
    /// A name that is a known one in another spelling.
    #[error(
        "some readers take the name {0:?} for another spelling of a name that has a meaning here: remove it"
    )]
    LookAlike(String),
}

/// The members of an object, as raw texts. Refuses a name that is there twice, and one that some reader could take for
/// one of `known`: Go's `encoding/json` ignores upper and lower case, and the Python SDK reads `request_state` as
/// `requestState` and `meta` as `_meta`.
pub(crate) fn object(text: &str, known: &[&str]) -> Result<Members, Ambiguity> {
    let members = members(text)?;
    let alike =
        |name: &str| !known.contains(&name) && known.iter().any(|known| loosely(known) == loosely(name));
    match members.iter().find(|(name, _)| alike(name)) {
        Some((name, _)) => Err(Ambiguity::LookAlike(name.clone())),
        None => Ok(members.into_iter().map(|(name, value)| (name, value.to_owned())).collect()),
    }
}

/// Whether some reader could take a method for this one: by its case, by white space, or by characters that nobody sees.
pub(crate) fn passes_for(method: &str, known: &str) -> bool {
    let plain = |name: &str| -> String {
        loosely(name).chars().filter(|c| c.is_alphanumeric() || c.is_ascii_punctuation()).collect()
    };
    method != known && plain(method) == plain(known)
}

/// A name as the loosest reader takes it: upper and lower case are one as Unicode has it (a long s is an s, the sign of
/// the kelvin is a k, an i is one with a dot or without), and an underscore is nothing.
fn loosely(name: &str) -> String {
    let folded = name.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    folded.filter(|c| !matches!(c, '_' | '\u{307}')).collect()
}

/// A member by its exact name.
pub(crate) fn find<'a>(members: &'a [(String, Box<RawValue>)], name: &str) -> Option<&'a RawValue> {
    members.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_ref())
}

/// An object of these members, in their order, each as it stands.
pub(crate) fn write(members: &[(String, Box<RawValue>)]) -> String {
    let member = |(name, value): &(String, Box<RawValue>)| format!("{}:{}", json!(name), value.get());
    format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
}

/// The same value with another where a path leads; `None` if it leads nowhere.
fn replace(raw: &RawValue, path: &[&str], value: &RawValue) -> Option<Box<RawValue>> {
    let Some((name, rest)) = path.split_first() else { return Some(value.to_owned()) };
    let mut members = object(raw.get(), &[name]).ok()?;
    let (_, member) = members.iter_mut().find(|(known, _)| known == name)?;
    *member = replace(member, rest, value)?;
    RawValue::from_string(write(&members)).ok()
}

/// The same JSON without anything that some reader of lines takes for the end of one: it could read a second message in
/// what is one. A line feed or carriage return can only be white space between tokens; the others only stand in texts.
fn one_line(json: &str) -> String {
    let mut line = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\n' | '\r' => line.push(' '),
            '\u{85}' => line.push_str("\\u0085"),
            '\u{2028}' => line.push_str("\\u2028"),
            '\u{2029}' => line.push_str("\\u2029"),
            c => line.push(c),
        }
    }
    line
}

#[cfg(test)]
mod tests;
