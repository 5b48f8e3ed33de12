use sayso_gate::Permit;
use sayso_model::{CanonicalJson, ProfileViolation};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::message::{Id, Message, find, object, write};

/// The parameters of `tools/call` that mean something to some version of the protocol.
const KNOWN: [&str; 6] = ["name", "arguments", "_meta", "task", "inputResponses", "requestState"];

/// What 2026-07-28 has in the `_meta` of every request, which our own requests on a client's behalf repeat.
const PROTOCOL: &str = "io.modelcontextprotocol/";

/// A `tools/call`, read as the server behind the gate will read it.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) id: Id,
    pub(crate) tool: String,
    message: Message,
    params: Vec<(String, Box<RawValue>)>,
    meta: Map<String, Value>,
}

impl Call {
    /// The error is a sentence for its sender.
    pub(crate) fn parse(id: Id, message: Message) -> Result<Self, String> {
        let refuse = |problem: &dyn std::fmt::Display| format!("the params of tools/call: {problem}");
        let params = message.member("params").map_or("{}", RawValue::get);
        let params = object(params, &KNOWN).map_err(|violation| refuse(&violation))?;
        let name = find(&params, "name").and_then(|name| serde_json::from_str(name.get()).ok());
        let tool: String = name.ok_or_else(|| refuse(&"`name` must be the name of a tool"))?;
        let meta = match find(&params, "_meta").map(|meta| serde_json::from_str(meta.get())) {
            None => Map::new(),
            Some(Ok(meta)) => meta,
            Some(Err(_)) => return Err(refuse(&"`_meta` must be an object")),
        };
        Ok(Self { id, tool, message, params, meta })
    }

    /// The arguments in the form that is hashed, shown and forwarded; none are the same as an empty object.
    pub(crate) fn arguments(&self) -> Result<CanonicalJson, ProfileViolation> {
        let given = find(&self.params, "arguments").map_or("{}", RawValue::get);
        CanonicalJson::parse(if given == "null" { "{}" } else { given })
    }

    /// Whether it answers what the server asked back in the middle of a call.
    pub(crate) fn is_follow_up(&self) -> bool {
        ["inputResponses", "requestState"].iter().any(|name| find(&self.params, name).is_some())
    }

    /// By which the client wants to hear of progress.
    pub(crate) fn progress_token(&self) -> Option<&Value> {
        self.meta.get("progressToken")
    }

    /// Whether the client speaks 2026-07-28 or later, where every result says of which type it is.
    pub(crate) fn is_modern(&self) -> bool {
        self.meta.contains_key("io.modelcontextprotocol/protocolVersion")
    }

    /// The `_meta` for a request of our own on this client's behalf.
    pub(crate) fn protocol_meta(&self) -> Map<String, Value> {
        let protocol = self.meta.iter().filter(|(name, _)| name.starts_with(PROTOCOL));
        protocol.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// As it came.
    pub(crate) fn into_message(self) -> Message {
        self.message
    }

    /// The call as it was permitted: with the very text that was hashed.
    pub(crate) fn permitted(mut self, permit: Permit) -> Message {
        let arguments = permit.into_action().arguments;
        let raw =
            |text: &str| RawValue::from_string(text.to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned());
        let arguments = raw(arguments.as_str());
        match self.params.iter_mut().find(|(name, _)| name == "arguments") {
            Some((_, given)) => *given = arguments,
            None => self.params.push(("arguments".to_owned(), arguments)),
        }
        self.message.with("params", raw(&write(&self.params)))
    }
}
