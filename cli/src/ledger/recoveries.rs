//! `cleanroom ledger recoveries`.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use ledger_tools::{Identity, Recoveries, TxId, short};

use super::source::Source;
use crate::error::CliError;
use crate::output::Output;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    source: Source,
    /// Where to write the endorsements of earlier identities. With the certificate of the last one they are what a copy of the ledger from
    /// before a recovery is verified against.
    #[arg(long, value_name = "FILE")]
    save_endorsements: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments, output: &mut Output<'_>) -> Result<(), CliError> {
    let mut recoveries = Recoveries::default();
    arguments
        .source
        .replay(output, |entry| recoveries.transaction(entry))?;
    if let Some(file) = &arguments.save_endorsements {
        let text = serde_json::to_string_pretty(&recoveries.endorsements())
            .map_err(|error| CliError::Print(error.into()))?;
        fs::write(file, text + "\n").map_err(CliError::file(file))?;
    }
    output.show(&recoveries.finish(), |identities| {
        identities.iter().map(text).collect::<Vec<_>>().join("\n")
    })
}

fn text(identity: &Identity) -> String {
    let at = |id: Option<TxId>| id.map_or_else(|| "-".to_owned(), |id| id.to_string());
    let what = match identity.recovery {
        0 => "first identity".to_owned(),
        n => format!("recovery {n}"),
    };
    let mut lines = vec![format!(
        "{what}: {} from {}, opened in {}",
        identity.key,
        at(identity.from),
        at(identity.opened)
    )];
    if let Some(by) = &identity.by {
        lines.push(format!("  private state recovered by {by}"));
    }
    for (member, transaction) in &identity.shares {
        lines.push(format!("  share of {} in {transaction}", short(member)));
    }
    if let Some(decision) = &identity.decision {
        let voters: Vec<&str> = decision.votes.keys().map(|member| short(member)).collect();
        lines.push(format!(
            "  opened by proposal {}, votes of {}",
            short(&decision.proposal),
            voters.join(", ")
        ));
    }
    match &identity.endorses {
        Some(key) if *key == identity.key => {}
        Some(key) => lines.push(format!("  endorses {key}")),
        None => lines.push("  endorses no identity: nothing links it to the one before".to_owned()),
    }
    for note in &identity.notes {
        lines.push(format!(
            "  {} {}: {}",
            note.transaction, note.table, note.row
        ));
    }
    lines.join("\n")
}
