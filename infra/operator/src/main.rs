//! `sayso`: the operator's command line. It looks whether an account is ready, registers agents, approvers and gates, revokes
//! keys, reads what was asked, and tries a deployment from end to end.
//!
//! **Threat.** Text of an agent's or of an approver's that would speak to the operator's terminal: everything that came
//! from outside is made visible first. A key that lives on in a log or in the table: it is shown once, and only its hash
//! is stored.

mod agents;
mod approvals;
mod approvers;
mod arguments;
mod connection;
mod deploy;
mod doctor;
mod gates;
mod outcome;
mod terminal;

use std::process::ExitCode;

use arguments::{Agents, AnyCommand, Approvals, Approvers, Arguments, Command, Deploy, Gates};
use clap::Parser as _;
use connection::Deployment;
use outcome::{Report, Stopped};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let json = arguments.connection.json;
    let finished = match run(arguments).await {
        Ok(report) => terminal::print(&report, json),
        Err(stopped) => Err(stopped),
    };
    match finished {
        Ok(status) => status.into(),
        Err(stopped) => {
            terminal::complain(&stopped.message);
            stopped.status.into()
        }
    }
}

async fn run(arguments: Arguments) -> Result<Report, Stopped> {
    let command = match arguments.command {
        AnyCommand::Deploy(Deploy::Check(check)) => {
            return deploy::check(&arguments.connection, &check).await;
        }
        AnyCommand::On(command) => command,
    };
    let deployment = Deployment::connect(&arguments.connection).await?;
    let (to, now) = (&deployment, deployment.clock.now());
    match command {
        Command::Agent(Agents::Add(add)) => agents::add(to, &add, now).await,
        Command::Agent(Agents::List) => agents::list(to, now).await,
        Command::Agent(Agents::Rotate { name, overlap }) => agents::rotate(to, &name, overlap, now).await,
        Command::Agent(Agents::Revoke { name }) => agents::revoke(to, &name).await,
        Command::Approver(Approvers::Add { id, email, replace }) => {
            approvers::add(to, id, email, replace, now).await
        }
        Command::Approver(Approvers::List { addresses }) => approvers::list(to, addresses).await,
        Command::Approver(Approvers::Remove { id }) => approvers::remove(to, &id, now).await,
        Command::Gate(Gates::Add { audience, description }) => {
            gates::add(to, audience, description, now).await
        }
        Command::Gate(Gates::List) => gates::list(to).await,
        Command::Approvals(Approvals::List(wanted)) => approvals::list(to, &wanted, now).await,
        Command::Approvals(Approvals::Show { id, addresses }) => {
            approvals::show(to, id, addresses, now).await
        }
        Command::Doctor(doctor) => doctor::run(to, &doctor, arguments.connection.json).await,
    }
}
