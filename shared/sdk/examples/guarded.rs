//! A program that asks a human before it deletes something. `cargo local` is all of Sayso for it: see the README.
#![expect(clippy::print_stdout, reason = "a program")]

use std::error::Error;
use std::time::Duration;

use sayso_sdk::{
    Action, AgentKey, ApprovalRequest, ApprovalStatus, Approvals, Audience, BaseUrl, CanonicalJson,
    Clock as _, ExpiresIn, Gate, GateName, Permit, Summary, SystemClock, ToolName,
};

/// What has consequences takes the permit by value.
fn delete_backups(permit: Permit) {
    let action = permit.into_action();
    println!("Deleting, as approved: {}", action.arguments.as_str());
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    #[expect(clippy::disallowed_methods, reason = "a program")]
    let key: AgentKey = std::env::var("SAYSO_AGENT_KEY")?.parse()?;
    let (mcp_url, issuer): (BaseUrl, BaseUrl) =
        ("http://127.0.0.1:8787/mcp".parse()?, "http://127.0.0.1:8790".parse()?);
    let audience: Audience = "local".parse()?;
    let approvals = Approvals::new(mcp_url, key)?;
    let gate = Gate::new(issuer, audience.clone(), GateName::parse("the example")?)?;

    let action = Action {
        tool: ToolName::parse("delete_backups")?,
        arguments: CanonicalJson::parse(r#"{"older_than_days": 30}"#)?,
    };
    let pending = approvals
        .request(&ApprovalRequest {
            action: &action,
            audience: &audience,
            summary: &Summary::parse("Delete all backups that are older than 30 days")?,
            reason: None,
            expires_in: ExpiresIn::default(),
            earlier: None,
        })
        .await?;
    println!("{} has been asked. How it stands: {}", pending.approver, pending.status_url);

    // It may also end here, and go on tomorrow with `pending.id`.
    match approvals.wait_for(pending.id, Duration::from_secs(3600), &SystemClock).await? {
        ApprovalStatus::Approved { token, .. } => {
            delete_backups(gate.permit(&token, action, SystemClock.now()).await?);
        }
        other => println!("Nothing was deleted: {other:?}"),
    }
    Ok(())
}
