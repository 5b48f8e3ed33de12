//! A deployment tried from end to end, by an agent that exists for some minutes: it asks over MCP, its approver decides, and
//! a gate redeems. The canary's gate is one that nothing stands behind.

use std::time::Duration;

use sayso_cloud::{Failure, random};
use sayso_gate::{
    Action, ApprovalId, ApprovalToken, Approvals, Asking, CanonicalJson, ExpiresIn, Gate, GateName,
    LONGEST_WAIT, NotAsked, Refusal, Requested, Standing, Summary, ToolName,
};
use sayso_model::{Agent, AgentKey, AgentName, Approver, ApproverId, Audience, Audiences, EmailAddress};

use crate::arguments::Doctor;
use crate::connection::Deployment;
use crate::outcome::{Report, Stopped, advice};
use crate::terminal::one_line;

mod decider;
mod steps;

use steps::{Ended, Failed, Steps};

/// A canary that could not be removed stops by itself, and its request before it.
const LONGEST_LIFE: Duration = Duration::from_secs(1_200);
const REQUEST_LIFE: i64 = 960;

const AUDIENCE: &str = "sayso-doctor";

/// The agent, its key and what it asks.
struct Canary {
    key: AgentKey,
    agent: Agent,
    audience: Audience,
    action: Action,
    summary: Summary,
    expires_in: ExpiresIn,
}

impl Canary {
    fn new(email: EmailAddress) -> Result<Self, Stopped> {
        let name = format!("sayso-doctor-{}", random::error_id());
        let words = "Sayso's operator tries this deployment: approving runs nothing.";
        let audience = Audience::parse(AUDIENCE).map_err(Stopped::usage)?;
        let id = ApproverId::parse("sayso-doctor").map_err(Stopped::usage)?;
        Ok(Self {
            key: random::agent_key(),
            agent: Agent {
                name: AgentName::parse(&name).map_err(Stopped::usage)?,
                approver: Approver { id, email },
                audiences: Audiences::new(vec![audience.clone()]).map_err(Stopped::usage)?,
            },
            audience,
            action: Action {
                tool: ToolName::parse("sayso_doctor").map_err(Stopped::usage)?,
                arguments: CanonicalJson::parse(r#"{"runs":"nothing"}"#).map_err(Stopped::usage)?,
            },
            summary: Summary::parse(words).map_err(Stopped::usage)?,
            expires_in: ExpiresIn::from_seconds(REQUEST_LIFE).map_err(Stopped::usage)?,
        })
    }
}

/// One run.
struct Trial<'a> {
    to: &'a Deployment,
    canary: Canary,
    approvals: Approvals,
    gate: Gate,
    wait: Duration,
}

pub(crate) async fn run(to: &Deployment, doctor: &Doctor, quiet: bool) -> Result<Report, Stopped> {
    let email = match (&doctor.email, &to.outbox) {
        (Some(email), _) => email.clone(),
        (None, Some(_)) => EmailAddress::parse("canary@example.com").map_err(Stopped::usage)?,
        (None, None) => {
            return Err(Stopped::usage("say whose mailbox the question goes to: --email ADDRESS"));
        }
    };
    let canary = Canary::new(email)?;
    let approvals = Approvals::new(to.need_mcp_url()?.clone(), canary.key.clone());
    let name = GateName::parse("sayso doctor").map_err(Stopped::usage)?;
    let gate = Gate::new(to.need_issuer()?.clone(), canary.audience.clone(), name);
    let trial = Trial {
        to,
        canary,
        approvals: approvals.map_err(Stopped::usage)?,
        gate: gate.map_err(Stopped::usage)?,
        wait: doctor.wait,
    };
    let mut steps = Steps::new(quiet);
    let mut asked = None;
    let tried = tokio::select! {
        tried = trial.run(&mut steps, &mut asked) => tried,
        _ = tokio::signal::ctrl_c() => steps.fail("interrupted", Failed::new("stopped by Ctrl-C", "run it again")),
    };
    if tried.is_err() {
        trial.withdraw(asked).await;
    }
    // What became of it is in the steps.
    let _ = trial.remove(&mut steps, asked).await;
    steps.into_report()
}

impl Trial<'_> {
    async fn run(&self, steps: &mut Steps, asked: &mut Option<ApprovalId>) -> Result<(), Ended> {
        let Canary { key, agent, action, .. } = &self.canary;
        let now = self.to.clock.now();
        let registry = &self.to.registry;
        steps.take("table", registry.gates().await.map_err(by_aws), |_| "it can be read".to_owned())?;
        let registered = registry.add_canary(key.hash(), agent, now.plus(LONGEST_LIFE), now).await;
        steps.take("register", registered.map_err(by_aws), |()| {
            format!("an agent for 20 minutes; {} decides", agent.approver.email.masked())
        })?;
        let requested = steps
            .take("ask", self.ask().await, |requested: &Requested| format!("pending as {}", requested.id))?;
        *asked = Some(requested.id);
        steps.take("mail", mailed(&requested), |()| "the mail service took it".to_owned())?;
        if let Some(outbox) = &self.to.outbox {
            let decided = decider::approve(outbox, requested.id).await;
            steps.take("decide", decided, |()| "approved as a browser would, from the outbox".to_owned())?;
        } else {
            let address = agent.approver.email.masked();
            let minutes = self.wait.as_secs() / 60;
            steps.say(&format!(
                "Open the mail to {address} and approve it: this waits up to {minutes} minutes."
            ))?;
        }
        let token = self.answer(requested.id).await;
        let token = steps.take("check", token, |_| "approved, with a token".to_owned())?;
        let permitted = self.gate.permit(&token, action.clone(), self.to.clock.now()).await;
        steps.take("redeem", permitted.map(drop).map_err(by_the_gate), |()| {
            "the token verifies, and is used up".to_owned()
        })?;
        let again = self.gate.permit(&token, action.clone(), self.to.clock.now()).await;
        let once = match again {
            Err(Refusal::AlreadyRedeemed { .. }) => Ok(()),
            Err(other) => Err(by_the_gate(other)),
            Ok(_) => Err(Failed::new(
                "the same token was redeemed twice",
                "stop the gates: the redeem function does not record what it lets through",
            )),
        };
        steps.take("redeem again", once, |()| "refused: a token works once".to_owned())
    }

    async fn ask(&self) -> Result<Requested, Failed> {
        let Canary { action, audience, summary, expires_in, .. } = &self.canary;
        let asking =
            Asking { action, audience, summary, reason: None, expires_in: *expires_in, earlier: None };
        self.approvals.request(&asking).await.map_err(|error| match &error {
            // What no emulator shows: how IAM weighs a transaction, whose writes two statements allow.
            NotAsked::Failed { .. } => Failed::new(
                one_line(&error.to_string()),
                "search the log of the mcp function for this id: it names the call that failed. If that is dynamodb:TransactWriteItems with AccessDeniedException, and this is the first deployment, put the keys of the role's statements WriteRequestsAndCloseThem and CountRequests and both their actions into one statement",
            ),
            _ => by_sayso(error),
        })
    }

    /// The human's yes.
    async fn answer(&self, id: ApprovalId) -> Result<ApprovalToken, Failed> {
        let until = self.to.clock.elapsed() + self.wait;
        loop {
            let left = until.saturating_sub(self.to.clock.elapsed());
            let standing = self.approvals.check(id, left.min(LONGEST_WAIT)).await.map_err(by_sayso)?;
            match standing {
                Standing::Approved { token, .. } => return Ok(token),
                Standing::Pending { .. } if left > Duration::ZERO => {}
                Standing::Pending { .. } => {
                    return Err(Failed::new(
                        "nobody has decided",
                        "look for the mail, in the spam folder too. In the SES sandbox the address must be verified. If the page said that the decision could not be recorded, read the log of the decide function: it may not be permitted kms:Sign",
                    ));
                }
                Standing::Undeliverable { .. } => {
                    return Err(Failed::new(
                        "the mail came back",
                        "the address takes no mail, or is on SES's suppression list (`aws sesv2 get-suppressed-destination`): correct it, or take another",
                    ));
                }
                Standing::Denied { .. } => {
                    return Err(Failed::new("denied: so far everything works", "run it again, and approve"));
                }
                Standing::Expired | Standing::Withdrawn => {
                    return Err(Failed::new("it closed without a decision", "run it again"));
                }
            }
        }
    }

    /// So that nobody is left with a question that no one asks any more.
    async fn withdraw(&self, asked: Option<ApprovalId>) {
        if let Some(id) = asked {
            // It closes by itself, too.
            let _ = self.approvals.withdraw(id).await;
        }
    }

    async fn remove(&self, steps: &mut Steps, asked: Option<ApprovalId>) -> Result<(), Ended> {
        let removed = self.to.registry.remove_canary(self.canary.key.hash()).await;
        steps.take("remove", removed.map_err(by_aws), |()| "the agent is gone".to_owned())?;
        let Some(id) = asked else { return Ok(()) };
        let stopped = match self.approvals.check(id, Duration::ZERO).await {
            Err(NotAsked::KeyRefused) => Ok(()),
            Err(other) => Err(by_sayso(other)),
            Ok(_) => Err(Failed::new(
                "the key of a removed agent still works",
                "the mcp function does not read the agents' rows as this version does: deploy it again",
            )),
        };
        steps.take("revoked", stopped, |()| "its key is refused with the next call".to_owned())
    }
}

fn mailed(requested: &Requested) -> Result<(), Failed> {
    if requested.mail_sent {
        return Ok(());
    }
    Err(Failed::new(
        "the mail service did not take the mail",
        "the sender (SenderEmail) must be a verified SES identity in this region, and in the SES sandbox the recipient, too; the log of the mcp function has the error's code",
    ))
}

fn by_aws(failure: Failure) -> Failed {
    Failed::new(failure.to_string(), advice(&failure))
}

fn by_sayso(error: NotAsked) -> Failed {
    let advice = match &error {
        NotAsked::KeyRefused => {
            "the mcp function reads another table: --table and --mcp-url must be of one deployment"
        }
        NotAsked::Failed { .. } => {
            "search the log of the mcp function for this id: it names the call that failed"
        }
        NotAsked::Unreachable => "compare --mcp-url with the stack's output McpUrl",
        _ => "read the log of the mcp function",
    };
    Failed::new(one_line(&error.to_string()), advice)
}

fn by_the_gate(refusal: Refusal) -> Failed {
    let advice = match &refusal {
        Refusal::KeysUnavailable | Refusal::Unreachable => "compare --issuer with the stack's output Issuer",
        Refusal::Token(_) => {
            "the decide function signs for another issuer or with another key: compare its ISSUER with --issuer, and the clocks"
        }
        _ => "read the log of the redeem function",
    };
    Failed::new(one_line(&refusal.to_string()), advice)
}
