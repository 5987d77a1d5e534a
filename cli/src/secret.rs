//! `cleanroom secret`: storing and listing secrets. Reading one takes evidence.

use std::path::PathBuf;

use clap::Subcommand;
use governance::secrets::SecretText;
use serde_json::json;

use crate::connect::{As, read};
use crate::error::CliError;
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
        Command::List { caller, contract } => {
            let ids = caller.client()?.secrets(&contract)?;
            output.show(&json!(ids), |_| ids.join("\n"))
        }
    }
}
