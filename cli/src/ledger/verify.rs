//! `cleanroom ledger verify`.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use ledger_tools::{Anchor, Report, TxId, verify_directory};

use super::source::{Source, left_open};
use crate::error::CliError;
use crate::output::Output;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    source: Source,
    /// Where to save what the last signature says, to compare with later.
    #[arg(long, value_name = "FILE")]
    save_checkpoint: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments, output: &mut Output<'_>) -> Result<(), CliError> {
    let Source { directory, terms } = &arguments.source;
    let report = verify_directory(directory, &terms.options()?)?;
    output.show(&report, text)?;
    if let Some((file, checkpoint)) = arguments
        .save_checkpoint
        .as_ref()
        .zip(report.checkpoint.as_ref())
    {
        let text = serde_json::to_string_pretty(checkpoint)
            .map_err(|error| CliError::Print(error.into()))?;
        fs::write(file, text + "\n").map_err(CliError::file(file))?;
    }
    whole(&report, output)
}

/// Everything is signed, and by the service that was given if one was.
fn whole(report: &Report, output: &mut Output<'_>) -> Result<(), CliError> {
    let mut left = left_open(report);
    if report.anchor == Anchor::None {
        // The caller asked for no more: said, but no failure.
        output.note(&format!("note: {}", left.remove(0)));
    }
    if left.is_empty() {
        return Ok(());
    }
    Err(CliError::Incomplete {
        reason: left.join("; "),
    })
}

fn text(report: &Report) -> String {
    let Report {
        entries,
        signatures,
        cose_signatures,
        chunks,
        ..
    } = report;
    let until = report
        .verified_until
        .as_ref()
        .map_or_else(|| "nothing".to_owned(), TxId::to_string);
    let identity = report.service_identity.as_deref().unwrap_or("-");
    let pinned = if report.pinned { ", as given" } else { "" };
    format!(
        "verified until {until}\n{entries} entries in {chunks} files, {signatures} signatures ({cose_signatures} with COSE)\n\
         service identity {identity}{pinned}"
    )
}
