use sayso_cloud::operator::RegisteredGate;
use sayso_model::{Audience, GateDescription, Mask, Masks, Timestamp};
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
    let gate = RegisteredGate { audience, description, masks: Masks::NONE, created_at: now };
    to.registry.add_gate(&gate).await?;
    let json = json!({
        "gate": gate.audience.as_str(),
        "description": gate.description.as_ref().map(GateDescription::as_str),
    });
    Ok(Report::done(format!("Registered the gate {}.\n", gate.audience), json))
}

pub(crate) async fn mask(to: &Deployment, audience: &Audience, masks: Vec<Mask>) -> Result<Report, Stopped> {
    let masks = Masks::new(masks).map_err(Stopped::usage)?;
    to.registry.mask_gate(audience, &masks).await?;
    let texts: Vec<&str> = masks.texts().collect();
    let told = if texts.is_empty() {
        format!("Nothing that the gate {audience} is asked for is masked any more.\n")
    } else {
        format!(
            "Masked at the gate {audience}: {}. It holds for the next mail, and for whatever is exported or shown from now on. Mails that are out and earlier exports stay as they are.\n",
            one_line(&texts.join(", "))
        )
    };
    Ok(Report::done(told, json!({"gate": audience.as_str(), "masked": texts})))
}

pub(crate) async fn list(to: &Deployment) -> Result<Report, Stopped> {
    let gates = to.registry.gates().await?;
    let description = |gate: &RegisteredGate| {
        gate.description.as_ref().map(|words| one_line(words.as_str())).unwrap_or_default()
    };
    let rows: Vec<_> = gates
        .iter()
        .map(|gate| {
            let masked = one_line(&gate.masks.texts().collect::<Vec<_>>().join(", "));
            [gate.audience.to_string(), gate.created_at.to_string(), masked, description(gate)]
        })
        .collect();
    let text = if rows.is_empty() {
        "No gate is registered: `sayso gate add AUDIENCE` registers one.\n".to_owned()
    } else {
        table(["GATE", "SINCE", "MASKED", "DESCRIPTION"], &rows)
    };
    let listed: Vec<_> = gates
        .iter()
        .map(|gate| {
            json!({
                "gate": gate.audience.as_str(),
                "created_at": gate.created_at.to_string(),
                "description": gate.description.as_ref().map(GateDescription::as_str),
                "masked": gate.masks.texts().collect::<Vec<_>>(),
            })
        })
        .collect();
    Ok(Report::done(text, json!({"gates": listed})))
}
