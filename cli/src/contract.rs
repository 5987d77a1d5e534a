//! `cleanroom contract`: terms, from draft to agreement.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use governance::TxId;
use governance::contracts::{Contract, ContractState};
use serde_json::json;

use crate::connect::{As, read_json};
use crate::error::CliError;
use crate::output::Output;
use crate::proposal;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Writes a draft.
    Put {
        #[command(flatten)]
        caller: As,
        /// The contract's id.
        id: String,
        /// The terms, JSON; - is standard input.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The version that is replaced; needed when there is a draft already.
        #[arg(long, value_name = "VIEW.SEQNO")]
        version: Option<TxId>,
    },
    /// Shows a contract.
    Show {
        #[command(flatten)]
        caller: As,
        /// The contract's id.
        id: String,
    },
    /// Proposes a draft to the members.
    Propose {
        #[command(flatten)]
        caller: As,
        /// The contract's id.
        id: String,
        /// The version that was reviewed; another one is not proposed.
        #[arg(long, value_name = "VIEW.SEQNO")]
        version: TxId,
    },
    /// Votes for a contract under the proposal that was reviewed.
    Accept {
        #[command(flatten)]
        caller: As,
        /// The contract's id.
        id: String,
        /// The proposal's id.
        #[arg(long, value_name = "ID")]
        proposal: governance::ProposalId,
    },
    /// Switches the caller's consent to the contract's execution on or off.
    Execution {
        #[command(flatten)]
        caller: As,
        /// The contract's id.
        id: String,
        /// On or off.
        switch: Switch,
    },
    /// Lists contract ids.
    List {
        #[command(flatten)]
        caller: As,
        /// Only contracts in this state.
        #[arg(long)]
        state: Option<State>,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum State {
    Draft,
    Proposed,
    Accepted,
}

pub(crate) fn run(command: Command, output: &mut Output<'_>) -> Result<(), CliError> {
    match command {
        Command::Put {
            caller,
            id,
            file,
            version,
        } => {
            let client = caller.client()?;
            client.put_contract(&id, &read_json(&file)?, version)?;
            output.show(&client.contract(&id)?, line)
        }
        Command::Show { caller, id } => {
            let contract = caller.client()?.contract(&id)?;
            output.show(&contract, |contract| {
                format!("{}\n{:#}", line(contract), contract.data)
            })
        }
        Command::Propose {
            caller,
            id,
            version,
        } => {
            let member = caller.member()?;
            let contract = member.client().contract(&id)?;
            if contract.version != Some(version) {
                let got = contract
                    .version
                    .map_or_else(|| "none".to_owned(), |version| version.to_string());
                return Err(CliError::input(
                    "--version",
                    &format!("the service has {got}, reviewed was {version}"),
                ));
            }
            output.show(&member.propose_contract(&contract)?, proposal::line)
        }
        Command::Accept {
            caller,
            id,
            proposal,
        } => output.show(
            &caller.member()?.accept_contract(&id, &proposal)?,
            proposal::line,
        ),
        Command::Execution { caller, id, switch } => {
            let client = caller.client()?;
            client.set_contract_execution(&id, matches!(switch, Switch::On))?;
            output.show(&client.contract_execution(&id)?, |status| {
                let reason = status
                    .reason
                    .as_ref()
                    .map_or(String::new(), |reason| format!(": {}", reason.message));
                format!("{id}  {}{reason}", status.status)
            })
        }
        Command::List { caller, state } => {
            let state = state.map(|state| match state {
                State::Draft => ContractState::Draft,
                State::Proposed => ContractState::Proposed,
                State::Accepted => ContractState::Accepted,
            });
            let ids = caller.client()?.contracts(state)?;
            output.show(&json!(ids), |_| ids.join("\n"))
        }
    }
}

fn line(contract: &Contract) -> String {
    let version = contract
        .version
        .map_or_else(|| "-".to_owned(), |version| version.to_string());
    let proposal = if contract.proposal_id.is_empty() {
        String::new()
    } else {
        format!("  proposal {}", contract.proposal_id)
    };
    format!(
        "{}  {:?}  version {version}{proposal}",
        contract.id, contract.state
    )
}
