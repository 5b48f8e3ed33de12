//! `sayso`: the operator's command line. It looks whether an account is ready, registers agents, approvers and gates, revokes
//! keys, reads what was asked, exports it for an audit, and tries a deployment from end to end.
//!
//! **Threat.** Text of an agent's or of an approver's that would speak to the operator's terminal: everything that came
//! from outside is made visible first. A key that lives on in a log or in the table: it is shown once, and only its hash
//! is stored.

mod agents;
mod approvals;
mod approvers;
mod arguments;
mod audit;
mod connection;
mod deploy;
mod doctor;
mod gates;
mod outcome;
mod terminal;
mod trial;

use std::process::ExitCode;

use arguments::{Agents, Approvals, Approvers, Arguments, Command, Connection, Deploy, Deployed, Gates};
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
    match arguments.command {
        Command::Deploy(Deploy::Check(check)) => deploy::check(&arguments.connection, &check).await,
        Command::Deploy(Deploy::Smoke(smoke)) => deploy::smoke(&arguments.connection, &smoke).await,
        Command::Deployed(command) => operate(command, &arguments.connection).await,
        // What was exported is verified where no deployment is left.
        Command::Audit(audits) => audit::run(&audits, &arguments.connection).await,
    }
}

async fn operate(command: Deployed, connection: &Connection) -> Result<Report, Stopped> {
    let deployment = Deployment::connect(connection).await?;
    let (to, now) = (&deployment, deployment.clock.now());
    match command {
        Deployed::Agent(Agents::Add(add)) => agents::add(to, &add, now).await,
        Deployed::Agent(Agents::List) => agents::list(to, now).await,
        Deployed::Agent(Agents::Rotate { name, overlap }) => agents::rotate(to, &name, overlap, now).await,
        Deployed::Agent(Agents::Revoke { name }) => agents::revoke(to, &name).await,
        Deployed::Approver(Approvers::Add { id, email, replace }) => {
            approvers::add(to, id, email, replace, now).await
        }
        Deployed::Approver(Approvers::List { addresses }) => approvers::list(to, addresses).await,
        Deployed::Approver(Approvers::Remove { id }) => approvers::remove(to, &id, now).await,
        Deployed::Gate(Gates::Add { audience, description }) => {
            gates::add(to, audience, description, now).await
        }
        Deployed::Gate(Gates::Mask { audience, masks, none: _ }) => gates::mask(to, &audience, masks).await,
        Deployed::Gate(Gates::List) => gates::list(to).await,
        Deployed::Approvals(Approvals::List(wanted)) => approvals::list(to, &wanted, now).await,
        Deployed::Approvals(Approvals::Show { id, addresses, unmasked }) => {
            approvals::show(to, id, addresses, unmasked, now).await
        }
        Deployed::Doctor(doctor) => doctor::run(to, &doctor, connection.json).await,
    }
}
