//! Checks that a call's headers (`Mcp-Param-…`) repeat the arguments that the tool's schema names: a proxy may have let the call
//! pass because of them.

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

/// How long a list is used before the server is asked again.
const FRESH: Duration = Duration::from_secs(300);

/// Refuses a call whose headers do not repeat its arguments. Asks the server for its tools if they are not known, and again
/// before it refuses a call, because they may have changed.
pub(super) async fn check(shared: &Arc<Shared>, headers: &HeaderMap, call: &Message) -> Result<(), Refusal> {
    let name = call.at(&["params", "name"]).and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
    // A call without a name is refused later.
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
        problem: "the server did not list its tools, so the headers of this call cannot be checked: try again",
    })?;
    let repeats = repeat(&tools);
    shared.lock().listed = Some((tools, clock::now().plus(FRESH)));
    if repeats == Some(false) {
        let problem = "the `Mcp-Param-…` headers must repeat the arguments that the tool's schema names";
        return Err(Refusal { code: HEADER_MISMATCH, problem });
    }
    // A tool that the server does not list is refused later.
    Ok(())
}

/// All tools, as the server now lists them to this call's client.
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
        // This id counts only here: the server gets another one.
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
