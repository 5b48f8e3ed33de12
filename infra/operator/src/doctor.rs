//! `doctor`: tests a deployment end to end, with one agent and one approver.

use sayso_model::EmailAddress;

use crate::arguments::Doctor;
use crate::connection::Deployment;
use crate::outcome::{Report, Stopped};
use crate::trial::{Ended, Failed, Steps, Trial};

pub(crate) async fn run(to: &Deployment, doctor: &Doctor, quiet: bool) -> Result<Report, Stopped> {
    let mailbox = match (&doctor.email, &to.outbox) {
        (Some(email), _) => email.clone(),
        (None, Some(_)) => EmailAddress::parse("canary@example.com").map_err(Stopped::usage)?,
        (None, None) => {
            return Err(Stopped::usage("say whose mailbox the question goes to: --email ADDRESS"));
        }
    };
    let mut trial = Trial::new(to, mailbox)?;
    let mut steps = Steps::new(quiet);
    let tried = tokio::select! {
        tried = once(&mut trial, doctor, &mut steps) => tried,
        _ = tokio::signal::ctrl_c() => steps.fail("interrupted", Failed::interrupted()),
    };
    if tried.is_err() {
        trial.withdraw().await;
    }
    // The steps have the result.
    let _ = trial.remove(&mut steps).await;
    steps.into_report()
}

async fn once(trial: &mut Trial<'_>, doctor: &Doctor, steps: &mut Steps) -> Result<(), Ended> {
    trial.read(steps).await?;
    trial.register(steps).await?;
    let requested = trial.ask(steps).await?;
    let decided = trial.decided(steps, requested.id, doctor.wait).await?;
    trial.redeem(steps, &decided.token).await
}
