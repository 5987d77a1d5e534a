//! `cleanroom secret`: storing and listing secrets, and reading one with evidence.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use governance::releases::{Release, ReleaseFilter};
use governance::secrets::SecretText;
use serde_json::{Value, json};

use crate::connect::{As, read};
use crate::error::CliError;
use crate::output::Output;
use crate::room::{self, Room};

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
        /// A document of the contract that must be accepted and consented to when the secret is released, `member/ID` or `user/ID` for one kind; may
        /// be repeated.
        #[arg(long = "document", value_name = "ID")]
        documents: Vec<String>,
        /// The file with the secret's text, taken as it is; - is standard input. Never an argument, which others could see.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Receives a secret as a clean room, by evidence and the key that it vouches for.
    Get {
        #[command(flatten)]
        room: Room,
        /// The contract's id.
        contract: String,
        /// The secret's full id.
        id: String,
    },
    /// Lists who received what under a contract, who was refused, when, and by which decision. Newest first.
    Releases {
        #[command(flatten)]
        caller: As,
        #[command(flatten)]
        filter: Filter,
        /// The contract's id.
        contract: String,
    },
    /// Lists the ids of a contract's secrets.
    List {
        #[command(flatten)]
        caller: As,
        /// The contract's id.
        contract: String,
    },
}

/// Which releases.
#[derive(Debug, Args)]
pub(crate) struct Filter {
    /// Only secrets that this identity stored.
    #[arg(long)]
    mine: bool,
    /// Only of this kind: secret, token, certificate, signature, document.
    #[arg(long)]
    kind: Option<String>,
    /// Only about this: the full id of a secret or document, the subject of a token or certificate. Secrets, unless --kind is there.
    #[arg(long, value_name = "ID")]
    subject: Option<String>,
    /// Only granted, or only denied.
    #[arg(long, value_parser = ["granted", "denied"])]
    outcome: Option<String>,
    /// Only to code with this hostData.
    #[arg(long, value_name = "HEX")]
    host_data: Option<String>,
    /// Not older than this, in milliseconds since 1970 by the host's clock.
    #[arg(long, value_name = "MS")]
    from: Option<u64>,
    /// Not newer than this.
    #[arg(long, value_name = "MS")]
    to: Option<u64>,
}

impl From<Filter> for ReleaseFilter {
    fn from(filter: Filter) -> Self {
        let secrets = filter.subject.as_ref().map(|_| "secret".to_owned());
        Self {
            kind: filter.kind.or(secrets),
            subject: filter.subject,
            outcome: filter.outcome,
            host_data: filter.host_data,
            mine: filter.mine,
            from: filter.from,
            to: filter.to,
        }
    }
}

pub(crate) fn run(command: Command, output: &mut Output<'_>) -> Result<(), CliError> {
    match command {
        Command::Put {
            caller,
            contract,
            name,
            documents,
            file,
        } => {
            let secret = SecretText::new(read(&file)?);
            let client = caller.client()?;
            let id = client.put_secret_for(&contract, &name, &secret, &documents)?;
            output.show(&json!({ "secretId": id }), |_| id.clone())
        }
        Command::Get { room, contract, id } => {
            room::show(&room.open()?.secret(&contract, &id)?, output)
        }
        Command::Releases {
            caller,
            filter,
            contract,
        } => {
            let releases = caller.client()?.releases(&contract, &filter.into())?;
            output.show(&releases, |releases| lines(releases))
        }
        Command::List { caller, contract } => {
            let ids = caller.client()?.secrets(&contract)?;
            output.show(&json!(ids), |_| ids.join("\n"))
        }
    }
}

fn lines(releases: &[Release]) -> String {
    releases.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// When, what, to which code, under which decision; the transaction proves it.
fn line(release: &Release) -> String {
    let record = &release.record;
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let code = match &record["code"]["hostData"] {
        Value::String(host_data) => host_data.clone(),
        _ => word(&record["code"]["registers"]),
    };
    let reason = match record["check"].as_str().or(record["reason"].as_str()) {
        Some(reason) => format!(" {reason} (time {})", record["count"]),
        None => String::new(),
    };
    format!(
        "{} ms  {} {} {}{reason}  to {} {code}  under proposal {} (policy {})  transaction {}",
        record["time"],
        word(&record["outcome"]),
        word(&record["kind"]),
        word(&record["subject"]),
        word(&record["code"]["platform"]),
        word(&record["policy"]["proposalId"]),
        word(&record["policy"]["version"]),
        release
            .transaction_id
            .map_or_else(|| "-".to_owned(), |id| id.to_string()),
    )
}
