//! The mail service's reports: SES tells EventBridge that a mail bounced, was rejected or was reported as spam, and this
//! function writes that down beside the approval it was about. It has no address anybody could call, reads nothing,
//! and may write nothing else.
//!
//! **Threat.** An event that somebody else made up. Only AWS services can put events with the source `aws.ses` on a bus, and
//! the rule in the template passes only those of this account and this deployment's configuration set. What a forged report could
//! do is have an agent told that its approver was not reached.

mod event;

use sayso_cloud::{Aws, Clock, Failure, Store, VariableError, optional, random, required};
use sayso_model::token::Jwks;
use sayso_model::{ApprovalId, Retention, Undelivered};
use serde_json::Value;

use event::{Report, report};

/// What the deployment says.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The table's name.
    pub table: String,
    /// How long an answered approval stays readable.
    pub retention: Retention,
}

impl Settings {
    /// `TABLE_NAME`; optionally `RETENTION_DAYS` (90).
    pub fn from_env() -> Result<Self, VariableError> {
        let text = |value: &str| Ok::<_, std::convert::Infallible>(value.to_owned());
        Ok(Self {
            table: required("TABLE_NAME", text)?,
            retention: optional("RETENTION_DAYS", Retention::parse_days)?.unwrap_or_default(),
        })
    }
}

/// What an event needs.
#[derive(Clone)]
pub struct Deps {
    store: Store,
    retention: Retention,
    clock: Clock,
}

impl Deps {
    /// As deployed.
    pub fn from_env() -> Result<Self, VariableError> {
        Ok(Self::connect(&Aws::from_env()?, Settings::from_env()?, Clock::system()))
    }

    /// Over these endpoints, with this clock.
    pub fn connect(aws: &Aws, settings: Settings, clock: Clock) -> Self {
        // No outcome is read here, so no key is needed that one would have to verify under.
        let store = Store::new(aws.dynamodb(), settings.table, Jwks::of_all([]));
        Self { store, retention: settings.retention, clock }
    }
}

/// Writes down what an event of SES's says of a mail. Writing the same twice changes nothing.
///
/// # Errors
/// Fails if the write fails, so that Lambda tries the event again. An event that cannot be understood is logged and not tried again.
pub async fn record(deps: &Deps, event: Value) -> Result<(), Failure> {
    match report(event) {
        Ok(Report::Undelivered { id, message_id, address, cause }) => {
            let at = deps.clock.now();
            write(deps, id, &Undelivered { message_id, address, cause, at }).await
        }
        Ok(Report::Nothing(why)) => {
            tracing::info!(why, "an event says nothing of an undelivered mail");
            Ok(())
        }
        Err(problem) => {
            let error_id = random::error_id();
            tracing::error!(error_id, %problem, "an event is not understood");
            Ok(())
        }
    }
}

async fn write(deps: &Deps, id: ApprovalId, undelivered: &Undelivered) -> Result<(), Failure> {
    let recorded = deps.store.record_undelivered(id, undelivered, deps.retention).await;
    match &recorded {
        Ok(()) => {
            tracing::warn!(approval_id = %id, cause = undelivered.cause.as_str(), "a mail did not arrive")
        }
        Err(failure) => {
            let error_id = random::error_id();
            tracing::error!(error_id, approval_id = %id, %failure, "a report was not recorded");
        }
    }
    recorded
}
