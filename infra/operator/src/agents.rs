use std::collections::BTreeMap;

use sayso_cloud::operator::RegisteredKey;
use sayso_cloud::random;
use sayso_model::passkey::RequiredProof;
use sayso_model::{Agent, AgentKey, AgentName, KeyLabel, Overlap, Timestamp};
use serde_json::{Value, json};

use crate::arguments::AddAgent;
use crate::connection::Deployment;
use crate::gates::in_words;
use crate::outcome::{Report, Stopped};
use crate::terminal::{count, table};

pub(crate) async fn add(to: &Deployment, add: &AddAgent, now: Timestamp) -> Result<Report, Stopped> {
    let key = random::agent_key();
    let agent = to.registry.add_agent(key.hash(), &add.name, &add.approver, &add.gate, now).await?;
    let mut text = format!(
        "Registered the agent {}: {} decides, for {}.\n\n",
        agent.name,
        agent.approver.id,
        gates(&agent, ", ")
    );
    text.push_str(&shown_once(to, &key));
    Ok(Report::done(text, with_key(to, &agent, &key)))
}

pub(crate) async fn rotate(
    to: &Deployment,
    name: &AgentName,
    overlap: Overlap,
    now: Timestamp,
) -> Result<Report, Stopped> {
    let key = random::agent_key();
    let rotated = to.registry.rotate_agent(key.hash(), name, overlap, now).await?;
    let old = match rotated.old_keys {
        0 => "no other key works".to_owned(),
        old if rotated.old_until <= now => format!("{} stopped", count(old, "old key")),
        old => format!("{} valid until {}", count(old, "old key"), rotated.old_until),
    };
    let mut text = format!("Created a new key for the agent {name}; {old}.\n\n");
    text.push_str(&shown_once(to, &key));
    let mut json = with_key(to, &rotated.agent, &key);
    json["old_keys"] = rotated.old_keys.into();
    json["old_keys_until"] = rotated.old_until.to_string().into();
    Ok(Report::done(text, json))
}

pub(crate) async fn proof(
    to: &Deployment,
    name: &AgentName,
    proof: RequiredProof,
) -> Result<Report, Stopped> {
    to.registry.set_agent_proof(name, proof).await?;
    let text = format!(
        "Approving what the agent {name} asks takes {}. It holds from the next decision on.\n",
        in_words(proof)
    );
    Ok(Report::done(text, json!({"agent": name.as_str(), "proof": proof.as_str()})))
}

pub(crate) async fn revoke(to: &Deployment, name: &AgentName) -> Result<Report, Stopped> {
    let revoked = to.registry.revoke_agent(name).await?;
    let text = format!("Revoked the agent {name}: {} stopped working.\n", count(revoked, "key"));
    Ok(Report::done(text, json!({"agent": name.as_str(), "revoked_keys": revoked})))
}

pub(crate) async fn list(to: &Deployment, now: Timestamp) -> Result<Report, Stopped> {
    let keys = to.registry.keys().await?;
    let proofs = to.registry.agent_proofs().await?;
    let proof_of = |name: &str| proofs.get(name).copied().unwrap_or_default();
    // Keys of one agent have the same registration, unless somebody wrote rows by hand: then each is listed.
    let mut agents: BTreeMap<(String, String, String, String), Vec<&RegisteredKey>> = BTreeMap::new();
    for key in &keys {
        let Agent { name, approver, .. } = &key.agent;
        let registration =
            (name.to_string(), approver.id.to_string(), approver.email.masked(), gates(&key.agent, ", "));
        agents.entry(registration).or_default().push(key);
    }
    let rows: Vec<_> = agents
        .iter()
        .map(|((name, approver, address, gates), keys)| {
            let proof = proof_of(name).to_string();
            [name.clone(), approver.clone(), address.clone(), gates.clone(), proof, how_many(keys, now)]
        })
        .collect();
    let text = if rows.is_empty() {
        "No agent is registered: `sayso agent add NAME --approver ID` registers one.\n".to_owned()
    } else {
        table(["AGENT", "APPROVER", "ADDRESS", "GATES", "PROOF", "KEYS"], &rows)
    };
    let agents: Vec<_> =
        agents.iter().filter_map(|((name, ..), keys)| listed(keys, proof_of(name), now)).collect();
    Ok(Report::done(text, json!({"agents": agents})))
}

fn gates(agent: &Agent, between: &str) -> String {
    agent.audiences.iter().map(ToString::to_string).collect::<Vec<_>>().join(between)
}

fn how_many(keys: &[&RegisteredKey], now: Timestamp) -> String {
    let valid = keys.iter().filter(|key| key.is_valid(now));
    let ends: Vec<_> = valid.clone().filter_map(|key| key.valid_until).collect();
    match (valid.count(), ends.iter().max()) {
        (0, _) => "none valid".to_owned(),
        (valid, None) => valid.to_string(),
        (valid, Some(last)) if ends.len() == valid => format!("{valid}, until {last}"),
        (valid, Some(last)) => format!("{valid}, {} of them until {last}", ends.len()),
    }
}

fn listed(keys: &[&RegisteredKey], proof: RequiredProof, now: Timestamp) -> Option<Value> {
    let agent = &keys.first()?.agent;
    let keys: Vec<_> = keys
        .iter()
        .map(|key| {
            json!({
                "id": KeyLabel::from(key.hash).to_string(),
                "created_at": key.created_at.map(|at| at.to_string()),
                "valid_until": key.valid_until.map(|end| end.to_string()),
                "valid": key.is_valid(now),
            })
        })
        .collect();
    Some(json!({
        "agent": agent.name.as_str(),
        "approver": agent.approver.id.as_str(),
        "address": agent.approver.email.masked(),
        "gates": agent.audiences.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "proof": proof.as_str(),
        "keys": keys,
    }))
}

/// The only place where a key is shown.
fn shown_once(to: &Deployment, key: &AgentKey) -> String {
    let (key, url) = (key.expose(), mcp_url(to));
    let configuration = configuration(to, key);
    format!(
        "Its key, shown only now:\n\n  {key}\n\n\
         Claude Code:\n\n  claude mcp add --transport http sayso {url} --header \"Authorization: Bearer {key}\"\n\n\
         Any other MCP client:\n\n{configuration:#}\n"
    )
}

fn with_key(to: &Deployment, agent: &Agent, key: &AgentKey) -> Value {
    json!({
        "agent": agent.name.as_str(),
        "approver": agent.approver.id.as_str(),
        "gates": agent.audiences.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "key": key.expose(),
        "key_id": KeyLabel::from(key.hash()).to_string(),
        "client_configuration": configuration(to, key.expose()),
    })
}

fn configuration(to: &Deployment, key: &str) -> Value {
    let headers = json!({"Authorization": format!("Bearer {key}")});
    json!({"mcpServers": {"sayso": {"type": "http", "url": mcp_url(to), "headers": headers}}})
}

/// The MCP endpoint, or a placeholder to be filled in by hand.
fn mcp_url(to: &Deployment) -> &str {
    to.mcp_url().map_or("MCP_URL", |url| url.as_str())
}
