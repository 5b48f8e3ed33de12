//! Asks the server behind the gate for its tools.

use sayso_model::{Reading, reveal_to_string};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::call::Call;
use super::conversation::Conversation;
use super::definition::Definition;
use super::listed::{LISTING_LIMIT, ListError, MAX_PAGES, ToolNotListed};
use crate::relay::message::Message;

/// How much of a server's own error message is repeated, in characters.
const MAX_WORDS: usize = 200;

impl Conversation {
    /// Whether the server is known to list a tool of this name.
    pub(crate) fn lists(&self, tool: &str) -> bool {
        self.names().hold(tool)
    }

    /// Asks whether the server lists the tool that is called.
    pub(crate) async fn ask_whether_listed(&self, call: &Call) -> Result<(), ToolNotListed> {
        self.tools(call).await?;
        if self.lists(&call.tool) { Ok(()) } else { Err(ToolNotListed::Unknown) }
    }

    /// The tool that is called, as the server lists it now.
    pub(crate) async fn definition(&self, call: &Call) -> Result<Definition, ToolNotListed> {
        let tools = self.tools(call).await?;
        let mut found = tools.iter().filter(|tool| tool["name"] == json!(call.tool));
        match (found.next(), found.next()) {
            (Some(tool), None) => Ok(Definition::from_listed(tool)),
            (None, _) => Err(ToolNotListed::Unknown),
            (Some(_), Some(_)) => Err(ToolNotListed::Ambiguous),
        }
    }

    /// All tools, as the server now lists them to this call's client.
    async fn tools(&self, call: &Call) -> Result<Vec<Value>, ToolNotListed> {
        let pages = tokio::time::timeout(LISTING_LIMIT, self.pages(call)).await;
        let tools = pages.unwrap_or(Err(ListError::Silent)).map_err(ToolNotListed::ListError)?;
        let names = tools.iter().filter_map(|tool| tool["name"].as_str().map(str::to_owned)).collect();
        self.names().learn(names);
        Ok(tools)
    }

    async fn pages(&self, call: &Call) -> Result<Vec<Value>, ListError> {
        let mut tools = Vec::new();
        let mut cursor = None;
        for _ in 0..MAX_PAGES {
            let mut params = Map::new();
            if let Some(cursor) = cursor {
                params.insert("cursor".to_owned(), cursor);
            }
            let meta = call.protocol_meta();
            if !meta.is_empty() {
                params.insert("_meta".to_owned(), Value::Object(meta));
            }
            let page = page(&self.ask("tools/list", &Value::Object(params)).await?)?;
            tools.extend(
                page.get("tools").and_then(Value::as_array).ok_or(ListError::NotAList)?.iter().cloned(),
            );
            match page.get("nextCursor") {
                None | Some(Value::Null) => return Ok(tools),
                Some(next) => cursor = Some(next.clone()),
            }
        }
        Err(ListError::Endless)
    }
}

/// The result of an answer, or its error.
fn page(answer: &Message) -> Result<Value, ListError> {
    let read = |raw: &RawValue| serde_json::from_str::<Value>(raw.get()).ok();
    if let Some(error) = answer.member("error") {
        let error = read(error).unwrap_or_default();
        let message = error["message"].as_str().unwrap_or_default();
        let message =
            reveal_to_string(message, Reading::Words).replace('\n', " ").chars().take(MAX_WORDS).collect();
        return Err(ListError::Error { code: error["code"].to_string(), message });
    }
    answer.member("result").and_then(read).ok_or(ListError::NotAList)
}
