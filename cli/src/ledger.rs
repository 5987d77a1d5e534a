//! `cleanroom ledger`: what is written, checked by whoever has the files.

use std::fs;
use std::path::PathBuf;

use clap::Subcommand;
use ledger_tools::{Anchor, AuditError, Checkpoint, Report, TxId, VerifyOptions, verify_directory};

use crate::connect::read;
use crate::error::CliError;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Verifies a ledger directory: every entry, the Merkle tree, every signature. Exit code 4 when something is wrong, 5 when it
    /// holds but not everything is signed by the service that was given.
    Verify {
        /// The directory with the ledger's files.
        #[arg(value_name = "DIR")]
        directory: PathBuf,
        /// The service certificate (PEM) that must have signed it. Without it the ledger vouches only for itself.
        #[arg(long, value_name = "FILE")]
        service_cert: Option<PathBuf>,
        /// Leave out files that are not complete yet.
        #[arg(long)]
        committed_only: bool,
        /// Include files written while a recovery was in progress.
        #[arg(long)]
        recovery: bool,
        /// A checkpoint saved earlier. The ledger must go on from there.
        #[arg(long, value_name = "FILE")]
        checkpoint: Option<PathBuf>,
        /// Where to save what the last signature says, to compare with later.
        #[arg(long, value_name = "FILE")]
        save_checkpoint: Option<PathBuf>,
    },
}

pub(crate) fn run(command: Command, output: &mut Output<'_>) -> Result<(), CliError> {
    let Command::Verify {
        directory,
        service_cert,
        committed_only,
        recovery,
        checkpoint,
        save_checkpoint,
    } = command;
    let service_certificate = service_cert.as_deref().map(read).transpose()?;
    let checkpoint = checkpoint
        .as_deref()
        .map(|file| -> Result<_, CliError> {
            Ok(Checkpoint::from_json(read(file)?.as_bytes()).map_err(AuditError::from)?)
        })
        .transpose()?;
    let given = service_certificate.is_some();
    let options = VerifyOptions {
        service_certificate,
        checkpoint,
        committed_only,
        recovery,
    };
    let report = verify_directory(&directory, &options)?;
    output.show(&report, text)?;
    if let Some((file, checkpoint)) = save_checkpoint.zip(report.checkpoint.as_ref()) {
        let text = serde_json::to_string_pretty(checkpoint)
            .map_err(|error| CliError::Print(error.into()))?;
        fs::write(&file, text + "\n").map_err(CliError::file(&file))?;
    }
    if !given {
        output.note(
            "note: no --service-cert given: the ledger is consistent, but could be anybody's",
        );
    }
    whole(&report, given)
}

/// Everything is signed, and by the service that was given if one was.
fn whole(report: &Report, given: bool) -> Result<(), CliError> {
    let mut left = Vec::new();
    if report.unsigned_tail > 0 {
        let count = report.unsigned_tail;
        left.push(format!(
            "{count} entries after the last signature are not verified"
        ));
    }
    if report.torn_bytes > 0 {
        let count = report.torn_bytes;
        left.push(format!(
            "the last {count} bytes are an entry that was not written to its end"
        ));
    }
    if let (true, Anchor::Predecessor { until, .. }) = (given, &report.anchor) {
        left.push(format!(
            "the given service vouches until {until}; another identity signs what follows"
        ));
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
