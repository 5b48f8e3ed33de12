use sayso_model::{CanonicalJson, ProfileViolation};
use sayso_sdk::Permit;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::relay::message::{Id, Members, Message, find, object, write};

/// The parameters of `tools/call` that mean something to some version of the protocol.
const KNOWN: [&str; 6] = ["name", "arguments", "_meta", "task", "inputResponses", "requestState"];

/// Those of them that a call is sent with when a human has approved it, or when the server's own description of the tool let
/// it pass. Of others nobody knows what a server makes of them.
const RELEASED: [&str; 4] = ["name", "arguments", "_meta", "task"];

/// What is sent of the `_meta` of such a call: the protocol's own, to the letter. Some servers choose by the rest of it what
/// runs (FastMCP the version of the tool), and the human has not read it.
const RELEASED_META: [&str; 7] = [
    "progressToken",
    "traceparent",
    "tracestate",
    "io.modelcontextprotocol/protocolVersion",
    "io.modelcontextprotocol/clientInfo",
    "io.modelcontextprotocol/clientCapabilities",
    "io.modelcontextprotocol/logLevel",
];

/// What is sent of its `task`: how long its result is kept, in milliseconds.
const RELEASED_TASK: [&str; 1] = ["ttl"];

/// What 2026-07-28 has in the `_meta` of every request, which our own requests on a client's behalf repeat.
const PROTOCOL: &str = "io.modelcontextprotocol/";

/// A `tools/call`, read as the server behind the gate will read it.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) id: Id,
    pub(crate) tool: String,
    message: Message,
    params: Members,
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
        if tool.chars().any(char::is_control) {
            return Err(refuse(&"`name` holds a control character: give the tool's name as it is listed"));
        }
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

    /// Whether what is on the lists can be told from the rest of it: no look-alike of a listed name, no `task` that is no object.
    pub(crate) fn is_plain(&self) -> bool {
        self.clone().described().is_some()
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
        let protocol = self
            .meta
            .iter()
            .filter(|(name, _)| name.starts_with(PROTOCOL) && RELEASED_META.contains(&name.as_str()));
        protocol.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// As it came.
    pub(crate) fn into_message(self) -> Message {
        self.message
    }

    /// The call as the server's description of the tool is about it: with the arguments as they came, and nothing that could
    /// make it another version's.
    pub(crate) fn described(self) -> Option<Message> {
        self.released(None)
    }

    /// The call as it was permitted: with the very text that was hashed, and nothing that could make it another.
    pub(crate) fn permitted(self, permit: Permit) -> Option<Message> {
        let arguments = permit.into_action().arguments;
        self.released(Some(RawValue::from_string(arguments.as_str().to_owned()).ok()?))
    }

    /// A message of what is on the lists above; `None` if the call is not plain.
    fn released(mut self, arguments: Option<Box<RawValue>>) -> Option<Message> {
        self.params.retain(|(name, _)| RELEASED.contains(&name.as_str()));
        if let Some(arguments) = arguments {
            match self.params.iter_mut().find(|(name, _)| name == "arguments") {
                Some((_, given)) => *given = arguments,
                None => self.params.push(("arguments".to_owned(), arguments)),
            }
        }
        for (member, permitted) in [("_meta", &RELEASED_META[..]), ("task", &RELEASED_TASK[..])] {
            if let Some((_, value)) = self.params.iter_mut().find(|(name, _)| name == member) {
                *value = only(value, permitted)?;
            }
        }
        let params = RawValue::from_string(write(&self.params)).ok()?;
        Message::of_parts(self.message.member("id")?, "tools/call", &params)
    }
}

/// The same object with these members and no others.
fn only(raw: &RawValue, permitted: &[&str]) -> Option<Box<RawValue>> {
    let mut members = object(raw.get(), permitted).ok()?;
    members.retain(|(name, _)| permitted.contains(&name.as_str()));
    RawValue::from_string(write(&members)).ok()
}
