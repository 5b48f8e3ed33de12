//! `sayso`: the operator's command line. It checks whether an account is ready, registers agents, approvers and gates, revokes
//! keys, shows requests, exports them for an audit, and tests a deployment end to end.
//!
//! **Threat.** Text of an agent or an approver could control the operator's terminal. So invisible characters in all text from
//! outside are shown by name. A key could stay in a log or in the table. So it is shown once, and only its hash is stored.

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
mod passkeys;
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
        // Exports can be verified after the deployment is gone.
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
        Deployed::Agent(Agents::Proof { name, proof }) => agents::proof(to, &name, proof).await,
        Deployed::Agent(Agents::Revoke { name }) => agents::revoke(to, &name).await,
        Deployed::Approver(Approvers::Add { id, email, replace }) => {
            approvers::add(to, id, email, replace, now).await
        }
        Deployed::Approver(Approvers::List { addresses }) => approvers::list(to, addresses).await,
        Deployed::Approver(Approvers::Invite(invite)) => passkeys::invite(to, &invite, now).await,
        Deployed::Approver(Approvers::Passkeys { id }) => passkeys::list(to, &id).await,
        Deployed::Approver(Approvers::RemovePasskey { id, passkey, unsigned: _ }) => {
            passkeys::remove(to, &id, passkey).await
        }
        Deployed::Approver(Approvers::Remove { id }) => approvers::remove(to, &id, now).await,
        Deployed::Gate(Gates::Add { audience, description, proof }) => {
            gates::add(to, audience, description, proof, now).await
        }
        Deployed::Gate(Gates::Proof { audience, proof }) => gates::proof(to, &audience, proof).await,
        Deployed::Gate(Gates::Mask { audience, masks, none: _ }) => gates::mask(to, &audience, masks).await,
        Deployed::Gate(Gates::List) => gates::list(to).await,
        Deployed::Approvals(Approvals::List(wanted)) => approvals::list(to, &wanted, now).await,
        Deployed::Approvals(Approvals::Show { id, addresses, unmasked }) => {
            approvals::show(to, id, addresses, unmasked, now).await
        }
        Deployed::Doctor(doctor) => doctor::run(to, &doctor, connection.json).await,
    }
}
