//! `deploy smoke`: tests what only a deployment on AWS can show. Each thing is a step of its own, in the order in which they are
//! likely to break. It reads, has one request approved by a person, and sends one mail to SES's mailbox simulator.

use std::time::Duration;

use reqwest::Client;
use sayso_cloud::Clock;
use sayso_model::token::Issuer;
use sayso_model::{BaseUrl, EmailAddress};
use sayso_sdk::{ApprovalStatus, PendingApproval};

use super::front_door;
use crate::arguments::{Connection, Smoke};
use crate::connection::{Deployment, http};
use crate::outcome::{Report, Stopped};
use crate::terminal::count;
use crate::trial::{Ended, Failed, Steps, Trial};

/// SES takes mails to it, in the sandbox too, and reports each as a hard bounce, which counts against nobody (SES Developer
/// Guide, "Using the mailbox simulator manually").
const SIMULATOR: &str = "bounce@simulator.amazonses.com";

/// AWS calls the delivery of events "best effort"; it takes seconds.
const BOUNCE_LIMIT: Duration = Duration::from_secs(180);
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Checks wait 20 s at least, as the template sets it.
const SHORTEST_HOLD: Duration = Duration::from_secs(15);

pub(crate) async fn smoke(connection: &Connection, smoke: &Smoke) -> Result<Report, Stopped> {
    if connection.local.is_some() {
        return Err(Stopped::usage("these checks need AWS: for a local host run `sayso --local doctor`"));
    }
    let to = Deployment::connect(connection).await?;
    let reached = Reached {
        mcp_url: to.need_mcp_url()?,
        issuer: to.need_issuer()?,
        http: http(to.need_issuer()?.as_str().starts_with("http://"), to.roots())?,
    };
    let mut trial = Trial::new(&to, smoke.email.clone())?;
    let mut bounced = Trial::new(&to, EmailAddress::parse(SIMULATOR).map_err(Stopped::usage)?)?;
    let mut steps = Steps::new(connection.json);
    let tried = tokio::select! {
        tried = reached.each_thing(&mut trial, &mut bounced, smoke.wait, &mut steps) => tried,
        _ = tokio::signal::ctrl_c() => steps.fail("interrupted", Failed::interrupted()),
    };
    if tried.is_err() {
        trial.withdraw().await;
    }
    bounced.withdraw().await;
    // Its key expires by itself, too.
    let _ = bounced.take_away().await;
    // The steps have the result.
    let _ = trial.remove(&mut steps).await;
    steps.into_report()
}

/// The deployment's own addresses.
struct Reached<'a> {
    mcp_url: &'a BaseUrl,
    issuer: &'a Issuer,
    http: Client,
}

impl Reached<'_> {
    async fn each_thing(
        &self,
        trial: &mut Trial<'_>,
        bounced: &mut Trial<'_>,
        wait: Duration,
        steps: &mut Steps,
    ) -> Result<(), Ended> {
        let published = front_door::redeem(&self.http, self.issuer).await;
        steps.take("keys", published, |keys| format!("it answers, and publishes {}", count(*keys, "key")))?;
        let answers = front_door::mcp(&self.http, self.mcp_url).await;
        steps.take("mcp", answers, |()| "it answers, and lets nobody in without a key".to_owned())?;
        trial.read(steps).await?;
        trial.register(steps).await?;
        let requested = trial.ask(steps).await?;
        let page = front_door::page(&self.http, &requested.status_url).await;
        steps.take("page", page, |()| "it answers, with its headers".to_owned())?;
        // The rest does not depend on it.
        let _ = steps.take("bounce", comes_back(bounced).await, |took| {
            format!("a mail that SES sends back is reported to the agent, after {} s", took.as_secs())
        });
        let decided = trial.decided(steps, requested.id, wait).await?;
        let _ = steps.take("wait", held(&decided.held), Clone::clone);
        trial.redeem(steps, &decided.token).await
    }
}

/// Waits for a bounce to get from SES over EventBridge and `feedback` to the agent. Returns how long that took.
async fn comes_back(bounced: &mut Trial<'_>) -> Result<Duration, Failed> {
    bounced.add().await?;
    let PendingApproval { id, .. } = bounced.request().await?;
    let clock = Clock::system();
    let started = clock.elapsed();
    loop {
        let standing = bounced.standing(id).await?;
        let took = clock.elapsed().saturating_sub(started);
        match standing {
            ApprovalStatus::Undeliverable { .. } => return Ok(took),
            ApprovalStatus::Pending { .. } if took < BOUNCE_LIMIT => clock.sleep(LOOK_AGAIN).await,
            ApprovalStatus::Pending { .. } => {
                return Err(Failed::new(
                    format!("no report of it after {} s", took.as_secs()),
                    "agents will wait for approvers who were never reached. Look in this order: whether SES's console shows the bounce; the event destination of the stack's MailConfiguration; the rule of the function Feedback, and its log; the queue LostReports",
                ));
            }
            _ => {
                return Err(Failed::new("somebody else decided it", "find out who reads that mailbox"));
            }
        }
    }
}

/// Whether something between here and the function cuts calls that wait.
fn held(held: &[Duration]) -> Result<String, Failed> {
    match held.iter().min() {
        None => Ok("you approved before the first check ended, so long waits were not tested".to_owned()),
        Some(shortest) if *shortest >= SHORTEST_HOLD => {
            Ok(format!("a check is held for {} s", shortest.as_secs()))
        }
        Some(shortest) => Err(Failed::new(
            format!("a check that may wait came back after {} s", shortest.as_secs()),
            "agents and gates have to ask more often. Something cuts calls that wait: a proxy on the way here, or a distribution of your own in front of the mcp function, whose timeout must be 60 s",
        )),
    }
}
