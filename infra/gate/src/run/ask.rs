//! Waits for the human, and redeems their approval.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use sayso_model::{Reading, reveal_arguments, reveal_to_string};
use sayso_sdk::{Action, ApprovalError, Note, Refusal, Withdrawal};
use tokio::sync::watch;

use super::Stopped;
use super::execute::Permitted;
use super::shell::Shell;
use crate::approval::{
    self, Approved, Ask, AskError, AskOutcome, Asker, NotApproved, SavedApproval, Undelivered, Waiting,
};
use crate::interrupts::{Interrupt, Interrupts};
use crate::terminal::{say, status};

/// How long the wait stays silent: at first, and at most.
const SILENCE: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(15 * 60)];

/// Asks, and waits until somebody approves or the request ends in another way.
pub(super) async fn until_approved(
    asker: &Asker,
    ask: &Ask<'_>,
    interrupts: &mut Interrupts,
) -> Result<Approved, Stopped> {
    let known = watch::Sender::new(None);
    let [first, longest] = SILENCE;
    let mut silence = first;
    loop {
        let asking = asker.ask(ask, silence, |waiting| {
            let before = known.send_replace(Some(waiting.clone()));
            if before.is_none_or(|before: Waiting| before.id != waiting.id) {
                announce(ask.action, waiting);
            }
            if !waiting.mail_sent {
                say("It is not certain that the mail has gone out. This keeps trying while it waits.");
            }
        });
        tokio::pin!(asking);
        let answer = tokio::select! {
            answer = &mut asking => answer.map_err(|none| no_answer(&none))?,
            interrupt = interrupts.next() => {
                let waiting = interrupted(interrupt, asking, known.subscribe(), interrupts).await?;
                return Err(withdraw(interrupt, asker, &waiting, interrupts).await);
            }
        };
        match answer {
            AskOutcome::Approved(approved) => return Ok(approved),
            AskOutcome::Waiting(waiting) => say(format_args!(
                "still waiting for {}, until {}",
                waiting.approver,
                waiting.closes_at.for_people()
            )),
            AskOutcome::NotApproved(reason) => return Err(not_approved(reason)),
        }
        // Asking again sends the mail if it was not sent.
        let out = known.borrow().as_ref().is_none_or(|waiting| waiting.mail_sent);
        silence = if out { (silence * 2).min(longest) } else { first };
    }
}

fn announce(action: &Action, waiting: &Waiting) {
    let Waiting { approver, closes_at, status_url, .. } = waiting;
    let closes_at = closes_at.for_people();
    // It may contain control characters, and a terminal would obey them.
    let shown = reveal_arguments(&action.arguments);
    say(format_args!("Asked {approver} whether this may run. They can answer until {closes_at}:"));
    say(shown);
    say(format_args!("Status: {}", reveal_to_string(status_url, Reading::Words)));
    say("Ctrl-C withdraws the request.");
}

fn no_answer(none: &AskError) -> Stopped {
    let status = match none {
        AskError::NotKept(_)
        | AskError::Sayso(
            ApprovalError::KeyRefused | ApprovalError::Refused(_) | ApprovalError::NotUnderstood { .. },
        ) => status::CONFIGURATION,
        AskError::Sayso(_) | AskError::InOtherWords => status::TRY_AGAIN,
    };
    Stopped::new(status, none)
}

fn not_approved(reason: NotApproved) -> Stopped {
    let (kept, stopped) = match reason {
        NotApproved::Denied(denied) => {
            let note = with_note(denied.note.as_ref());
            let why = format!("Denied{note}\nNothing ran. Do not ask for the same in other words.");
            (denied.kept, Stopped::new(status::REFUSED, why))
        }
        NotApproved::Expired(kept) => {
            let why = "Nobody answered in time. That is neither a yes nor a no. Nothing ran. The same command asks again.";
            (kept, Stopped::new(status::TRY_AGAIN, why))
        }
        NotApproved::Withdrawn(kept) | NotApproved::DefinitionChanged(kept) => {
            let why = "The request was withdrawn. Nothing ran. The same command asks again.";
            (kept, Stopped::new(status::TRY_AGAIN, why))
        }
        // Only the answers of an MCP server are saved, so this never happens.
        NotApproved::Ran(answer) => {
            return Stopped::new(
                status::TRY_AGAIN,
                format!("Nothing ran. Approval {} stands.", answer.approval.id),
            );
        }
        NotApproved::Undeliverable(Waiting { approver, .. }, cause) => {
            let Undelivered { what, then } = approval::when_undelivered(&approver, cause);
            return Stopped::new(status::TRY_AGAIN, format!("{what} Nothing ran. {then}"));
        }
    };
    kept.forget();
    stopped
}

/// The approver's note, to be put behind their decision.
fn with_note(note: Option<&Note>) -> String {
    let note = note.map(|note| reveal_to_string(note.as_str(), Reading::Words).replace('\n', "\n  "));
    note.map_or(".".to_owned(), |note| format!(", with this note:\n  {note}"))
}

/// Waits for the request that is to be withdrawn, until its id is known or a second interrupt comes.
async fn interrupted<T>(
    interrupt: Interrupt,
    asking: Pin<&mut impl Future<Output = T>>,
    mut known: watch::Receiver<Option<Waiting>>,
    interrupts: &mut Interrupts,
) -> Result<Waiting, Stopped> {
    if known.borrow().is_none() {
        say("waiting for the request's id so that it can be withdrawn; interrupt again to stop now");
    }
    tokio::select! {
        biased;
        _ = known.wait_for(Option::is_some) => {}
        _ = asking => {}
        _ = interrupts.next() => {}
    }
    let waiting = known.borrow().clone();
    waiting.ok_or_else(|| {
        let why = "Interrupted while asking. The request may be open. Nothing ran. The same command finds the request again. If nobody answers, it expires.";
        Stopped::new(interrupt.status(), why)
    })
}

async fn withdraw(
    interrupt: Interrupt,
    asker: &Asker,
    waiting: &Waiting,
    interrupts: &mut Interrupts,
) -> Stopped {
    say("withdrawing the request");
    let withdrawn = tokio::select! {
        withdrawn = asker.withdraw(&waiting.kept) => Some(withdrawn),
        _ = interrupts.next() => None,
    };
    let why = match withdrawn {
        Some(Ok(Withdrawal::Withdrawn)) => "The request is withdrawn. Nothing ran.".to_owned(),
        Some(Ok(Withdrawal::Approved)) => {
            "It had been approved. Nothing ran, and nothing will run on that approval.".to_owned()
        }
        Some(Ok(Withdrawal::Denied)) => "It had been denied. Nothing ran.".to_owned(),
        Some(Ok(Withdrawal::Expired)) => "It had expired. Nothing ran.".to_owned(),
        Some(Err(not_asked)) => {
            format!("The request is not withdrawn. Nothing ran. The request expires by itself. {not_asked}")
        }
        None => "The request may still be open. Nothing ran. The request expires by itself.".to_owned(),
    };
    Stopped::new(interrupt.status(), why)
}

/// Checks that the files are still as approved, and redeems the approval.
pub(super) async fn redeem(
    asker: &Asker,
    approved: Approved,
    shell: &Shell,
    action: Action,
    interrupts: &mut Interrupts,
) -> Result<Permitted, Stopped> {
    let kept = approved.kept.clone();
    say(format_args!("Approved{}", with_note(approved.note.as_ref())));
    let mut ready = shell.ready()?;
    ready.variables.retain(|name, _| {
        let ours = name.starts_with("SAYSO_");
        if ours {
            say(format_args!(
                "{name} in the file of --env-file is not passed on: SAYSO_ variables never are"
            ));
        }
        !ours
    });
    let permit = tokio::select! {
        biased;
        interrupt = interrupts.next() => {
            let why = "Interrupted while the approval was being used. Nothing ran. If the approval was used up, the same command says so.";
            return Err(Stopped::new(interrupt.status(), why));
        }
        permit = asker.redeem(approved, action) => permit,
    };
    let permit = permit.map_err(|refusal| refused(&refusal, kept.clone()))?;
    // As late as possible: if this process dies earlier, the same command finds the approval and says that it is used up.
    kept.forget();
    Ok(Permitted { permit, ready })
}

fn refused(refusal: &Refusal, kept: SavedApproval) -> Stopped {
    let status = match refusal {
        Refusal::KeysUnavailable
        | Refusal::Unreachable
        | Refusal::Unanswered
        | Refusal::NotUnderstood { .. }
        | Refusal::NoRandomness => status::TRY_AGAIN,
        _ => status::REFUSED,
    };
    if approval::is_over(refusal) {
        kept.forget();
    }
    let twice = match refusal {
        Refusal::AlreadyRedeemed { .. } => {
            "\nThis command did not run now. If no other process has run it, it has not run at all. The same command asks again."
        }
        _ => "",
    };
    Stopped::new(status, format!("{}: {refusal}{twice}", refusal.reason()))
}
