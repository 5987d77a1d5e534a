//! `cleanroom secret`: storing and listing secrets, and reading one with evidence.

use std::path::PathBuf;

use clap::Subcommand;
use governance::clean_room::CleanRoom;
use governance::secrets::SecretText;
use serde_json::json;

use crate::connect::{As, Service, read};
use crate::error::CliError;
use crate::evidence;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Stores a secret for the clean rooms of a contract; prints the id under which they read it.
    Put {
        #[command(flatten)]
        caller: As,
        /// The contract's id.
        contract: String,
        /// The secret's name.
        name: String,
        /// The file with the secret's text, taken as it is; - is standard input. Never an argument, which others could see.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Receives a secret as a clean room, by evidence and the key that it vouches for.
    Get {
        #[command(flatten)]
        service: Service,
        /// The folder with the evidence: report.bin, endorsements.pem, uvm_endorsement.cose, priv_key.pem.
        #[arg(long, value_name = "DIR")]
        evidence: PathBuf,
        /// The contract's id.
        contract: String,
        /// The secret's full id.
        id: String,
    },
    /// Lists the ids of a contract's secrets.
    List {
        #[command(flatten)]
        caller: As,
        /// The contract's id.
        contract: String,
    },
}

pub(crate) fn run(command: Command, output: &mut Output<'_>) -> Result<(), CliError> {
    match command {
        Command::Put {
            caller,
            contract,
            name,
            file,
        } => {
            let secret = SecretText::new(read(&file)?);
            let id = caller.client()?.put_secret(&contract, &name, &secret)?;
            output.show(&json!({ "secretId": id }), |_| id.clone())
        }
        Command::Get {
            service,
            evidence: folder,
            contract,
            id,
        } => {
            let room = CleanRoom::new(
                service.anonymous()?,
                evidence::load_key(&folder)?,
                evidence::load(&folder)?,
            );
            let released = room.secret(&contract, &id)?;
            if let Some(transaction) = released.transaction {
                output.note(&format!(
                    "note: the release is recorded as transaction {transaction}"
                ));
            }
            output.show(&json!({ "value": released.secret.expose() }), |_| {
                released.secret.expose().to_owned()
            })
        }
        Command::List { caller, contract } => {
            let ids = caller.client()?.secrets(&contract)?;
            output.show(&json!(ids), |_| ids.join("\n"))
        }
    }
}
