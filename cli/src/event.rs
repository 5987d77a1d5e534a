//! `cleanroom event`: what clean rooms write for people to read.

use std::path::PathBuf;

use clap::Subcommand;
use governance::events::{Event, EventFilter};
use serde_json::json;

use crate::connect::{As, read_json};
use crate::error::CliError;
use crate::output::Output;
use crate::room::Room;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Reads the newest event of an id, or with --from or --to all of that part of the ledger, oldest first.
    Read {
        #[command(flatten)]
        caller: As,
        /// The contract's id.
        contract: String,
        /// The event's id; the contract's when absent.
        #[arg(long)]
        id: Option<String>,
        /// The scope.
        #[arg(long)]
        scope: Option<String>,
        /// From this position of the ledger on.
        #[arg(long, value_name = "SEQNO")]
        from: Option<u64>,
        /// Up to this position.
        #[arg(long, value_name = "SEQNO")]
        to: Option<u64>,
    },
    /// Writes an event as a clean room.
    Write {
        #[command(flatten)]
        room: Room,
        /// The contract's id.
        contract: String,
        /// What it says, JSON; - is standard input.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The event's id; the contract's when absent.
        #[arg(long)]
        id: Option<String>,
        /// The scope.
        #[arg(long, default_value = "")]
        scope: String,
    },
}

pub(crate) fn run(command: Command, output: &mut Output<'_>) -> Result<(), CliError> {
    match command {
        Command::Read {
            caller,
            contract,
            id,
            scope,
            from,
            to,
        } => {
            let filter = EventFilter {
                id,
                scope,
                from,
                to,
            };
            let events = caller.client()?.events(&contract, &filter)?;
            output.show(&events, |events| {
                events.iter().map(line).collect::<Vec<_>>().join("\n")
            })
        }
        Command::Write {
            room,
            contract,
            file,
            id,
            scope,
        } => {
            let data = read_json(&file)?;
            let id = id.unwrap_or_else(|| contract.clone());
            room.open()?.write_event(&contract, &scope, &id, &data)?;
            let written = json!({ "contractId": contract, "scope": scope, "id": id });
            output.show(&written, |_| "written".to_owned())
        }
    }
}

fn line(event: &Event) -> String {
    let Event {
        seqno,
        timestamp,
        timestamp_signed,
        data,
        ..
    } = event;
    let signed = if *timestamp_signed {
        ""
    } else {
        " (time not signed)"
    };
    let writer = event.writer["hostData"]
        .as_str()
        .or(event.writer["sub"].as_str())
        .unwrap_or("-");
    format!("{seqno}  {timestamp} ms{signed}  by {writer}  {data}")
}
