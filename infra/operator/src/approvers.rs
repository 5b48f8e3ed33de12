use sayso_model::{Approver, ApproverId, EmailAddress, Timestamp};
use serde_json::json;

use crate::connection::Deployment;
use crate::outcome::{Report, Stopped};
use crate::terminal::{count, table};

pub(crate) async fn add(
    to: &Deployment,
    id: ApproverId,
    email: EmailAddress,
    replace: bool,
    now: Timestamp,
) -> Result<Report, Stopped> {
    let approver = Approver { id, email };
    let changed = to.registry.add_approver(&approver, replace, now).await?;
    let Approver { id, email } = approver;
    let address = email.masked();
    let mut text = format!("Registered the approver {id}, {address}.\n");
    if changed > 0 {
        text.push_str(&format!(
            "{} of its agents had another address: new requests go to the new one.\n",
            count(changed, "key")
        ));
    }
    if replace {
        text.push_str(&format!(
            "Passkeys stay enrolled. If {id} is another person now, remove them: `sayso approver passkeys {id}` lists them.\n"
        ));
    }
    Ok(Report::done(text, json!({"approver": id.as_str(), "address": address, "changed_keys": changed})))
}

pub(crate) async fn list(to: &Deployment, addresses: bool) -> Result<Report, Stopped> {
    let approvers = to.registry.approvers().await?;
    let address = |email: &EmailAddress| {
        if addresses { email.expose().to_owned() } else { email.masked() }
    };
    let rows: Vec<_> = approvers
        .iter()
        .map(|known| {
            let Approver { id, email } = &known.approver;
            [id.to_string(), address(email), known.created_at.to_string()]
        })
        .collect();
    let text = if rows.is_empty() {
        "No approver is registered: `sayso approver add ID EMAIL` registers one.\n".to_owned()
    } else {
        table(["APPROVER", "ADDRESS", "SINCE"], &rows)
    };
    let listed: Vec<_> = rows
        .iter()
        .map(|[id, address, since]| json!({"approver": id, "address": address, "created_at": since}))
        .collect();
    Ok(Report::done(text, json!({"approvers": listed})))
}

pub(crate) async fn remove(to: &Deployment, id: &ApproverId, now: Timestamp) -> Result<Report, Stopped> {
    to.registry.remove_approver(id, now).await?;
    Ok(Report::done(
        format!("Removed the approver {id}.\n"),
        json!({"approver": id.as_str(), "removed": true}),
    ))
}
