//! `sayso-gate run`: runs a command after a human has approved it, exactly as approved.
//!
//! **Threat.** An agent that chooses the command, its environment and the files around it. The human sees what is hashed, and
//! [`execute::replace_process`] builds the command from nothing else.
//!
//! **Not done here.** The human does not see the values of the variables that are passed on. Nothing binds what a program
//! opens by itself (see [`pins`]). An agent with the same rights as this program could run the command without it.

use std::convert::Infallible;
use std::process::ExitCode;

use sayso_sdk::Approvals;
use tokio::runtime;

use crate::approval::{Ask, Asker, StateDir};
use crate::arguments::{Connection, Run};
use crate::interrupts::Interrupts;
use crate::terminal::{say, status};

mod ask;
mod env_file;
mod execute;
mod lookup;
mod pins;
mod shell;
mod starting;

use shell::Shell;

/// Why nothing runs, as an exit status and a message.
#[derive(Debug, PartialEq, Eq)]
struct Stopped {
    status: u8,
    why: String,
}

impl Stopped {
    fn new(status: u8, why: impl ToString) -> Self {
        Self { status, why: why.to_string() }
    }
}

/// Asks, waits and executes. Returns only if nothing runs: otherwise this process becomes the command.
pub(crate) fn run(arguments: Run) -> ExitCode {
    let Err(Stopped { status, why }) = asked_and_executed(arguments);
    say(why);
    status.into()
}

fn asked_and_executed(arguments: Run) -> Result<Infallible, Stopped> {
    let configuration = |problem: &dyn ToString| Stopped::new(status::CONFIGURATION, problem.to_string());
    let shell = Shell::describe(&arguments)?;
    let action = shell.to_action()?;
    let summary = arguments.summary.unwrap_or_else(|| shell.summary());
    let connection = arguments.connection.resolve("sayso-gate run").map_err(|e| configuration(&e))?;
    let asker = asker(connection).map_err(|e| configuration(&e))?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| configuration(&format!("cannot start: {e}")))?;
    let permitted = runtime.block_on(async {
        let mut interrupts = Interrupts::listen().map_err(|e| configuration(&e))?;
        let ask = Ask {
            // One command does not replace another.
            earlier: None,
            scope: "run",
            action: &action,
            summary: &summary,
            reason: arguments.reason.as_ref(),
            expires_in: arguments.expires_in,
            definition: None,
        };
        let approved = ask::until_approved(&asker, &ask, &mut interrupts).await?;
        ask::redeem(&asker, approved, &shell, action.clone(), &mut interrupts).await
    });
    let permitted = permitted?;
    Err(execute::replace_process(permitted))
}

fn asker(connection: Connection) -> Result<Asker, String> {
    let Connection { mcp_url, agent_key, trust, state } = connection;
    let approvals = Approvals::new(mcp_url, agent_key).map_err(|e| e.to_string())?;
    let audience = trust.audience.clone();
    let gate = trust.gate().map_err(|e| e.to_string())?;
    let kept = StateDir::open(state).map_err(|e| e.to_string())?;
    Ok(Asker::new(approvals, gate, audience, kept))
}
