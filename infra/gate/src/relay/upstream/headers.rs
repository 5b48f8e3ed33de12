//! The parts of a message that streamable HTTP repeats in headers since version 2026-07-28, so that proxies need not read bodies.

use std::collections::{BTreeSet, HashMap};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::relay::message::{find, object};

/// The name of the annotation in a tool's input schema.
const ANNOTATION: &str = "x-mcp-header";

/// Which arguments of which tools are repeated in headers.
#[derive(Debug, Default)]
pub(in crate::relay) struct Tools(HashMap<String, Vec<Annotation>>);

#[derive(Debug)]
struct Annotation {
    path: Vec<String>,
    header: HeaderName,
}

impl Tools {
    /// Adds the `tools` of a `tools/list` result. If a tool's annotations break a rule, none of them count. The server may then
    /// refuse its calls.
    pub(in crate::relay) fn learn(&mut self, tools: &Value) {
        for tool in tools.as_array().into_iter().flatten() {
            if let Some(name) = tool.get("name").and_then(Value::as_str) {
                let annotations = tool.get("inputSchema").and_then(annotations).unwrap_or_default();
                self.0.insert(name.to_owned(), annotations);
            }
        }
    }

    /// The headers of a request, except its version.
    pub(super) fn headers(&self, method: &str, params: Option<&RawValue>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("mcp-method", encode(method));
        let value = |path: &[String]| argument(params, path).ok().flatten();
        let name = named(method).and_then(|member| value(&[member.to_owned()]));
        let Some(name) = name.and_then(|name| serde_json::from_str::<String>(name.get()).ok()) else {
            return headers;
        };
        headers.insert("mcp-name", encode(&name));
        if method == "tools/call" {
            for Annotation { path, header } in self.0.get(&name).into_iter().flatten() {
                let path = [&["arguments".to_owned()], path.as_slice()].concat();
                if let Some(value) = value(&path).and_then(|value| text(value.get())) {
                    headers.insert(header, encode(&value));
                }
            }
        }
        headers
    }

    /// Whether the headers of a call repeat its arguments as they must; `None` if there is no such tool.
    pub(in crate::relay) fn repeat(
        &self,
        headers: &HeaderMap,
        name: &str,
        arguments: Option<&RawValue>,
    ) -> Option<bool> {
        let repeats = |Annotation { path, header }: &Annotation| {
            let mut values = headers.get_all(header).iter();
            match (argument(arguments, path), values.next(), values.next()) {
                (Ok(None), None, _) => true,
                (Ok(Some(value)), Some(header), None) => {
                    decode(header).is_some_and(|header| stands_for(&header, value.get()))
                }
                _ => false,
            }
        };
        Some(self.0.get(name)?.iter().all(repeats))
    }
}

/// The value at a path through objects, as written; `None` for `null` and for objects and arrays. It fails if two parsers may find
/// different values.
fn argument(arguments: Option<&RawValue>, path: &[String]) -> Result<Option<Box<RawValue>>, ()> {
    let Some(mut raw) = arguments.map(ToOwned::to_owned) else { return Ok(None) };
    for key in path {
        if !raw.get().starts_with('{') {
            return Ok(None);
        }
        let members = object(raw.get(), &[key]).map_err(|_| ())?;
        let Some(member) = find(&members, key) else { return Ok(None) };
        raw = member.to_owned();
    }
    Ok(text(raw.get()).is_some().then_some(raw))
}

/// Whether a header's text stands for this value. Numbers are compared as numbers: `42.0` is `42`.
fn stands_for(header: &str, value: &str) -> bool {
    let is_number = |json: &str| json.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    let header =
        if is_number(value) { text(header).filter(|_| is_number(header)) } else { Some(header.to_owned()) };
    header.is_some() && header == text(value)
}

/// The member of `params` that `Mcp-Name` repeats.
pub(in crate::relay) fn named(method: &str) -> Option<&'static str> {
    match method {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" => Some("uri"),
        // The tasks extension.
        "tasks/get" | "tasks/update" | "tasks/cancel" => Some("taskId"),
        _ => None,
    }
}

/// The annotations of a schema; `None` if one breaks a rule.
fn annotations(schema: &Value) -> Option<Vec<Annotation>> {
    let mut found = Vec::new();
    collect(schema, &mut Vec::new(), &mut found)?;
    let distinct: BTreeSet<_> = found.iter().map(|annotation| annotation.header.as_str()).collect();
    (distinct.len() == found.len()).then_some(found)
}

fn collect(schema: &Value, path: &mut Vec<String>, found: &mut Vec<Annotation>) -> Option<()> {
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        path.push(name.clone());
        if let Some(annotation) = property.get(ANNOTATION) {
            let kind = property.get("type").and_then(Value::as_str)?;
            let name = annotation.as_str().filter(|name| !name.is_empty())?;
            let header = HeaderName::try_from(format!("mcp-param-{name}")).ok()?;
            if !matches!(kind, "string" | "integer" | "boolean") {
                return None;
            }
            found.push(Annotation { path: path.clone(), header });
        }
        collect(property, path, found)?;
        path.pop();
    }
    Some(())
}

/// The text that a header has for a JSON value; `None` for `null` and for objects and arrays. An integer without an exponent stays
/// as it is: a double would round it beyond 2^53.
fn text(json: &str) -> Option<String> {
    match serde_json::from_str(json).ok()? {
        Value::String(text) => Some(text),
        Value::Bool(boolean) => Some(boolean.to_string()),
        Value::Number(_) if json != "-0" && !json.contains(['.', 'e', 'E']) => Some(json.trim().to_owned()),
        #[expect(clippy::cast_possible_truncation, reason = "integral and within 2^53")]
        Value::Number(number) => Some(match number.as_f64() {
            Some(double) if double.fract() == 0.0 && double.abs() < 9e15 => (double as i64).to_string(),
            _ => number.to_string(),
        }),
        _ => None,
    }
}

/// A text as a header's value: unchanged if that is safe, otherwise marked as base64.
fn encode(text: &str) -> HeaderValue {
    let safe = text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        && text.trim() == text
        && !(text.starts_with("=?base64?") && text.ends_with("?="));
    let encoded = if safe { text.to_owned() } else { format!("=?base64?{}?=", BASE64_STANDARD.encode(text)) };
    // It is visible ASCII only.
    HeaderValue::try_from(encoded).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The text that a header's value stands for; `None` if it is invalid.
pub(in crate::relay) fn decode(value: &HeaderValue) -> Option<String> {
    let value = value.to_str().ok()?;
    match value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) {
        Some(encoded) => String::from_utf8(BASE64_STANDARD.decode(encoded).ok()?).ok(),
        None => Some(value.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_that_is_not_safe_in_a_header_is_sent_as_base64() {
        for (text, value) in [
            ("us-west1", "us-west1"),
            ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
            (" padded ", "=?base64?IHBhZGRlZCA=?="),
            ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
            ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
            ("", ""),
        ] {
            let encoded = encode(text);
            assert_eq!(encoded, value);
            assert_eq!(decode(&encoded).as_deref(), Some(text));
        }
        assert_eq!(decode(&HeaderValue::from_static("=?base64?*?=")), None);
    }

    fn headers_of(schema: &Value, arguments: &Value) -> Vec<(String, String)> {
        let mut tools = Tools::default();
        tools.learn(&json!([{"name": "t", "inputSchema": schema}]));
        let params = json!({"name": "t", "arguments": arguments}).to_string();
        let params = RawValue::from_string(params).expect("JSON");
        let headers = tools.headers("tools/call", Some(&params));
        let params = headers.iter().filter(|(name, _)| name.as_str().starts_with("mcp-param-"));
        params.map(|(name, value)| (name.to_string(), value.to_str().expect("ASCII").to_owned())).collect()
    }

    #[test]
    fn annotated_arguments_are_repeated_in_headers() {
        let schema = json!({"properties": {
            "a": {"type": "string", "x-mcp-header": "Region"},
            "b": {"properties": {"c": {"type": "integer", "x-mcp-header": "Count"}}},
            "d": {"type": "boolean", "x-mcp-header": "Dry"},
        }});
        // Beyond what a double holds.
        let all = json!({"a": "é", "b": {"c": 18_446_744_073_709_551_615_u64}, "d": true});
        let expected = [
            ("mcp-param-region", "=?base64?w6k=?="),
            ("mcp-param-count", "18446744073709551615"),
            ("mcp-param-dry", "true"),
        ];
        assert_eq!(
            headers_of(&schema, &all),
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert_eq!(headers_of(&schema, &json!({"a": null, "b": 1})), []);
    }

    #[test]
    fn headers_repeat_the_arguments_or_do_not() {
        let mut tools = Tools::default();
        tools.learn(&json!([{"name": "t", "inputSchema": {"properties": {
            "a": {"type": "string", "x-mcp-header": "A"},
            "b": {"properties": {"c": {"type": "integer", "x-mcp-header": "C"}}},
            "d": {"type": "boolean", "x-mcp-header": "D"},
        }}}]));
        for (arguments, headers, repeats) in [
            ("{}", &[][..], true),
            (r#"{"a":null,"b":1,"d":[]}"#, &[], true),
            (r#"{"a":"x"}"#, &[("mcp-param-a", "x")], true),
            (r#"{"a":"x"}"#, &[("mcp-param-a", "=?base64?eA==?=")], true),
            (r#"{"a":"=?base64?eA==?="}"#, &[("mcp-param-a", "=?base64?eA==?=")], false),
            (r#"{"a":"x"}"#, &[("mcp-param-a", "=?base64?*?=")], false),
            (r#"{"a":"x"}"#, &[("mcp-param-a", "X")], false),
            (r#"{"a":"x"}"#, &[("mcp-param-a", "x"), ("mcp-param-a", "x")], false),
            (r#"{"a":"x"}"#, &[], false),
            (r#"{"a":null}"#, &[("mcp-param-a", "null")], false),
            ("{}", &[("mcp-param-a", "x")], false),
            (r#"{"a":"x","a":null}"#, &[], false),
            (r#"{"A":"x"}"#, &[], false),
            (r#"{"b":{"c":42}}"#, &[("mcp-param-c", "42.0")], true),
            (r#"{"b":{"c":42.0}}"#, &[("mcp-param-c", "42")], true),
            (r#"{"b":{"c":42}}"#, &[("mcp-param-c", "\"42\"")], false),
            (r#"{"b":{"c":42}}"#, &[("mcp-param-c", "43")], false),
            (r#"{"b":{"c":-0}}"#, &[("mcp-param-c", "0")], true),
            (r#"{"b":{"c":36893488147419103233}}"#, &[("mcp-param-c", "36893488147419103233")], true),
            (r#"{"b":{"c":36893488147419103233}}"#, &[("mcp-param-c", "36893488147419103232")], false),
            (r#"{"b":{"c":9007199254740993}}"#, &[("mcp-param-c", "9007199254740992.0")], false),
            (r#"{"d":true}"#, &[("mcp-param-d", "true")], true),
            (r#"{"d":true}"#, &[("mcp-param-d", "True")], false),
            ("{}", &[("mcp-param-other", "x")], true),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(*name, HeaderValue::from_static(value));
            }
            let raw = RawValue::from_string(arguments.to_owned()).expect("JSON");
            assert_eq!(tools.repeat(&map, "t", Some(&raw)), Some(repeats), "{arguments} {headers:?}");
        }
        assert_eq!(tools.repeat(&HeaderMap::new(), "t", None), Some(true));
        assert_eq!(tools.repeat(&HeaderMap::new(), "u", None), None);
    }

    #[test]
    fn a_tool_with_an_annotation_that_breaks_a_rule_has_none() {
        for properties in [
            json!({"a": {"type": "string", "x-mcp-header": ""}}),
            json!({"a": {"type": "string", "x-mcp-header": "a b"}}),
            json!({"a": {"type": "string", "x-mcp-header": "A\r\nB: c"}}),
            json!({"a": {"type": "number", "x-mcp-header": "A"}}),
            json!({"a": {"type": "string", "x-mcp-header": 1}}),
            json!({"a": {"type": "string", "x-mcp-header": "A"}, "b": {"type": "string", "x-mcp-header": "a"}}),
        ] {
            let schema = json!({"properties": properties});
            assert_eq!(headers_of(&schema, &json!({"a": "x", "b": "y"})), [], "{schema}");
        }
    }
}
