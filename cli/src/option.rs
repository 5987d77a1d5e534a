//! `cleanroom option`: what runs, what is logged, and how the application decides.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use governance::contracts::OptionStatus;
use governance::member::Actions;

use crate::connect::{As, read_json};
use crate::contract::Switch;
use crate::error::CliError;
use crate::output::Output;
use crate::proposal;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows the status of an option of a contract, of a user document, or of the service.
    Show {
        #[command(flatten)]
        caller: As,
        #[command(flatten)]
        of: Of,
        /// Of a contract: execution, logging, telemetry. Of a document: execution, telemetry.
        option: String,
    },
    /// Sets the caller's own switch over a contract (as a member) or over a user document (as one of its approvers).
    Consent {
        #[command(flatten)]
        caller: As,
        #[command(flatten)]
        of: OfContract,
        /// On or off.
        switch: Switch,
        /// The option.
        #[arg(long, default_value = "execution")]
        option: String,
    },
    /// Proposes to turn logging or telemetry of a contract on or off.
    ProposeSwitch {
        #[command(flatten)]
        caller: As,
        /// The contract's id.
        contract: String,
        /// The option.
        #[arg(value_parser = ["logging", "telemetry"])]
        option: String,
        /// On or off.
        switch: Switch,
    },
    /// Proposes options that say how the application decides, of one contract or for all (see the manual).
    Propose {
        #[command(flatten)]
        caller: As,
        /// Only of this contract.
        #[arg(long, value_name = "ID")]
        contract: Option<String>,
        /// {"option": value}; null takes one back; - is standard input.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// Whose option.
#[derive(Debug, Args)]
pub(crate) struct Of {
    /// Of this contract; of the service when absent.
    #[arg(long, value_name = "ID")]
    contract: Option<String>,
    /// Of this user document of the contract.
    #[arg(long, value_name = "ID", requires = "contract")]
    document: Option<String>,
}

/// Whose consent.
#[derive(Debug, Args)]
pub(crate) struct OfContract {
    /// The contract's id.
    contract: String,
    /// To this user document of the contract.
    #[arg(long, value_name = "ID")]
    document: Option<String>,
}

pub(crate) fn run(command: Command, output: &mut Output<'_>) -> Result<(), CliError> {
    match command {
        Command::Show { caller, of, option } => {
            let client = caller.client()?;
            let status = match (&of.contract, &of.document) {
                (Some(contract), Some(document)) => {
                    client.document_option(contract, document, &option)?
                }
                (Some(contract), None) => client.contract_option(contract, &option)?,
                (None, _) => client.service_option(&option)?,
            };
            output.show(&status, text)
        }
        Command::Consent {
            caller,
            of: OfContract { contract, document },
            switch,
            option,
        } => {
            let client = caller.client()?;
            let on = matches!(switch, Switch::On);
            let status = match document {
                Some(document) => {
                    client.set_document_option(&contract, &document, &option, on)?;
                    client.document_option(&contract, &document, &option)?
                }
                None if option == "execution" => {
                    client.set_contract_execution(&contract, on)?;
                    client.contract_execution(&contract)?
                }
                None => {
                    return Err(CliError::input(
                        "--option",
                        "members switch the execution of a contract; they vote the rest",
                    ));
                }
            };
            output.show(&status, text)
        }
        Command::ProposeSwitch {
            caller,
            contract,
            option,
            switch,
        } => {
            let on = matches!(switch, Switch::On);
            let actions = Actions::new().set_contract_option(&contract, &option, on);
            proposal::make(&caller, &actions, output)
        }
        Command::Propose {
            caller,
            contract,
            file,
        } => {
            let options = read_json(&file)?;
            let actions = match contract {
                Some(contract) => Actions::new().set_contract_options(&contract, &options),
                None => Actions::new().set_application_options(&options),
            };
            proposal::make(&caller, &actions, output)
        }
    }
}

/// Enabled or not, and why not.
pub(crate) fn text(status: &OptionStatus) -> String {
    let reason = status.reason.as_ref();
    let reason = reason.map_or(String::new(), |reason| format!(": {}", reason.message));
    format!("{}{reason}", status.status)
}
