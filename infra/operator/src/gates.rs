use sayso_cloud::operator::RegisteredGate;
use sayso_model::passkey::RequiredProof;
use sayso_model::{Audience, GateDescription, Mask, Masks, Timestamp};
use serde_json::json;

use crate::connection::Deployment;
use crate::outcome::{Report, Stopped};
use crate::terminal::{one_line, table};

pub(crate) async fn add(
    to: &Deployment,
    audience: Audience,
    description: Option<GateDescription>,
    proof: RequiredProof,
    now: Timestamp,
) -> Result<Report, Stopped> {
    let gate = RegisteredGate { audience, description, masks: Masks::NONE, proof, created_at: now };
    to.registry.add_gate(&gate).await?;
    let json = json!({
        "gate": gate.audience.as_str(),
        "description": gate.description.as_ref().map(GateDescription::as_str),
        "proof": gate.proof.as_str(),
    });
    Ok(Report::done(format!("Registered the gate {}.\n", gate.audience), json))
}

pub(crate) async fn proof(
    to: &Deployment,
    audience: &Audience,
    proof: RequiredProof,
) -> Result<Report, Stopped> {
    to.registry.set_gate_proof(audience, proof).await?;
    let text = format!(
        "Approving what the gate {audience} is asked for takes {}. It holds from the next decision on.\n",
        in_words(proof)
    );
    Ok(Report::done(text, json!({"gate": audience.as_str(), "proof": proof.as_str()})))
}

/// What an approver needs.
pub(crate) fn in_words(proof: RequiredProof) -> &'static str {
    match proof {
        RequiredProof::EmailLink => "the mailed link and its code",
        RequiredProof::Passkey => "a passkey of the approver",
    }
}

pub(crate) async fn mask(to: &Deployment, audience: &Audience, masks: Vec<Mask>) -> Result<Report, Stopped> {
    let masks = Masks::new(masks).map_err(Stopped::usage)?;
    to.registry.mask_gate(audience, &masks).await?;
    let texts: Vec<&str> = masks.texts().collect();
    let told = if texts.is_empty() {
        format!("The gate {audience} masks nothing now.\n")
    } else {
        format!(
            "Masked at the gate {audience}: {}. This applies to all mails, exports and `approvals show` from now on. Mails already sent and earlier exports do not change.\n",
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
            let proof = gate.proof.to_string();
            [gate.audience.to_string(), gate.created_at.to_string(), proof, masked, description(gate)]
        })
        .collect();
    let text = if rows.is_empty() {
        "No gate is registered: `sayso gate add AUDIENCE` registers one.\n".to_owned()
    } else {
        table(["GATE", "SINCE", "PROOF", "MASKED", "DESCRIPTION"], &rows)
    };
    let listed: Vec<_> = gates
        .iter()
        .map(|gate| {
            json!({
                "gate": gate.audience.as_str(),
                "created_at": gate.created_at.to_string(),
                "description": gate.description.as_ref().map(GateDescription::as_str),
                "proof": gate.proof.as_str(),
                "masked": gate.masks.texts().collect::<Vec<_>>(),
            })
        })
        .collect();
    Ok(Report::done(text, json!({"gates": listed})))
}
