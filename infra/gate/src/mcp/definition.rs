//! A tool's definition, and the fingerprint that shows whether it has changed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::policy::Hints;

/// A tool as the server behind the gate lists it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Definition {
    pub(crate) hints: Hints,
    /// Whether clients check the tool's results against a schema.
    pub(crate) has_output_schema: bool,
    /// A JSON object with the SHA-256, in hexadecimal, of each member that says how the tool is called and what it does. These
    /// are all members except the icons. `_meta` is included because some servers keep a tool's version there. Equal
    /// definitions have equal fingerprints.
    pub(crate) fingerprint: String,
}

/// The names of the members that differ between two fingerprints; empty if one of them is not of this form.
pub(crate) fn changed_members(before: &str, now: &str) -> Vec<String> {
    let members = |text| serde_json::from_str::<BTreeMap<String, String>>(text).ok();
    let (Some(before), Some(now)) = (members(before), members(now)) else { return Vec::new() };
    let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    names.into_iter().filter(|name| before.get(*name) != now.get(*name)).cloned().collect()
}

impl Definition {
    /// Reads a tool's entry in the result of `tools/list`.
    pub(crate) fn from_listed(tool: &Value) -> Self {
        let annotation = |name: &str| tool.pointer(&format!("/annotations/{name}")).and_then(Value::as_bool);
        let absent = Hints::default();
        let hints = Hints {
            read_only: annotation("readOnlyHint").unwrap_or(absent.read_only),
            destructive: annotation("destructiveHint").unwrap_or(absent.destructive),
        };
        let members = tool.as_object().into_iter().flatten().filter(|(name, _)| *name != "icons");
        let digests: BTreeMap<&String, String> = members
            .map(|(name, value)| match name.as_str() {
                "inputSchema" | "outputSchema" => (name, digest(&in_one_order(value))),
                _ => (name, digest(value)),
            })
            .collect();
        let has_output_schema = tool.get("outputSchema").is_some();
        Self { hints, has_output_schema, fingerprint: serde_json::to_string(&digests).unwrap_or_default() }
    }
}

fn digest(value: &Value) -> String {
    base16ct::lower::encode_string(&Sha256::digest(canonical(value)))
}

/// It fails only on numbers that are not finite, and no parsed value has those.
fn canonical(value: &Value) -> String {
    serde_json_canonicalizer::to_string(value).unwrap_or_else(|_| value.to_string())
}

/// The same schema, with those lists sorted whose order has no meaning in JSON Schema (2020-12, Validation, 6.1.1, 6.1.2, 6.5.3
/// and 6.5.4). Some servers build these lists from sets, and write them in a different order each time.
fn in_one_order(schema: &Value) -> Value {
    let Some(members) = schema.as_object() else { return schema.clone() };
    let each = |value: &Value, of: fn(&Value) -> Value| match value {
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), of(value))).collect(),
        other => other.clone(),
    };
    let ordered = members.iter().map(|(name, value)| {
        let value = match name.as_str() {
            "required" | "enum" | "type" => sorted(value),
            "dependentRequired" => each(value, sorted),
            "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas" => {
                each(value, in_one_order)
            }
            "allOf" | "anyOf" | "oneOf" | "prefixItems" | "items" => match value {
                Value::Array(schemas) => schemas.iter().map(in_one_order).collect(),
                schema => in_one_order(schema),
            },
            "additionalProperties"
            | "propertyNames"
            | "unevaluatedProperties"
            | "unevaluatedItems"
            | "contains"
            | "additionalItems"
            | "contentSchema"
            | "not"
            | "if"
            | "then"
            | "else" => in_one_order(value),
            _ => value.clone(),
        };
        (name.clone(), value)
    });
    Value::Object(ordered.collect::<Map<_, _>>())
}

fn sorted(value: &Value) -> Value {
    let Value::Array(items) = value else { return value.clone() };
    let mut items = items.clone();
    items.sort_by_cached_key(canonical);
    Value::Array(items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fingerprint(tool: Value) -> String {
        Definition::from_listed(&tool).fingerprint
    }

    fn with_schema(schema: Value) -> String {
        fingerprint(json!({"name": "t", "inputSchema": schema}))
    }

    #[test]
    fn an_order_that_means_nothing_changes_nothing() {
        let rows = [
            (json!({"required": ["a", "b"]}), json!({"required": ["b", "a"]})),
            (
                json!({"properties": {"x": {"enum": [1, "a", null]}}}),
                json!({"properties": {"x": {"enum": [null, 1.0, "a"]}}}),
            ),
            (
                json!({"$defs": {"d": {"type": ["string", "null"]}}}),
                json!({"$defs": {"d": {"type": ["null", "string"]}}}),
            ),
            (
                json!({"items": {"anyOf": [{"dependentRequired": {"a": ["b", "c"]}}]}}),
                json!({"items": {"anyOf": [{"dependentRequired": {"a": ["c", "b"]}}]}}),
            ),
        ];
        for (one, other) in rows {
            assert_eq!(with_schema(one.clone()), with_schema(other), "{one}");
        }
    }

    #[test]
    fn an_order_that_means_something_changes_the_fingerprint() {
        let rows = [
            // Values, and a property that is called like a keyword.
            (json!({"default": {"enum": [1, 2]}}), json!({"default": {"enum": [2, 1]}})),
            (json!({"const": ["a", "b"]}), json!({"const": ["b", "a"]})),
            (
                json!({"properties": {"enum": {"examples": [["a", "b"]]}}}),
                json!({"properties": {"enum": {"examples": [["b", "a"]]}}}),
            ),
            (json!({"prefixItems": [{}, true]}), json!({"prefixItems": [true, {}]})),
            (json!({"required": ["a"]}), json!({"required": ["a", "b"]})),
        ];
        for (one, other) in rows {
            assert_ne!(with_schema(one.clone()), with_schema(other), "{one}");
        }
    }

    #[test]
    fn what_changed_is_named() {
        let before =
            fingerprint(json!({"name": "t", "description": "a", "_meta": {"version": 1}, "icons": []}));
        let now =
            fingerprint(json!({"name": "t", "description": "a", "_meta": {"version": 2}, "title": "T"}));
        assert_eq!(changed_members(&before, &now), ["_meta", "title"]);
        assert_eq!(changed_members("0123abcd", &now), [""; 0]);
    }
}
