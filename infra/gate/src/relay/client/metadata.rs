//! Checks what a request of version 2026-07-28 or later says about itself, in its body and again in its headers.

use axum::http::{HeaderMap, HeaderValue};
use serde_json::value::RawValue;

use crate::relay::message::{Message, code, find, object};
use crate::relay::upstream::headers::{decode, named};
use crate::relay::{VERSION_HEADER, VERSION_META};

pub(super) const CAPABILITIES_META: &str = "io.modelcontextprotocol/clientCapabilities";

/// The names in `_meta` that have a meaning in the protocol.
const META: [&str; 5] = [
    "progressToken",
    VERSION_META,
    CAPABILITIES_META,
    "io.modelcontextprotocol/logLevel",
    "io.modelcontextprotocol/subscriptionId",
];

/// The JSON-RPC error code for headers that contradict the body.
pub(super) const HEADER_MISMATCH: i32 = -32020;

/// Why a request is not passed on.
pub(super) struct Refusal {
    pub(super) code: i32,
    pub(super) problem: &'static str,
}

/// Refuses a request without the required members, or whose headers contradict its body: a proxy may have let it pass because of
/// its headers.
pub(super) fn check(headers: &HeaderMap, message: &Message, method: &str) -> Result<(), Refusal> {
    let mismatch = |problem| Refusal { code: HEADER_MISMATCH, problem };
    let invalid = |problem| Refusal { code: code::INVALID_REQUEST, problem };
    let missing = |problem| Refusal { code: code::INVALID_PARAMS, problem };
    let params = message.member("params").ok_or_else(|| missing("`params._meta` is missing"))?;
    let params = object(params.get(), &["_meta", "name", "arguments", "uri", "taskId"])
        .map_err(|_| invalid("`params` must be an object without duplicate keys"))?;
    let meta = find(&params, "_meta").ok_or_else(|| missing("`params._meta` is missing"))?;
    let meta = object(meta.get(), &META)
        .map_err(|_| invalid("`params._meta` must be an object without duplicate keys"))?;
    let version = find(&meta, VERSION_META).and_then(text).ok_or_else(|| {
        missing("`params._meta` lacks the version: `io.modelcontextprotocol/protocolVersion`")
    })?;
    if find(&meta, CAPABILITIES_META).is_none() {
        return Err(missing("`params._meta` lacks `io.modelcontextprotocol/clientCapabilities`"));
    }
    if !says(headers, VERSION_HEADER, &version) {
        return Err(mismatch("the header `MCP-Protocol-Version` must be the version in `params._meta`"));
    }
    if !says(headers, "mcp-method", method) {
        return Err(mismatch("the header `Mcp-Method` must be the message's `method`"));
    }
    match named(method).and_then(|member| find(&params, member)).and_then(text) {
        Some(name) if only(headers, "mcp-name").and_then(decode).as_ref() != Some(&name) => {
            Err(mismatch("the header `Mcp-Name` must be what `params` names"))
        }
        _ => Ok(()),
    }
}

fn text(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

fn says(headers: &HeaderMap, name: &str, value: &str) -> bool {
    only(headers, name).is_some_and(|header| header == value)
}

/// The value of a header that occurs exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}
