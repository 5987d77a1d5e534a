//! `cleanroom recovery`: what members do for a service that is recovered from its ledger.

use clap::{Subcommand, ValueEnum};
use governance::member::Actions;
use governance::recovery::RecoveryKind;
use serde_json::json;

use crate::connect::{As, Service};
use crate::error::CliError;
use crate::output::Output;
use crate::proposal;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Proposes to acknowledge the last recovery: releases that are held until members have go on.
    Acknowledge {
        #[command(flatten)]
        caller: As,
    },
    /// Proposes to open the recovered service as the one that its ledger is of.
    Open {
        #[command(flatten)]
        caller: As,
        /// By whose shares: needed if the recovery policy allows both.
        #[arg(long, value_enum)]
        kind: Option<Kind>,
        /// Why, if the recovery policy asks for a reason.
        #[arg(long, value_name = "TEXT", requires = "kind")]
        reason: Option<String>,
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

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Kind {
    /// Of people or organisations.
    BreakGlass,
    /// Of members whose keys stay in an attested recovery service.
    Confidential,
}

impl From<Kind> for RecoveryKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::BreakGlass => Self::BreakGlass,
            Kind::Confidential => Self::Confidential,
        }
    }
}

pub(crate) fn run(command: Command, output: &mut Output<'_>) -> Result<(), CliError> {
    match command {
        Command::Acknowledge { caller } => {
            let member = caller.member()?;
            let count = member.client().service_info()?.recovery_count;
            let actions = Actions::new().acknowledge_recovery(count);
            output.show(&member.propose(&actions)?, proposal::line)
        }
        Command::Open {
            caller,
            kind,
            reason,
        } => {
            let member = caller.member()?;
            let previous = member.client().previous_identity()?;
            let next = member.client().service_info()?.certificate;
            let actions = match kind {
                None => Actions::new().open_recovered_service(&previous, &next),
                Some(kind) => {
                    let (kind, reason) = (kind.into(), reason.as_deref());
                    Actions::new().open_recovered_service_as(&previous, &next, kind, reason)
                }
            };
            output.show(&member.propose(&actions)?, proposal::line)
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
