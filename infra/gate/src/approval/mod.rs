//! Asks a human, for `run` and `mcp`. An approval is requested once, found again by a repeated call, in this process or a
//! later one, and redeemed once.

use std::time::Duration;

use crate::clock;
use sayso_sdk::{
    Action, ApprovalError, ApprovalId, ApprovalRequest, ApprovalStatus, Approvals, Audience, ExpiresIn, Gate,
    PendingApproval, Permit, Reason, Refusal, Summary, SystemClock, ToolName, Withdrawal,
};

mod outcome;
mod state_dir;

pub(crate) use outcome::{
    Approved, AskError, AskOutcome, Denied, NotApproved, Undelivered, Waiting, is_over, when_undelivered,
};
use state_dir::{Key, Scope};
pub(crate) use state_dir::{SavedAnswer, SavedApproval, StateDir, StateDirError};

/// How much longer a request may be open than this gate asks for: several gates that ask at once have different clocks.
const BETWEEN_CLOCKS: Duration = Duration::from_secs(60);

/// Asks, waits and redeems.
#[derive(Debug)]
pub(crate) struct Asker {
    approvals: Approvals,
    gate: Gate,
    audience: Audience,
    kept: StateDir,
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    /// What would run it: `run`, or the name of the upstream server. It only namespaces the state files. It is not part of the
    /// approved action, so two scopes with one audience share a pending approval, and the first to redeem it runs. Use
    /// separate audiences to prevent that.
    pub(crate) scope: &'a str,
    pub(crate) action: &'a Action,
    pub(crate) summary: &'a Summary,
    pub(crate) reason: Option<&'a Reason>,
    /// How long the human may take.
    pub(crate) expires_in: ExpiresIn,
    /// A fingerprint of the tool's current definition, if it has one.
    pub(crate) definition: Option<&'a str>,
    /// A pending approval of the same tool with other arguments, which this one may replace.
    pub(crate) earlier: Option<ApprovalId>,
}

impl Asker {
    pub(crate) fn new(approvals: Approvals, gate: Gate, audience: Audience, kept: StateDir) -> Self {
        Self { approvals, gate, audience, kept }
    }

    /// Finds the saved approval of this action, or requests one, and waits for the human up to `wait`. Calls `waiting` once,
    /// as soon as the pending approval is known.
    pub(crate) async fn ask(
        &self,
        ask: &Ask<'_>,
        wait: Duration,
        waiting: impl FnOnce(&Waiting),
    ) -> Result<AskOutcome, AskError> {
        let key = Key::new(self.approvals.url(), &self.audience, ask.scope, ask.action);
        if let Some(answer) = self.kept.answer(&key, clock::now()) {
            return Ok(NotApproved::Ran(answer).into());
        }
        let before = match self.find(ask, &key).await? {
            Found::Answered(answer) => return Ok(answer),
            Found::Pending(kept) => Some(kept),
            Found::Nothing => None,
        };
        // Also if one is pending: this sends the mail if that failed before.
        let requested = match (self.request(ask).await, &before) {
            // Nothing new may be requested now. The saved approval counts, and it may just have been answered.
            (Err(AskError::Sayso(ApprovalError::Limited { .. })), Some(kept)) => {
                return self.go_on(kept.clone(), wait, waiting).await;
            }
            (requested, _) => requested?,
        };
        let kept = match before {
            Some(kept) if kept.id == requested.id => kept,
            before => {
                if let Some(answer) = self.answered_meanwhile(before, requested.id).await? {
                    return Ok(answer);
                }
                self.kept.keep(&key, &requested, &ask.action.tool, ask.definition)?
            }
        };
        waiting(&Waiting::on(kept.clone(), requested.mail_sent));
        let standing = self.approvals.wait_for(kept.id, wait, &SystemClock).await?;
        Ok(AskOutcome::new(standing, kept))
    }

    /// Requests an approval, or joins a pending one if its human reads the same words there. A pending request in other words
    /// may come from anybody with this agent's key. It is withdrawn, and the approval is requested again, once: a human who
    /// approves those words has not approved these.
    async fn request(&self, ask: &Ask<'_>) -> Result<PendingApproval, AskError> {
        let asking = self.asking(ask);
        let requested = self.approvals.request(&asking).await?;
        if reads_as(&requested, ask) {
            return Ok(requested);
        }
        // Its outcome does not matter: an approval of other words was never saved here, so nothing runs on it.
        self.approvals.withdraw(requested.id).await?;
        let anew = self.approvals.request(&asking).await?;
        if reads_as(&anew, ask) { Ok(anew) } else { Err(AskError::InOtherWords) }
    }

    /// Redeems the approval.
    pub(crate) async fn redeem(&self, approved: Approved, action: Action) -> Result<Permit, Refusal> {
        self.gate.permit(&approved.token, action, clock::now()).await
    }

    /// Withdraws the approval at Sayso, then forgets it. It may have been answered before. If Sayso cannot be told, it stays
    /// saved.
    pub(crate) async fn withdraw(&self, kept: &SavedApproval) -> Result<Withdrawal, ApprovalError> {
        let withdrawn = self.approvals.withdraw(kept.id).await;
        if matches!(withdrawn, Ok(_) | Err(ApprovalError::Unknown)) {
            kept.clone().forget();
        }
        withdrawn
    }

    fn asking<'a>(&'a self, ask: &Ask<'a>) -> ApprovalRequest<'a> {
        ApprovalRequest {
            action: ask.action,
            audience: &self.audience,
            summary: ask.summary,
            reason: ask.reason,
            expires_in: ask.expires_in,
            earlier: ask.earlier,
        }
    }

    fn scope(&self, scope: &str) -> Scope {
        Scope::new(self.approvals.url(), &self.audience, scope)
    }

    /// The last approval that was requested before this action's, for the same tool with other arguments. It has not ended as
    /// far as this gate knows.
    pub(crate) fn earlier(&self, scope: &str, action: &Action) -> Option<SavedApproval> {
        match self.kept.find(&Key::new(self.approvals.url(), &self.audience, scope, action)) {
            Some(own) => self.earlier_than(scope, &own).into_iter().next(),
            None => self.of_tool(scope, &action.tool).next(),
        }
    }

    /// All earlier approvals of the tool of `kept`, the newest first.
    pub(crate) fn earlier_than(&self, scope: &str, kept: &SavedApproval) -> Vec<SavedApproval> {
        let is_earlier = |it: &SavedApproval| it.id != kept.id && it.id.made_at() <= kept.id.made_at();
        self.of_tool(scope, &kept.tool).filter(is_earlier).collect()
    }

    fn of_tool(&self, scope: &str, tool: &ToolName) -> impl Iterator<Item = SavedApproval> {
        let kept = self.kept.of_scope(&self.scope(scope), clock::now());
        kept.into_iter().filter(move |kept| kept.tool == *tool)
    }

    /// Withdraws the approval with this id, if it was requested in this scope; `None` if none is saved. If a human has answered
    /// already, it stays saved: the call that asked gets their answer.
    pub(crate) async fn take_back(
        &self,
        scope: &str,
        id: ApprovalId,
    ) -> Option<Result<Withdrawal, ApprovalError>> {
        let kept = self.kept.of_scope(&self.scope(scope), clock::now());
        let kept = kept.into_iter().find(|kept| kept.id == id)?;
        let withdrawn = self.approvals.withdraw(id).await;
        if matches!(withdrawn, Ok(Withdrawal::Withdrawn) | Err(ApprovalError::Unknown)) {
            kept.forget();
        }
        Some(withdrawn)
    }

    /// Checks the saved approval of this action.
    async fn find(&self, ask: &Ask<'_>, key: &Key) -> Result<Found, ApprovalError> {
        let Some(kept) = self.kept.find(key) else { return Ok(Found::Nothing) };
        let standing = match self.approvals.check(kept.id, Duration::ZERO).await {
            Err(ApprovalError::Unknown) => return Ok(Found::Nothing),
            standing => standing?,
        };
        let changed = kept.definition.as_deref() != ask.definition;
        Ok(match standing {
            ApprovalStatus::Approved { token_expires_at, .. } if token_expires_at <= clock::now() => {
                Found::Nothing
            }
            ApprovalStatus::Approved { .. } if changed => {
                Found::Answered(NotApproved::DefinitionChanged(kept).into())
            }
            ApprovalStatus::Pending { .. } | ApprovalStatus::Undeliverable { .. } if changed => {
                // It stays saved until it is withdrawn. Otherwise it could pass for an approval of the tool as it is now.
                self.approvals.withdraw(kept.id).await?;
                Found::Answered(NotApproved::DefinitionChanged(kept).into())
            }
            ApprovalStatus::Pending { .. } | ApprovalStatus::Undeliverable { .. } => Found::Pending(kept),
            standing => Found::Answered(AskOutcome::new(standing, kept)),
        })
    }

    /// Waits for a saved approval without requesting it again.
    async fn go_on(
        &self,
        kept: SavedApproval,
        wait: Duration,
        waiting: impl FnOnce(&Waiting),
    ) -> Result<AskOutcome, AskError> {
        let standing = match self.approvals.check(kept.id, Duration::ZERO).await? {
            ApprovalStatus::Pending { mail_sent, .. } => {
                waiting(&Waiting::on(kept.clone(), mail_sent));
                self.approvals.wait_for(kept.id, wait, &SystemClock).await?
            }
            over => over,
        };
        Ok(AskOutcome::new(standing, kept))
    }

    /// The human's answer to the saved approval, if it came before the request was repeated. Then that answer counts, and the
    /// repeated request is withdrawn.
    async fn answered_meanwhile(
        &self,
        before: Option<SavedApproval>,
        asked_again: ApprovalId,
    ) -> Result<Option<AskOutcome>, ApprovalError> {
        let Some(kept) = before else { return Ok(None) };
        match self.approvals.check(kept.id, Duration::ZERO).await? {
            decided @ (ApprovalStatus::Approved { .. } | ApprovalStatus::Denied { .. }) => {
                // If this fails, the human has got one mail too many, and nothing else happens.
                let _ = self.approvals.withdraw(asked_again).await;
                Ok(Some(AskOutcome::new(decided, kept)))
            }
            _ => Ok(None),
        }
    }
}

/// Whether the pending request has these words, and is not open for longer. An old Sayso does not say: then it is assumed.
fn reads_as(requested: &PendingApproval, ask: &Ask<'_>) -> bool {
    requested.asked.as_ref().is_none_or(|asked| {
        let open_for = asked.created_at.until(requested.closes_at);
        asked.summary == *ask.summary
            && asked.reason.as_ref() == ask.reason
            && open_for <= ask.expires_in.duration() + BETWEEN_CLOCKS
    })
}

/// What a check of the saved approval found.
enum Found {
    /// It has ended, like this.
    Answered(AskOutcome),
    /// Nobody has answered.
    Pending(SavedApproval),
    /// There is none, or nothing can run on it any more: request one.
    Nothing,
}

#[cfg(test)]
mod tests;
