//! One JSON-RPC message as text. The gate must read a message exactly as its receiver will. So a message is one line, has no
//! duplicate names, and no name that some parser could read as another one.

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

/// A request's id in one spelling, so that equal ids are equal texts: `1.0` becomes `1`, `"\u0061"` becomes `"a"`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Id(String);

impl Id {
    /// Reads its JSON: a number or a string, or null, which only an error may have.
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

    /// The id of an error about an unreadable message. Some servers write null, and some leave it out.
    fn null() -> Self {
        Self("null".to_owned())
    }

    pub(crate) fn number(number: u64) -> Self {
        Self(number.to_string())
    }

    pub(crate) fn text(text: &str) -> Self {
        Self(json!(text).to_string())
    }

    pub(crate) fn to_value(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or_default()
    }

    pub(crate) fn to_raw(&self) -> Option<Box<RawValue>> {
        RawValue::from_string(self.0.clone()).ok()
    }

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

/// The kind of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It wants an answer.
    Request { id: Id, method: String },
    /// It gets no answer.
    Notification { method: String },
    /// A result or an error.
    Response { id: Id },
    /// The client that sent this request has disconnected. Only transports create this. It is never parsed from text and never
    /// sent to the server, because a broken connection is not a cancellation.
    Gone { id: Id },
}

/// A text is not a valid message. `id` is its id, if it has one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{problem}")]
pub(crate) struct MessageError {
    pub(crate) id: Option<Id>,
    pub(crate) code: i32,
    pub(crate) problem: String,
}

impl MessageError {
    /// The JSON-RPC error for the sender.
    pub(crate) fn answer(&self) -> Message {
        Message::error(self.id.as_ref(), self.code, &self.problem)
    }
}

/// One message: the envelope is parsed, the rest is kept as it came.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    kind: Kind,
    members: Members,
}

/// The members of an object in their order, each as raw text.
pub(crate) type Members = Vec<(String, Box<RawValue>)>;

const ENVELOPE: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];

impl Message {
    /// Parses the envelope. The error is for the sender.
    pub(crate) fn parse(text: &str) -> Result<Self, MessageError> {
        let refuse = |code, problem| MessageError { id: None, code, problem };
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

    fn from_members(members: Members) -> Result<Self, MessageError> {
        let id = find(&members, "id").map(Id::parse);
        let refuse = |problem: &str| MessageError {
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
            // An error about an unreadable message.
            (None, None) if find(&members, "error").is_some_and(|error| error.get().starts_with('{')) => {
                Kind::Response { id: Id::null() }
            }
            (None, _) => return Err(refuse("it has neither a `method` nor an answer with an `id`")),
        };
        Ok(Self { kind, members })
    }

    /// A request of the gate's own.
    pub(crate) fn request(id: &Id, method: &str, params: &Value) -> Self {
        Self::own(&json!({"jsonrpc": "2.0", "id": id.to_value(), "method": method, "params": params}))
    }

    /// A notification of the gate's own.
    pub(crate) fn notification(method: &str, params: &Value) -> Self {
        Self::own(&json!({"jsonrpc": "2.0", "method": method, "params": params}))
    }

    /// A result of the gate's own.
    pub(crate) fn result(id: &Id, result: &Value) -> Self {
        Self::own(&json!({"jsonrpc": "2.0", "id": id.to_value(), "result": result}))
    }

    /// An error of the gate's own. It has no id if the message that it answers had none: no version of MCP allows null.
    pub(crate) fn error(id: Option<&Id>, code: i32, message: &str) -> Self {
        let mut error = json!({"jsonrpc": "2.0", "error": {"code": code, "message": message}});
        if let Some(id) = id {
            error["id"] = id.to_value();
        }
        Self::own(&error)
    }

    /// A request with exactly these parts.
    pub(crate) fn of_parts(id: &RawValue, method: &str, params: &RawValue) -> Option<Self> {
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":{},"method":{},"params":{}}}"#,
            id.get(),
            json!(method),
            params.get()
        );
        Self::parse(&text).ok()
    }

    /// The client of this request has disconnected.
    pub(crate) fn gone(id: Id) -> Self {
        Self { kind: Kind::Gone { id }, members: Members::new() }
    }

    #[expect(clippy::expect_used, reason = "a message built here is one")]
    fn own(message: &Value) -> Self {
        Self::parse(&message.to_string()).expect("a message built here is one")
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The raw text of a member of the envelope, such as `params` or `result`.
    pub(crate) fn member(&self, name: &str) -> Option<&RawValue> {
        find(&self.members, name)
    }

    /// The same message with one member replaced, such as `id`.
    #[must_use]
    pub(crate) fn with(&self, name: &str, value: Box<RawValue>) -> Self {
        let mut members = self.members.clone();
        match members.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => members.push((name.to_owned(), value)),
        }
        // This fails only if the new `id` is not an id.
        Self::from_members(members).unwrap_or_else(|_| self.clone())
    }

    /// The value at a path of names, such as `params`, `_meta`, `progressToken`; `None` if an object on the way is ambiguous.
    pub(crate) fn at(&self, path: &[&str]) -> Option<Box<RawValue>> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.member(first)?.to_owned(), |raw, name| {
            find(&object(raw.get(), &[name]).ok()?, name).map(ToOwned::to_owned)
        })
    }

    /// The same message with the value at a path of names replaced. It stays unchanged if there is no such value.
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

/// A text is not an object, or two parsers may read it differently.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Ambiguity {
    /// It is not one JSON object, or it has a duplicate name.
    #[error(transparent)]
    Violation(#[from] ProfileViolation),
    /// A name is another spelling of a known one.
    #[error("some parsers read the name {0:?} as another name that has a meaning here: remove it")]
    LookAlike(String),
}

/// The members of an object, as raw texts. Refuses duplicate names, and a name that some parser could read as one of `known`:
/// Go's `encoding/json` ignores case, and the Python SDK reads `request_state` as `requestState` and `meta` as `_meta`.
pub(crate) fn object(text: &str, known: &[&str]) -> Result<Members, Ambiguity> {
    let members = members(text)?;
    let alike =
        |name: &str| !known.contains(&name) && known.iter().any(|known| loosely(known) == loosely(name));
    match members.iter().find(|(name, _)| alike(name)) {
        Some((name, _)) => Err(Ambiguity::LookAlike(name.clone())),
        None => Ok(members.into_iter().map(|(name, value)| (name, value.to_owned())).collect()),
    }
}

/// Whether some parser could read a method as this one, by ignoring case, white space or invisible characters.
pub(crate) fn passes_for(method: &str, known: &str) -> bool {
    let plain = |name: &str| -> String {
        loosely(name).chars().filter(|c| c.is_alphanumeric() || c.is_ascii_punctuation()).collect()
    };
    method != known && plain(method) == plain(known)
}

/// A name as the loosest parser reads it: without case, by the rules of Unicode (a long s is an s, the kelvin sign is a k, an i
/// with or without a dot is an i), and without underscores.
fn loosely(name: &str) -> String {
    let folded = name.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    folded.filter(|c| !matches!(c, '_' | '\u{307}')).collect()
}

/// A member by its exact name.
pub(crate) fn find<'a>(members: &'a [(String, Box<RawValue>)], name: &str) -> Option<&'a RawValue> {
    members.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_ref())
}

/// Writes an object with these members, in their order, each as raw text.
pub(crate) fn write(members: &[(String, Box<RawValue>)]) -> String {
    let member = |(name, value): &(String, Box<RawValue>)| format!("{}:{}", json!(name), value.get());
    format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
}

/// The same value with the value at a path replaced; `None` if there is none.
fn replace(raw: &RawValue, path: &[&str], value: &RawValue) -> Option<Box<RawValue>> {
    let Some((name, rest)) = path.split_first() else { return Some(value.to_owned()) };
    let mut members = object(raw.get(), &[name]).ok()?;
    let (_, member) = members.iter_mut().find(|(known, _)| known == name)?;
    *member = replace(member, rest, value)?;
    RawValue::from_string(write(&members)).ok()
}

/// The same JSON without characters that some parser takes for the end of a line: it would read two messages. A line feed or a
/// carriage return can only be white space between tokens. The others occur only inside strings.
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
