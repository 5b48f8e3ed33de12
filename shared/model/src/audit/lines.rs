//! The three kinds of lines, as read.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::fact::Kind;
use super::{FORMAT, Header, LineDigest, MAX_LINE, Range, canonical};
use crate::token::Issuer;
use crate::{ApprovalId, Timestamp, check_text};

pub(super) enum Line {
    Header(Header),
    Entry(Entry),
    Head(HeadLine),
}

/// Where a line says it stands, and what it is.
pub(super) struct Placed {
    pub(super) seq: u64,
    pub(super) previous: Option<LineDigest>,
    pub(super) line: Line,
}

pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) at: Option<Timestamp>,
    pub(super) id: Option<ApprovalId>,
    pub(super) fact: Value,
}

pub(super) struct HeadLine {
    pub(super) jws: String,
    /// As it stands there: a [`Jwk`](crate::token::Jwk) would pass over what it does not know.
    pub(super) jwk: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderJson {
    seq: u64,
    #[serde(rename = "kind")]
    _kind: String,
    format: String,
    table: String,
    issuer: String,
    from: Option<String>,
    to: String,
    previous: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryJson {
    seq: u64,
    at: Option<String>,
    kind: String,
    approval_id: Option<String>,
    fact: Value,
    previous: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadJson {
    seq: u64,
    #[serde(rename = "kind")]
    _kind: String,
    head: String,
    jwk: Value,
    previous: String,
}

const SHAPE: &str = "it does not have the members that such a line has";

impl Placed {
    /// Reads a line strictly: one spelling of everything.
    pub(super) fn read(line: &[u8]) -> Result<Self, &'static str> {
        if line.len() > MAX_LINE {
            return Err("it is longer than any line of an export");
        }
        let text = std::str::from_utf8(line).map_err(|_| "it is not UTF-8")?;
        let value = check_text(text).map_err(|_| "it is not JSON as an export writes it")?;
        if canonical(&value) != text {
            return Err("it is not in the canonical form");
        }
        match value.get("kind").and_then(Value::as_str) {
            Some("header") => Self::header(shaped(value)?),
            Some("head") => Self::head(shaped(value)?),
            Some(_) => Self::entry(shaped(value)?),
            None => Err(SHAPE),
        }
    }

    fn header(json: HeaderJson) -> Result<Self, &'static str> {
        if json.format != FORMAT {
            return Err("it is of a format that this version does not know");
        }
        let from = json.from.as_deref().map(time).transpose()?;
        let range = Range::new(from, time(&json.to)?).map_err(|_| "its range is empty")?;
        let issuer = Issuer::parse(&json.issuer).ok().filter(|issuer| issuer.as_str() == json.issuer);
        let header = Header {
            table: json.table,
            issuer: issuer.ok_or("its issuer is no issuer's URL")?,
            range,
            previous: json.previous.as_deref().map(digest).transpose()?,
        };
        Ok(Self { seq: json.seq, previous: None, line: Line::Header(header) })
    }

    fn entry(json: EntryJson) -> Result<Self, &'static str> {
        let kind = Kind::parse(&json.kind).ok_or("it is of a kind that this version does not know")?;
        let at = json.at.as_deref().map(time).transpose()?;
        let id = json.approval_id.as_deref().map(ApprovalId::parse).transpose();
        let id = id.map_err(|_| "its approval_id is no approval's id")?;
        if kind != Kind::Corrupt && (at.is_none() || id.is_none()) {
            return Err(SHAPE);
        }
        let entry = Entry { kind, at, id, fact: json.fact };
        Ok(Self { seq: json.seq, previous: Some(digest(&json.previous)?), line: Line::Entry(entry) })
    }

    fn head(json: HeadJson) -> Result<Self, &'static str> {
        let previous = Some(digest(&json.previous)?);
        let line = Line::Head(HeadLine { jws: json.head, jwk: json.jwk });
        Ok(Self { seq: json.seq, previous, line })
    }
}

fn shaped<T: DeserializeOwned>(value: Value) -> Result<T, &'static str> {
    if value.is_object() { serde_json::from_value(value).map_err(|_| SHAPE) } else { Err(SHAPE) }
}

fn time(text: &str) -> Result<Timestamp, &'static str> {
    Timestamp::parse(text).map_err(|_| "a time in it is not written as an export writes it")
}

fn digest(text: &str) -> Result<LineDigest, &'static str> {
    LineDigest::parse(text).ok_or("a digest in it is not one")
}
