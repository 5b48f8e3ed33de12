//! A `tools/call` message: what the gate reads of it, and what it lets through.

use sayso_model::{CanonicalJson, ProfileViolation};
use sayso_sdk::Permit;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::relay::message::{Id, Members, Message, find, object, write};

/// The parameters of `tools/call` that have a meaning in some version of the protocol.
const KNOWN: [&str; 6] = ["name", "arguments", "_meta", "task", "inputResponses", "requestState"];

/// The parameters that are sent with a call that a human has approved, or that passed because of the tool's description. What a
/// server does with others is not known.
const RELEASED: [&str; 4] = ["name", "arguments", "_meta", "task"];

/// The members of `_meta` that are sent with such a call: exactly the protocol's own. Some servers let the other members choose
/// what runs (FastMCP: the version of the tool), and the human has not read those.
const RELEASED_META: [&str; 7] = [
    "progressToken",
    "traceparent",
    "tracestate",
    "io.modelcontextprotocol/protocolVersion",
    "io.modelcontextprotocol/clientInfo",
    "io.modelcontextprotocol/clientCapabilities",
    "io.modelcontextprotocol/logLevel",
];

/// The members of `task` that are sent: how long the result is kept, in milliseconds.
const RELEASED_TASK: [&str; 1] = ["ttl"];

/// The prefix of what version 2026-07-28 has in every request's `_meta`. The gate's own requests for a client repeat it.
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
    /// The error is a message for the sender.
    pub(crate) fn parse(id: Id, message: Message) -> Result<Self, String> {
        let refuse = |problem: &dyn std::fmt::Display| format!("the params of tools/call: {problem}");
        let params = message.member("params").map_or("{}", RawValue::get);
        let params = object(params, &KNOWN).map_err(|violation| refuse(&violation))?;
        let name = find(&params, "name").and_then(|name| serde_json::from_str(name.get()).ok());
        let tool: String = name.ok_or_else(|| refuse(&"`name` must be the name of a tool"))?;
        if tool.chars().any(char::is_control) {
            return Err(refuse(&"`name` contains a control character: give the tool's name as it is listed"));
        }
        let meta = match find(&params, "_meta").map(|meta| serde_json::from_str(meta.get())) {
            None => Map::new(),
            Some(Ok(meta)) => meta,
            Some(Err(_)) => return Err(refuse(&"`_meta` must be an object")),
        };
        Ok(Self { id, tool, message, params, meta })
    }

    /// The arguments in the form that is hashed, shown and forwarded. No arguments count as an empty object.
    pub(crate) fn arguments(&self) -> Result<CanonicalJson, ProfileViolation> {
        let given = find(&self.params, "arguments").map_or("{}", RawValue::get);
        CanonicalJson::parse(if given == "null" { "{}" } else { given })
    }

    /// Whether it continues a call in which the server has asked for more.
    pub(crate) fn is_follow_up(&self) -> bool {
        ["inputResponses", "requestState"].iter().any(|name| find(&self.params, name).is_some())
    }

    /// Whether the parameters on the lists above are unambiguous: no look-alike of a listed name, and `task` is an object.
    pub(crate) fn is_plain(&self) -> bool {
        self.clone().described().is_some()
    }

    /// The token under which the client wants to hear of progress.
    pub(crate) fn progress_token(&self) -> Option<&Value> {
        self.meta.get("progressToken")
    }

    /// Whether the client speaks version 2026-07-28 or later, in which every result has a type.
    pub(crate) fn is_modern(&self) -> bool {
        self.meta.contains_key("io.modelcontextprotocol/protocolVersion")
    }

    /// The `_meta` for a request that the gate makes for this client.
    pub(crate) fn protocol_meta(&self) -> Map<String, Value> {
        let protocol = self
            .meta
            .iter()
            .filter(|(name, _)| name.starts_with(PROTOCOL) && RELEASED_META.contains(&name.as_str()));
        protocol.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// The message as it came.
    pub(crate) fn into_message(self) -> Message {
        self.message
    }

    /// The call that the tool's description covers: with the arguments as they came, and nothing that could select another
    /// version of the tool.
    pub(crate) fn described(self) -> Option<Message> {
        self.released(None)
    }

    /// The call that was approved: with the very text that was hashed, and nothing that could change its meaning.
    pub(crate) fn permitted(self, permit: Permit) -> Option<Message> {
        let arguments = permit.into_action().arguments;
        self.released(Some(RawValue::from_string(arguments.as_str().to_owned()).ok()?))
    }

    /// A message with only what is on the lists above; `None` if the call is not plain.
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
