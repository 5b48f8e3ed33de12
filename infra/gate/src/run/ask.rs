//! Waiting for the human, and using a yes up.

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
    self, Approved, Ask, AskError, AskOutcome, Asker, NotApproved, SavedApproval, Waiting,
};
use crate::interrupts::{Interrupt, Interrupts};
use crate::terminal::{say, status};

/// How long nothing is said while a human is waited for: at first, and at most.
const SILENCE: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(15 * 60)];

/// Asks, and waits until somebody has said yes, or the request is closed otherwise.
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
                say("It is not certain that the mail has gone out: it is tried again while this waits.");
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
        // Asking again sends the mail, if it was not sent.
        let out = known.borrow().as_ref().is_none_or(|waiting| waiting.mail_sent);
        silence = if out { (silence * 2).min(longest) } else { first };
    }
}

fn announce(action: &Action, waiting: &Waiting) {
    let Waiting { approver, closes_at, status_url, .. } = waiting;
    let closes_at = closes_at.for_people();
    // It may hold anything, and a terminal obeys.
    let shown = reveal_arguments(&action.arguments);
    say(format_args!("{approver} is asked, until {closes_at}, whether this may run:"));
    say(shown);
    say(format_args!("How it stands: {}", reveal_to_string(status_url, Reading::Words)));
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
            let why = "Nobody answered in time, which is neither a yes nor a no. Nothing ran. The same command asks again.";
            (kept, Stopped::new(status::TRY_AGAIN, why))
        }
        NotApproved::Withdrawn(kept) | NotApproved::DefinitionChanged(kept) => {
            let why = "The request was withdrawn. Nothing ran. The same command asks again.";
            (kept, Stopped::new(status::TRY_AGAIN, why))
        }
        // Only a server's answers are kept, and a command's are its own.
        NotApproved::Ran(answer) => {
            return Stopped::new(
                status::TRY_AGAIN,
                format!("Nothing ran. Approval {} stands.", answer.approval.id),
            );
        }
        NotApproved::Undeliverable(Waiting { approver, .. }, cause) => {
            let (what, tell) = approval::when_undelivered(cause);
            let why = format!("The mail to {approver} {what}. Nothing ran. Tell your operator {tell}");
            return Stopped::new(status::TRY_AGAIN, why);
        }
    };
    kept.forget();
    stopped
}

/// The approver's words, behind what they decided.
fn with_note(note: Option<&Note>) -> String {
    let note = note.map(|note| reveal_to_string(note.as_str(), Reading::Words).replace('\n', "\n  "));
    note.map_or(".".to_owned(), |note| format!(", with this note:\n  {note}"))
}

/// What is there to be taken back: waits until that is known, or until somebody has had enough of waiting.
async fn interrupted<T>(
    interrupt: Interrupt,
    asking: Pin<&mut impl Future<Output = T>>,
    mut known: watch::Receiver<Option<Waiting>>,
    interrupts: &mut Interrupts,
) -> Result<Waiting, Stopped> {
    if known.borrow().is_none() {
        say("waiting to hear what is to be withdrawn; again stops at once");
    }
    tokio::select! {
        biased;
        _ = known.wait_for(Option::is_some) => {}
        _ = asking => {}
        _ = interrupts.next() => {}
    }
    let waiting = known.borrow().clone();
    waiting.ok_or_else(|| {
        let why = "Interrupted while asking, so that the request may be open. Nothing ran. The same command finds it again; unanswered, it expires.";
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
            format!("The request is not withdrawn, and nothing ran. It expires by itself. {not_asked}")
        }
        None => "The request may not be withdrawn, and nothing ran. It expires by itself.".to_owned(),
    };
    Stopped::new(interrupt.status(), why)
}

/// Opens what was approved as it was then, and uses the approval up.
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
            say(format_args!("{name} in the file of --env-file is not passed on: it is Sayso's own"));
        }
        !ours
    });
    let permit = tokio::select! {
        biased;
        interrupt = interrupts.next() => {
            let why = "Interrupted while the approval was being used. Nothing ran. If it was used up, the same command says so.";
            return Err(Stopped::new(interrupt.status(), why));
        }
        permit = asker.redeem(approved, action) => permit,
    };
    let permit = permit.map_err(|refusal| refused(&refusal, kept.clone()))?;
    // As late as can be: a process that dies before this finds the approval again, and says that it is used up.
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
            "\nThis command did not run now. If no other process has run it, it has not run at all: the same command asks again."
        }
        _ => "",
    };
    Stopped::new(status, format!("{}: {refusal}{twice}", refusal.reason()))
}
