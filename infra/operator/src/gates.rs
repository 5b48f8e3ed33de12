use sayso_cloud::operator::RegisteredGate;
use sayso_model::{Audience, GateDescription, Timestamp};
use serde_json::json;

use crate::connection::Deployment;
use crate::outcome::{Report, Stopped};
use crate::terminal::{one_line, table};

pub(crate) async fn add(
    to: &Deployment,
    audience: Audience,
    description: Option<GateDescription>,
    now: Timestamp,
) -> Result<Report, Stopped> {
    let gate = RegisteredGate { audience, description, created_at: now };
    to.registry.add_gate(&gate).await?;
    let json = json!({
        "gate": gate.audience.as_str(),
        "description": gate.description.as_ref().map(GateDescription::as_str),
    });
    Ok(Report::done(format!("Registered the gate {}.\n", gate.audience), json))
}

pub(crate) async fn list(to: &Deployment) -> Result<Report, Stopped> {
    let gates = to.registry.gates().await?;
    let description = |gate: &RegisteredGate| {
        gate.description.as_ref().map(|words| one_line(words.as_str())).unwrap_or_default()
    };
    let rows: Vec<_> = gates
        .iter()
        .map(|gate| [gate.audience.to_string(), gate.created_at.to_string(), description(gate)])
        .collect();
    let text = if rows.is_empty() {
        "No gate is registered: `sayso gate add AUDIENCE` registers one.\n".to_owned()
    } else {
        table(["GATE", "SINCE", "DESCRIPTION"], &rows)
    };
    let listed: Vec<_> = gates
        .iter()
        .map(|gate| {
            json!({
                "gate": gate.audience.as_str(),
                "created_at": gate.created_at.to_string(),
                "description": gate.description.as_ref().map(GateDescription::as_str),
            })
        })
        .collect();
    Ok(Report::done(text, json!({"gates": listed})))
}
