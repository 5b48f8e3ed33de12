use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::policy::Hints;

/// A tool as the server behind the gate lists it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Definition {
    pub(crate) hints: Hints,
    /// SHA-256 in hexadecimal over what says how it is called and what it does: everything but `_meta` and the icons.
    pub(crate) fingerprint: String,
}

impl Definition {
    /// From its entry in the result of `tools/list`.
    pub(crate) fn from_listed(mut tool: Value) -> Self {
        let annotation = |name: &str| tool.pointer(&format!("/annotations/{name}")).and_then(Value::as_bool);
        let absent = Hints::default();
        let hints = Hints {
            read_only: annotation("readOnlyHint").unwrap_or(absent.read_only),
            destructive: annotation("destructiveHint").unwrap_or(absent.destructive),
        };
        if let Some(members) = tool.as_object_mut() {
            members.retain(|name, _| !matches!(name.as_str(), "_meta" | "icons"));
        }
        // The canonical form only fails on what no parsed value is (a number that is not finite).
        let canonical =
            serde_json_canonicalizer::to_vec(&tool).unwrap_or_else(|_| tool.to_string().into_bytes());
        let fingerprint = Sha256::digest(canonical).iter().map(|byte| format!("{byte:02x}")).collect();
        Self { hints, fingerprint }
    }
}
