//! The trial of `doctor` and `deploy smoke`: a temporary agent, the canary, asks over MCP, its approver decides, and a gate
//! redeems. Nothing is behind that gate.

use std::time::Duration;

use sayso_cloud::{Failure, random};
use sayso_model::{Agent, AgentKey, AgentName, Approver, ApproverId, Audience, Audiences, EmailAddress};
use sayso_sdk::{
    Action, ApprovalError, ApprovalId, ApprovalRequest, ApprovalStatus, ApprovalToken, Approvals,
    CanonicalJson, ExpiresIn, Gate, GateName, MAX_WAIT, PendingApproval, Refusal, Summary, ToolName,
};

use crate::connection::Deployment;
use crate::outcome::{Stopped, advice};
use crate::terminal::one_line;

mod decider;
mod steps;

pub(crate) use steps::{Ended, Failed, Steps};

/// A canary that could not be removed expires, and its request expires before it.
const MAX_LIFE: Duration = Duration::from_secs(1_200);
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

/// A canary, and what it has asked.
pub(crate) struct Trial<'a> {
    to: &'a Deployment,
    canary: Canary,
    approvals: Approvals,
    gate: Gate,
    /// Whether the agent may be in the table.
    registered: bool,
    asked: Option<ApprovalId>,
}

/// A person's approval.
pub(crate) struct Decided {
    pub(crate) token: ApprovalToken,
    /// How long each check was held that came back without an answer, although it might have waited for [`MAX_WAIT`].
    pub(crate) held: Vec<Duration>,
}

impl<'a> Trial<'a> {
    /// A canary whose requests go to this mailbox. It is not registered yet.
    pub(crate) fn new(to: &'a Deployment, mailbox: EmailAddress) -> Result<Self, Stopped> {
        let canary = Canary::new(mailbox)?;
        let (mcp_url, issuer) = (to.need_mcp_url()?.clone(), to.need_issuer()?.clone());
        let name = GateName::parse("sayso doctor").map_err(Stopped::usage)?;
        let (key, audience) = (canary.key.clone(), canary.audience.clone());
        let (approvals, gate) = match to.roots() {
            Some(roots) => (
                Approvals::trusting(roots.as_pem(), mcp_url, key),
                Gate::trusting(roots.as_pem(), issuer, audience, name),
            ),
            None => (Approvals::new(mcp_url, key), Gate::new(issuer, audience, name)),
        };
        let (approvals, gate) = (approvals.map_err(Stopped::usage)?, gate.map_err(Stopped::usage)?);
        Ok(Self { to, canary, approvals, gate, registered: false, asked: None })
    }

    /// Checks that the table can be read.
    pub(crate) async fn read(&self, steps: &mut Steps) -> Result<(), Ended> {
        let gates = self.to.registry.gates().await;
        steps.take("table", gates.map_err(by_aws), |_| "it can be read".to_owned()).map(drop)
    }

    /// Registers the agent, for as long as a run may take.
    pub(crate) async fn register(&mut self, steps: &mut Steps) -> Result<(), Ended> {
        let added = self.add().await;
        steps.take("register", added, |()| format!("an agent for 20 minutes; {} decides", self.masked()))
    }

    /// Registers the agent, as a part of another step.
    pub(crate) async fn add(&mut self) -> Result<(), Failed> {
        self.registered = true;
        let now = self.to.clock.now();
        let Canary { key, agent, .. } = &self.canary;
        self.to.registry.add_canary(key.hash(), agent, now.plus(MAX_LIFE), now).await.map_err(by_aws)
    }

    fn masked(&self) -> String {
        self.canary.agent.approver.email.masked()
    }

    /// Asks, and checks that the mail was accepted.
    pub(crate) async fn ask(&mut self, steps: &mut Steps) -> Result<PendingApproval, Ended> {
        let requested = self.request().await;
        let requested = steps.take("ask", requested, |requested| format!("pending as {}", requested.id))?;
        steps.take("mail", mailed(&requested), |()| "the mail service took it".to_owned())?;
        Ok(requested)
    }

    /// Asks, as a part of another step.
    pub(crate) async fn request(&mut self) -> Result<PendingApproval, Failed> {
        let Canary { action, audience, summary, expires_in, .. } = &self.canary;
        let asking = ApprovalRequest {
            action,
            audience,
            summary,
            reason: None,
            expires_in: *expires_in,
            earlier: None,
        };
        let requested = self.approvals.request(&asking).await.map_err(|error| match &error {
            // No emulator shows how IAM evaluates a transaction whose writes two statements allow.
            ApprovalError::Failed { .. } => Failed::new(
                one_line(&error.to_string()),
                "search the log of the mcp function for this id: it names the call that failed. If that is dynamodb:TransactWriteItems with AccessDeniedException, and this is the first deployment, put the keys of the role's statements WriteRequestsAndCloseThem and CountRequests and both their actions into one statement",
            ),
            _ => by_sayso(error),
        })?;
        self.asked = Some(requested.id);
        Ok(requested)
    }

    /// The status, without a wait.
    pub(crate) async fn standing(&self, id: ApprovalId) -> Result<ApprovalStatus, Failed> {
        self.approvals.check(id, Duration::ZERO).await.map_err(by_sayso)
    }

    /// Waits for a person to approve by mail. On a local host it approves by itself, from the outbox.
    pub(crate) async fn decided(
        &self,
        steps: &mut Steps,
        id: ApprovalId,
        wait: Duration,
    ) -> Result<Decided, Ended> {
        if let Some(outbox) = &self.to.outbox {
            let decided = decider::approve(outbox, id).await;
            steps.take("decide", decided, |()| "approved as a browser would, from the outbox".to_owned())?;
        } else {
            let (address, minutes) = (self.masked(), wait.as_secs() / 60);
            steps.say(&format!(
                "Open the mail to {address} and approve it: this waits up to {minutes} minutes."
            ))?;
        }
        let answer = self.answer(id, wait).await;
        steps.take("check", answer, |_| "approved, with a token".to_owned())
    }

    async fn answer(&self, id: ApprovalId, wait: Duration) -> Result<Decided, Failed> {
        let (clock, mut held) = (&self.to.clock, Vec::new());
        let until = clock.elapsed() + wait;
        loop {
            let started = clock.elapsed();
            let left = until.saturating_sub(started);
            let standing = self.approvals.check(id, left.min(MAX_WAIT)).await.map_err(by_sayso)?;
            match standing {
                ApprovalStatus::Approved { token, .. } => return Ok(Decided { token, held }),
                ApprovalStatus::Pending { .. } if left > Duration::ZERO => {
                    if left >= MAX_WAIT {
                        held.push(clock.elapsed().saturating_sub(started));
                    }
                }
                ApprovalStatus::Pending { .. } => {
                    return Err(Failed::new(
                        "nobody has decided",
                        "look for the mail, in the spam folder too. In the SES sandbox the address must be verified. If the page said that the decision could not be recorded, read the log of the decide function: it may lack kms:Sign",
                    ));
                }
                ApprovalStatus::Undeliverable { .. } => {
                    return Err(Failed::new(
                        "the mail came back",
                        "the address takes no mail, or is on SES's suppression list (`aws sesv2 get-suppressed-destination`): correct it, or take another",
                    ));
                }
                ApprovalStatus::Denied { .. } => {
                    return Err(Failed::new("denied: so far everything works", "run it again, and approve"));
                }
                ApprovalStatus::Expired | ApprovalStatus::Withdrawn => {
                    return Err(Failed::new("it closed without a decision", "run it again"));
                }
            }
        }
    }

    /// Checks that a gate accepts the token once.
    pub(crate) async fn redeem(&self, steps: &mut Steps, token: &ApprovalToken) -> Result<(), Ended> {
        let action = &self.canary.action;
        let permitted = self.gate.permit(token, action.clone(), self.to.clock.now()).await;
        steps.take("redeem", permitted.map(drop).map_err(by_the_gate), |()| {
            "the token verifies, and is used up".to_owned()
        })?;
        let again = self.gate.permit(token, action.clone(), self.to.clock.now()).await;
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

    /// Withdraws the request, so that nobody decides about it in vain. It expires by itself, too.
    pub(crate) async fn withdraw(&self) {
        if let Some(id) = self.asked {
            let _ = self.approvals.withdraw(id).await;
        }
    }

    /// Removes the agent, as a part of another step.
    pub(crate) async fn take_away(&self) -> Result<(), Failed> {
        self.to.registry.remove_canary(self.canary.key.hash()).await.map_err(by_aws)
    }

    /// Removes the agent, and checks that its key stops working.
    pub(crate) async fn remove(&self, steps: &mut Steps) -> Result<(), Ended> {
        if !self.registered {
            return Ok(());
        }
        steps.take("remove", self.take_away().await, |()| "the agent is gone".to_owned())?;
        let Some(id) = self.asked else { return Ok(()) };
        let stopped = match self.approvals.check(id, Duration::ZERO).await {
            Err(ApprovalError::KeyRefused) => Ok(()),
            Err(other) => Err(by_sayso(other)),
            Ok(_) => Err(Failed::new(
                "the key of a removed agent still works",
                "the mcp function does not read the agents' rows as this version does: deploy it again",
            )),
        };
        steps.take("revoked", stopped, |()| "its key is refused with the next call".to_owned())
    }
}

fn mailed(requested: &PendingApproval) -> Result<(), Failed> {
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

fn by_sayso(error: ApprovalError) -> Failed {
    let advice = match &error {
        ApprovalError::KeyRefused => {
            "the mcp function reads another table: --table and --mcp-url must belong to one deployment"
        }
        ApprovalError::Failed { .. } => {
            "search the log of the mcp function for this id: it names the call that failed"
        }
        ApprovalError::Unreachable => "compare --mcp-url with the stack's output McpUrl",
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
