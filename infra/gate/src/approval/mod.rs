//! Asking a human, as `run` and `mcp` do: an approval is asked for once, found again by whoever is about to do the same,
//! in this process or a later one, and used up once.

use std::time::Duration;

use sayso_gate::{
    Action, ApprovalId, ApprovalToken, Approvals, Asking, Audience, ExpiresIn, Gate, LONGEST_WAIT, NotAsked,
    Note, Permit, Reason, Refusal, Requested, Standing, Summary, Timestamp, ToolName, UndeliveredCause,
    Withdrawal,
};
use thiserror::Error;

use crate::clock;

mod kept;

pub(crate) use kept::{CannotKeep, Kept, KeptAnswer, KeptApproval};
use kept::{Key, Scope};

/// How long a long wait goes on when Sayso is lost.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long it pauses before it tries a lost Sayso again.
const AFTER_A_LOSS: Duration = Duration::from_secs(3);

/// Between two checks, so that a line that cuts them short does not make a flood of them.
const BETWEEN_CHECKS: Duration = Duration::from_secs(1);

/// How much longer than it was asked for a request may be open: those who ask at once have clocks of their own.
const BETWEEN_CLOCKS: Duration = Duration::from_secs(60);

/// Asks, waits and redeems.
#[derive(Debug)]
pub(crate) struct Asker {
    approvals: Approvals,
    gate: Gate,
    audience: Audience,
    kept: Kept,
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    /// What would run it: `run`, or which upstream. It keeps their records apart, and no more: it is not part of what is
    /// approved, so while one is pending Sayso gives another scope the same approval, and whichever redeems first runs.
    /// What must not stand for another needs an audience of its own.
    pub(crate) scope: &'a str,
    /// What would be executed.
    pub(crate) action: &'a Action,
    /// In words.
    pub(crate) summary: &'a Summary,
    /// Why.
    pub(crate) reason: Option<&'a Reason>,
    /// How long the human may take.
    pub(crate) expires_in: ExpiresIn,
    /// A fingerprint of the tool's definition as it is now, where there is one.
    pub(crate) definition: Option<&'a str>,
    /// A pending approval of the same tool with other arguments.
    pub(crate) earlier: Option<ApprovalId>,
}

/// An approval that a human has not answered.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    pub(crate) id: ApprovalId,
    /// Who was asked, masked.
    pub(crate) approver: String,
    pub(crate) closes_at: Timestamp,
    /// A page that shows how it stands, and cannot decide.
    pub(crate) status_url: String,
    /// Whether the mail is known to have gone out. If not, asking again sends it.
    pub(crate) mail_sent: bool,
    /// For [`Asker::withdraw`].
    pub(crate) kept: KeptApproval,
}

/// A yes that has not been used.
#[derive(Debug, Clone)]
pub(crate) struct Approved {
    pub(crate) token: ApprovalToken,
    pub(crate) note: Option<Note>,
    pub(crate) kept: KeptApproval,
}

/// A no.
#[derive(Debug, Clone)]
pub(crate) struct Denied {
    pub(crate) note: Option<Note>,
    pub(crate) kept: KeptApproval,
}

/// How it stands when [`Asker::ask`] comes back. Every answer but `Waiting` and `Undeliverable` is final, and its `kept` is to be forgotten
/// when that has been delivered: until then the same call gets the same answer.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// Nobody has answered yet: the same call finds the same approval.
    Waiting(Waiting),
    /// The mail did not reach the approver: the same call finds the same approval, and after a bounce sends the mail once the
    /// approver's address has been corrected.
    Undeliverable(Waiting, UndeliveredCause),
    /// A human said yes.
    Approved(Approved),
    /// A human said no.
    Denied(Denied),
    /// Nobody answered in time.
    Expired(KeptApproval),
    /// It was taken back.
    Withdrawn(KeptApproval),
    /// The tool is not what it was when this was asked, so nothing may run on it. A pending request has been withdrawn.
    DefinitionChanged(KeptApproval),
    /// It ran before, and nobody heard what came of it.
    Ran(KeptAnswer),
}

/// Why there is no answer: nothing may run. What was asked stays kept.
#[derive(Debug, Error)]
pub(crate) enum NoAnswer {
    /// By Sayso.
    #[error(transparent)]
    NotAsked(#[from] NotAsked),
    /// The approval cannot be found again, so it is not waited for.
    #[error(transparent)]
    NotKept(#[from] CannotKeep),
    /// Somebody else asks for it, and asked again when that was withdrawn.
    #[error(
        "Somebody with this agent key keeps asking for the same action in other words or for longer: nothing ran. Ask your operator who else has the key, and for another one."
    )]
    InOtherWords,
}

impl Asker {
    pub(crate) fn new(approvals: Approvals, gate: Gate, audience: Audience, kept: Kept) -> Self {
        Self { approvals, gate, audience, kept }
    }

    /// Finds the kept approval of this action or asks for one, and waits up to `wait` for the human. `waiting` is called
    /// once, when it is known what is waited for.
    pub(crate) async fn ask(
        &self,
        ask: &Ask<'_>,
        wait: Duration,
        waiting: impl FnOnce(&Waiting),
    ) -> Result<Answer, NoAnswer> {
        let key = Key::new(self.approvals.url(), &self.audience, ask.scope, ask.action);
        if let Some(answer) = self.kept.answer(&key, clock::now()) {
            return Ok(Answer::Ran(answer));
        }
        let before = match self.find(ask, &key).await? {
            Found::Answered(answer) => return Ok(answer),
            Found::Pending(kept) => Some(kept),
            Found::Nothing => None,
        };
        // For one that is pending too: it sends the mail, if that failed before.
        let requested = match (self.request(ask).await, &before) {
            // Nothing new may be asked now: either way the kept one counts, and it may have just been answered.
            (Err(NoAnswer::NotAsked(NotAsked::Limited { .. })), Some(kept)) => {
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
        let standing = self.wait_for(kept.id, wait).await?;
        Ok(Answer::new(standing, kept))
    }

    /// Asks, or joins the request that is pending, if the human reads there what would be asked here. Another one, which
    /// anybody with this agent's key can have made, is withdrawn, and the question asked anew, once: a human who has said
    /// yes to it has not said yes to this.
    async fn request(&self, ask: &Ask<'_>) -> Result<Requested, NoAnswer> {
        let asking = self.asking(ask);
        let requested = self.approvals.request(&asking).await?;
        if reads_as(&requested, ask) {
            return Ok(requested);
        }
        // However it has ended meanwhile: a yes to it counts only where it was kept, so in words that were this gate's own.
        self.approvals.withdraw(requested.id).await?;
        let anew = self.approvals.request(&asking).await?;
        if reads_as(&anew, ask) { Ok(anew) } else { Err(NoAnswer::InOtherWords) }
    }

    /// Uses the approval up.
    pub(crate) async fn redeem(&self, approved: Approved, action: Action) -> Result<Permit, Refusal> {
        self.gate.permit(&approved.token, action, clock::now()).await
    }

    /// Tells Sayso that it is no longer wanted, then forgets it. It may have been answered before. When Sayso is not told,
    /// it is not forgotten.
    pub(crate) async fn withdraw(&self, kept: &KeptApproval) -> Result<Withdrawal, NotAsked> {
        let withdrawn = self.approvals.withdraw(kept.id).await;
        if matches!(withdrawn, Ok(_) | Err(NotAsked::Unknown)) {
            kept.clone().forget();
        }
        withdrawn
    }

    fn asking<'a>(&'a self, ask: &Ask<'a>) -> Asking<'a> {
        Asking {
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

    /// What was asked for last before this action, for the same tool with other arguments, and has not ended as far as is
    /// known here.
    pub(crate) fn earlier(&self, scope: &str, action: &Action) -> Option<KeptApproval> {
        match self.kept.find(&Key::new(self.approvals.url(), &self.audience, scope, action)) {
            Some(own) => self.earlier_than(scope, &own).into_iter().next(),
            None => self.of_tool(scope, &action.tool).next(),
        }
    }

    /// The same for what is kept, all of it, the newest first.
    pub(crate) fn earlier_than(&self, scope: &str, kept: &KeptApproval) -> Vec<KeptApproval> {
        let is_earlier = |it: &KeptApproval| it.id != kept.id && it.id.made_at() <= kept.id.made_at();
        self.of_tool(scope, &kept.tool).filter(is_earlier).collect()
    }

    fn of_tool(&self, scope: &str, tool: &ToolName) -> impl Iterator<Item = KeptApproval> {
        let kept = self.kept.of_scope(&self.scope(scope), clock::now());
        kept.into_iter().filter(move |kept| kept.tool == *tool)
    }

    /// Takes back what was asked for in this scope under this id; `None` if nothing is kept under it. What a human has
    /// answered stays kept: the call that asked gets their answer.
    pub(crate) async fn take_back(
        &self,
        scope: &str,
        id: ApprovalId,
    ) -> Option<Result<Withdrawal, NotAsked>> {
        let kept = self.kept.of_scope(&self.scope(scope), clock::now());
        let kept = kept.into_iter().find(|kept| kept.id == id)?;
        let withdrawn = self.approvals.withdraw(id).await;
        if matches!(withdrawn, Ok(Withdrawal::Withdrawn) | Err(NotAsked::Unknown)) {
            kept.forget();
        }
        Some(withdrawn)
    }

    /// What the kept approval is worth now.
    async fn find(&self, ask: &Ask<'_>, key: &Key) -> Result<Found, NotAsked> {
        let Some(kept) = self.kept.find(key) else { return Ok(Found::Nothing) };
        let standing = match self.approvals.check(kept.id, Duration::ZERO).await {
            Err(NotAsked::Unknown) => return Ok(Found::Nothing),
            standing => standing?,
        };
        let changed = kept.definition.as_deref() != ask.definition;
        Ok(match standing {
            Standing::Approved { token_expires_at, .. } if token_expires_at <= clock::now() => Found::Nothing,
            Standing::Approved { .. } if changed => Found::Answered(Answer::DefinitionChanged(kept)),
            Standing::Pending { .. } | Standing::Undeliverable { .. } if changed => {
                // Until this is done it stays kept, so that nobody takes it for an approval of the tool as it is now.
                self.approvals.withdraw(kept.id).await?;
                Found::Answered(Answer::DefinitionChanged(kept))
            }
            Standing::Pending { .. } | Standing::Undeliverable { .. } => Found::Pending(kept),
            standing => Found::Answered(Answer::new(standing, kept)),
        })
    }

    /// Waits for a kept approval as it is.
    async fn go_on(
        &self,
        kept: KeptApproval,
        wait: Duration,
        waiting: impl FnOnce(&Waiting),
    ) -> Result<Answer, NoAnswer> {
        let standing = match self.approvals.check(kept.id, Duration::ZERO).await? {
            Standing::Pending { mail_sent, .. } => {
                waiting(&Waiting::on(kept.clone(), mail_sent));
                self.wait_for(kept.id, wait).await?
            }
            over => over,
        };
        Ok(Answer::new(standing, kept))
    }

    /// The human's answer to the kept approval, if it came before the same was asked again: then it counts, and the new
    /// question is taken back.
    async fn answered_meanwhile(
        &self,
        before: Option<KeptApproval>,
        asked_again: ApprovalId,
    ) -> Result<Option<Answer>, NotAsked> {
        let Some(kept) = before else { return Ok(None) };
        match self.approvals.check(kept.id, Duration::ZERO).await? {
            decided @ (Standing::Approved { .. } | Standing::Denied { .. }) => {
                // It is nothing but a mail too many when this fails.
                let _ = self.approvals.withdraw(asked_again).await;
                Ok(Some(Answer::new(decided, kept)))
            }
            _ => Ok(None),
        }
    }

    /// How an approval stands when it is answered or `wait` is over. In a wait of more than one check a Sayso that is lost
    /// is tried again, as long as [`PATIENCE`].
    async fn wait_for(&self, id: ApprovalId, wait: Duration) -> Result<Standing, NotAsked> {
        let until = clock::now().plus(wait);
        let mut lost_since = None;
        loop {
            let left = clock::now().until(until);
            let checked = self.approvals.check(id, left.min(LONGEST_WAIT)).await;
            let now = clock::now();
            let pause = match &checked {
                Ok(Standing::Pending { .. }) => {
                    lost_since = None;
                    BETWEEN_CHECKS
                }
                Err(NotAsked::Unreachable | NotAsked::Unanswered | NotAsked::Failed { .. })
                    if wait > LONGEST_WAIT && lost_since.get_or_insert(now).until(now) < PATIENCE =>
                {
                    AFTER_A_LOSS
                }
                _ => return checked,
            };
            if now >= until {
                return checked;
            }
            clock::sleep(pause).await;
        }
    }
}

/// Whether the human is asked in these words, and for no longer. A Sayso that does not say so is taken as before it could.
fn reads_as(requested: &Requested, ask: &Ask<'_>) -> bool {
    requested.asked.as_ref().is_none_or(|asked| {
        let open_for = asked.created_at.until(requested.closes_at);
        asked.summary == *ask.summary
            && asked.reason.as_ref() == ask.reason
            && open_for <= ask.expires_in.duration() + BETWEEN_CLOCKS
    })
}

/// What a kept approval is worth.
enum Found {
    /// It is over, and this came of it.
    Answered(Answer),
    /// Nobody has answered.
    Pending(KeptApproval),
    /// There is none, or none that anything could run on: it is to be asked for.
    Nothing,
}

impl Waiting {
    fn on(kept: KeptApproval, mail_sent: bool) -> Self {
        Self {
            id: kept.id,
            approver: kept.approver.clone(),
            closes_at: kept.closes_at,
            status_url: kept.status_url.clone(),
            mail_sent,
            kept,
        }
    }
}

/// What has happened to a mail, and what it takes now, for whoever waits for an answer to it.
pub(crate) fn when_undelivered(cause: UndeliveredCause) -> (&'static str, &'static str) {
    match cause {
        UndeliveredCause::Bounce => (
            "came back: as far as is known, nobody has been asked",
            "that the approver's address does not take mail. Once it is corrected, the same again sends the mail.",
        ),
        UndeliveredCause::Complaint => (
            "was reported as spam, and no more will reach that address",
            "that the approver has to get mail elsewhere, or by another. Until then this request stays as it is.",
        ),
        UndeliveredCause::Reject => (
            "was taken for malware by the mail service: nobody has been asked",
            "so. The same action cannot be asked about in these words.",
        ),
    }
}

impl Answer {
    fn new(standing: Standing, kept: KeptApproval) -> Self {
        match standing {
            Standing::Pending { mail_sent, .. } => Self::Waiting(Waiting::on(kept, mail_sent)),
            Standing::Undeliverable { cause, .. } => Self::Undeliverable(Waiting::on(kept, false), cause),
            Standing::Approved { token, note, .. } => Self::Approved(Approved { token, note, kept }),
            Standing::Denied { note, .. } => Self::Denied(Denied { note, kept }),
            Standing::Expired => Self::Expired(kept),
            Standing::Withdrawn => Self::Withdrawn(kept),
        }
    }
}

/// Whether an approval that was refused with this can never be used any more. Otherwise it is not used up, or nobody knows,
/// or another clock or other settings are all it takes.
pub(crate) fn is_over(refusal: &Refusal) -> bool {
    use sayso_gate::TokenRefusal::{Audience, Issuer, NotYetValid, Proof, UnknownKey};
    !matches!(
        refusal,
        Refusal::KeysUnavailable
            | Refusal::Unreachable
            | Refusal::Unanswered
            | Refusal::NotUnderstood { .. }
            | Refusal::NoRandomness
            | Refusal::Token(NotYetValid | UnknownKey | Issuer | Audience | Proof)
    )
}

#[cfg(test)]
mod tests;
