//! `cleanroom policy`: which code may act under a contract.

use std::path::PathBuf;

use attestation::Family;
use clap::{Args, Subcommand};
use governance::policies::{Claims, Policy, PolicyEdit, host_data_policy};

use crate::connect::{As, read};
use crate::error::CliError;
use crate::output::Output;
use crate::proposal;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows the policy in force and the proposals to change it.
    Show {
        #[command(flatten)]
        caller: As,
        /// The contract's id.
        contract: String,
    },
    /// Proposes to change the policy.
    Propose {
        #[command(flatten)]
        caller: As,
        /// The contract's id.
        contract: String,
        #[command(flatten)]
        source: Source,
        /// Remove these claims and values instead of adding them.
        #[arg(long)]
        remove: bool,
        /// The claims are of virtual machines, not of container groups.
        #[arg(long, conflicts_with = "host_data")]
        vm: bool,
    },
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Source {
    /// Only code with this hostData (64 hexadecimal characters), not debuggable.
    #[arg(long, value_name = "HEX")]
    host_data: Option<String>,
    /// Claims as JSON: {"claim": [values]}; - is standard input.
    #[arg(long, value_name = "FILE")]
    claims: Option<PathBuf>,
}

impl Source {
    fn claims(self) -> Result<Claims, CliError> {
        if let Some(host_data) = self.host_data {
            let host_data = host_data.to_ascii_lowercase();
            if host_data.len() != 64 || !host_data.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(CliError::input(
                    "--host-data",
                    "not 64 hexadecimal characters",
                ));
            }
            return Ok(host_data_policy(&host_data));
        }
        let file = self.claims.unwrap_or_else(|| PathBuf::from("-"));
        serde_json::from_str(&read(&file)?)
            .map_err(|error| CliError::input(file.display().to_string(), &error))
    }
}

pub(crate) fn run(command: Command, output: &mut Output<'_>) -> Result<(), CliError> {
    match command {
        Command::Show { caller, contract } => {
            let policy = caller.client()?.clean_room_policy(&contract)?;
            output.show(&policy, text)
        }
        Command::Propose {
            caller,
            contract,
            source,
            remove,
            vm,
        } => {
            let claims = source.claims()?;
            let edit = if remove {
                PolicyEdit::Remove
            } else {
                PolicyEdit::Add
            };
            let family = if vm { Family::Cvm } else { Family::Caci };
            let proposal = caller
                .member()?
                .propose_clean_room_policy(&contract, family, edit, &claims)?;
            output.show(&proposal, proposal::line)
        }
    }
}

fn text(policy: &Policy) -> String {
    let mut text = String::new();
    if policy.policy.is_empty() {
        text.push_str("no policy: nothing is released\n");
    }
    for (claim, values) in &policy.policy {
        let values: Vec<_> = values.iter().map(ToString::to_string).collect();
        text.push_str(&format!("{claim}  {}\n", values.join(" or ")));
    }
    for proposal in &policy.proposal_ids {
        text.push_str(&format!("proposal {proposal} would change it\n"));
    }
    text
}
