//! `cleanroom recovery`: what members do for a service that is recovered from its ledger.

use clap::Subcommand;
use governance::member::Actions;
use serde_json::json;

use crate::connect::{As, Service};
use crate::error::CliError;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Proposes to open the recovered service as the one that its ledger is of.
    Open {
        #[command(flatten)]
        caller: As,
    },
    /// Shows where the service and its node are.
    Status {
        #[command(flatten)]
        service: Service,
    },
    /// Fetches this member's recovery share, decrypts it and submits it.
    Submit {
        #[command(flatten)]
        caller: As,
    },
}

pub(crate) fn run(command: Command, output: &mut Output<'_>) -> Result<(), CliError> {
    match command {
        Command::Open { caller } => {
            let member = caller.member()?;
            let previous = member.client().previous_identity()?;
            let next = member.client().service_info()?.certificate;
            let actions = Actions::new().open_recovered_service(&previous, &next);
            let proposal = member.propose(&actions)?;
            output.show(&proposal, |proposal| {
                format!("{}  {:?}", proposal.proposal_id, proposal.proposal_state)
            })
        }
        Command::Status { service } => {
            let client = service.anonymous()?;
            let (network, node) = (client.network()?, client.node_state()?);
            let result = json!({
                "serviceStatus": network.service_status,
                "recoveryCount": network.recovery_count,
                "nodeState": node.state,
                "lastSignedSeqno": node.last_signed_seqno,
            });
            output.show(&result, |_| {
                format!(
                    "service {}, recovered {} times; node {}, signed to {}",
                    network.service_status,
                    network.recovery_count,
                    node.state,
                    node.last_signed_seqno
                )
            })
        }
        Command::Submit { caller } => {
            let progress = caller.member()?.give_share()?;
            output.show(&progress, |progress| progress.message.clone())
        }
    }
}
