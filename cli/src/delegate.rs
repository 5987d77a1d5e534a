//! `cleanroom delegate`: which other code agreed code admits, for what, and on which documents that hangs.

use std::path::PathBuf;

use attestation::Family;
use clap::Subcommand;
use governance::clean_room::DelegatePolicy;
use governance::delegates::{Delegate, DelegateId};
use governance::policies::PolicyEdit;
use serde_json::json;

use crate::connect::{As, read_json};
use crate::error::CliError;
use crate::output::Output;
use crate::room::Room;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists the delegate policies of a contract.
    List {
        #[command(flatten)]
        caller: As,
        /// The contract's id.
        contract: String,
    },
    /// Shows a delegate policy.
    Show {
        #[command(flatten)]
        caller: As,
        /// The contract's id.
        contract: String,
        /// What it is for, such as secrets/ID.
        #[arg(value_name = "TYPE/ID")]
        purpose: String,
    },
    /// Changes a delegate policy, as agreed code.
    Put {
        #[command(flatten)]
        room: Room,
        /// The contract's id.
        contract: String,
        /// What it is for: secrets/ID, events/writer, oauth-federation-subjects/SUBJECT, podpolicies/admin, ca/endorsed-cert.
        #[arg(value_name = "TYPE/ID")]
        purpose: String,
        /// Claims as JSON: {"claim": [values]}; - is standard input.
        #[arg(value_name = "FILE")]
        claims: PathBuf,
        /// Remove these claims and values instead of adding them.
        #[arg(long)]
        remove: bool,
        /// The claims are of virtual machines, not of container groups.
        #[arg(long)]
        vm: bool,
        /// A document that must be accepted and consented to for the policy to count, `member/ID` or `user/ID` for one kind; may be repeated. Replaces those
        /// named before.
        #[arg(long = "document", value_name = "ID", conflicts_with = "no_documents")]
        documents: Vec<String>,
        /// The policy is to count whatever becomes of documents.
        #[arg(long)]
        no_documents: bool,
    },
}

pub(crate) fn run(command: Command, output: &mut Output<'_>) -> Result<(), CliError> {
    match command {
        Command::List { caller, contract } => {
            let list = caller.client()?.delegates(&contract)?;
            let line = |one: &DelegateId| format!("{}/{}\n", one.delegate_type, one.delegate_id);
            output.show(&list, |list| list.iter().map(line).collect())
        }
        Command::Show {
            caller,
            contract,
            purpose,
        } => {
            let (kind, id) = parts(&purpose)?;
            output.show(&caller.client()?.delegate(&contract, kind, id)?, text)
        }
        Command::Put {
            room,
            contract,
            purpose,
            claims: file,
            remove,
            vm,
            documents,
            no_documents,
        } => {
            let (kind, id) = parts(&purpose)?;
            let claims = serde_json::from_value(read_json(&file)?)
                .map_err(|error| CliError::input(file.display().to_string(), &error))?;
            let change = DelegatePolicy {
                kind: kind.to_owned(),
                id: id.to_owned(),
                platform: if vm { Family::Cvm } else { Family::Caci },
                edit: if remove {
                    PolicyEdit::Remove
                } else {
                    PolicyEdit::Add
                },
                claims,
                documents: (no_documents || !documents.is_empty()).then_some(documents),
            };
            room.open()?.put_delegate(&contract, &change)?;
            let changed = json!({ "delegateType": kind, "delegateId": id });
            output.show(&changed, |_| "changed".to_owned())
        }
    }
}

fn parts(purpose: &str) -> Result<(&str, &str), CliError> {
    purpose
        .split_once('/')
        .ok_or_else(|| CliError::input(purpose, "not a type and an id, with a slash between them"))
}

fn text(delegate: &Delegate) -> String {
    if delegate.claims.is_empty() {
        return "no such policy".to_owned();
    }
    let mut text = String::new();
    for (claim, values) in &delegate.claims {
        let values: Vec<_> = values.iter().map(ToString::to_string).collect();
        text.push_str(&format!("{claim}  {}\n", values.join(" or ")));
    }
    for document in &delegate.documents {
        text.push_str(&format!(
            "while document {document} is accepted and consented to\n"
        ));
    }
    text
}
