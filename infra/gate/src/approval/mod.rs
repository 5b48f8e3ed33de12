//! Asking a human, as `run` and `mcp` do: an approval is asked for once, found again by whoever is about to do the same,
//! in this process or a later one, and used up once.

use std::time::Duration;

use sayso_gate::{
    Action, ApprovalId, ApprovalToken, Approvals, Audience, ExpiresIn, Gate, NotAsked, Note, Permit, Reason,
    Refusal, Summary, Timestamp, Withdrawal,
};
use thiserror::Error;

mod kept;

pub(crate) use kept::{CannotKeep, Kept, KeptApproval};

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
    /// What would run it: `run`, or which upstream. The same action elsewhere is another approval.
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
    /// For [`Asker::withdraw`].
    pub(crate) kept: KeptApproval,
}

/// A yes that has not been used.
#[derive(Debug, Clone)]
pub(crate) struct Approved {
    pub(crate) token: ApprovalToken,
    pub(crate) token_expires_at: Timestamp,
    pub(crate) decided_at: Timestamp,
    pub(crate) note: Option<Note>,
    pub(crate) kept: KeptApproval,
}

/// A no.
#[derive(Debug, Clone)]
pub(crate) struct Denied {
    pub(crate) decided_at: Timestamp,
    pub(crate) note: Option<Note>,
    pub(crate) kept: KeptApproval,
}

/// How it stands when [`Asker::ask`] comes back. Every answer but `Waiting` is final, and its `kept` is to be forgotten
/// when that has been delivered: until then the same call gets the same answer.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// Nobody has answered yet: the same call finds the same approval.
    Waiting(Waiting),
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
        let _ = (ask, wait, waiting);
        todo!()
    }

    /// Uses the approval up.
    pub(crate) async fn redeem(&self, approved: Approved, action: Action) -> Result<Permit, Refusal> {
        self.gate.permit(&approved.token, action, crate::clock::now()).await
    }

    /// Tells Sayso that it is no longer wanted, then forgets it. It may have been answered before.
    pub(crate) async fn withdraw(&self, kept: &KeptApproval) -> Result<Withdrawal, NotAsked> {
        let _ = kept;
        todo!()
    }
}
