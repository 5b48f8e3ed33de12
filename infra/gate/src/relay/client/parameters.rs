//! Whether a call repeats in headers (`Mcp-Param-…`) those of its arguments that the tool wants repeated: whoever is on the
//! way may have let it pass for them.

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use serde_json::{Map, Value};

use super::conversation::Shared;
use super::metadata::{CAPABILITIES_META, HEADER_MISMATCH, Refusal};
use crate::clock;
use crate::relay::VERSION_META;
use crate::relay::message::{Id, Kind, Message, code};
use crate::relay::upstream::headers::Tools;

/// How long the server may take to list its tools.
const LISTING_LIMIT: Duration = Duration::from_secs(10);

/// Far above any honest list.
const MAX_PAGES: usize = 100;

/// How long a list counts without asking again.
const FRESH: Duration = Duration::from_secs(300);

/// Refuses a call whose headers do not repeat its arguments. The server is asked for its tools where they are not known, and
/// again before a call is refused: they may have changed.
pub(super) async fn check(shared: &Arc<Shared>, headers: &HeaderMap, call: &Message) -> Result<(), Refusal> {
    let name = call.at(&["params", "name"]).and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
    // A call without a name is refused behind this.
    let Some(name) = name else { return Ok(()) };
    let arguments = call.at(&["params", "arguments"]);
    let repeat = |tools: &Tools| tools.repeat(headers, &name, arguments.as_deref());
    let known =
        shared.lock().listed.as_ref().filter(|(_, until)| clock::now() < *until).map(|(it, _)| repeat(it));
    if known == Some(Some(true)) {
        return Ok(());
    }
    let tools = tokio::time::timeout(LISTING_LIMIT, list(shared, call)).await.ok().flatten();
    let tools = tools.ok_or(Refusal {
        code: code::INTERNAL_ERROR,
        problem: "the server did not list its tools, so nobody can tell which arguments the headers repeat: try again",
    })?;
    let repeats = repeat(&tools);
    shared.lock().listed = Some((tools, clock::now().plus(FRESH)));
    if repeats == Some(false) {
        let problem =
            "the headers `Mcp-Param-…` must be the arguments that the tool's schema has repeated in them";
        return Err(Refusal { code: HEADER_MISMATCH, problem });
    }
    // A tool that the server does not list is refused behind this.
    Ok(())
}

/// All tools as the server lists them now to this call's client.
async fn list(shared: &Arc<Shared>, call: &Message) -> Option<Tools> {
    let said = |name: &&str| {
        let value = call.at(&["params", "_meta", name])?;
        Some(((*name).to_owned(), serde_json::from_str(value.get()).ok()?))
    };
    let names = [VERSION_META, "io.modelcontextprotocol/clientInfo", CAPABILITIES_META];
    let meta: Map<String, Value> = names.iter().filter_map(said).collect();
    let mut params = Map::from_iter([("_meta".to_owned(), Value::Object(meta))]);
    let mut tools = Tools::default();
    for _ in 0..MAX_PAGES {
        // What it is called counts here only: the server gets another id.
        let id = Id::number(0);
        let request = Message::request(&id, "tools/list", &Value::Object(params.clone()));
        let (to, request, mut replies) = shared.add(&request, &id)?;
        to.send(request).await.ok()?;
        drop(to);
        let answer = loop {
            let message = replies.next().await;
            if matches!(message.kind(), Kind::Response { .. }) {
                break message;
            }
        };
        let page: Value = serde_json::from_str(answer.member("result")?.get()).ok()?;
        tools.learn(page.get("tools").filter(|tools| tools.is_array())?);
        match page.get("nextCursor") {
            None | Some(Value::Null) => return Some(tools),
            Some(next) => _ = params.insert("cursor".to_owned(), next.clone()),
        }
    }
    None
}
