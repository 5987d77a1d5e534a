//! `cleanroom ledger`: what is written, checked by whoever has the files.

use std::path::PathBuf;

use clap::Subcommand;
use ledger_tools::{Report, TxId, VerifyOptions, verify_directory};

use crate::connect::read;
use crate::error::CliError;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Verifies a ledger directory: every entry, the Merkle tree, every signature. Exit code 4 when something is wrong.
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
    },
}

pub(crate) fn run(command: Command, output: &mut Output<'_>) -> Result<(), CliError> {
    let Command::Verify {
        directory,
        service_cert,
        committed_only,
        recovery,
    } = command;
    let service_certificate = service_cert.as_deref().map(read).transpose()?;
    let options = VerifyOptions {
        service_certificate,
        committed_only,
        recovery,
    };
    let report = verify_directory(&directory, &options)?;
    output.show(&report, text)?;
    if !report.pinned {
        output.note(
            "note: no --service-cert given: the ledger is consistent, but could be anybody's",
        );
    }
    if report.unsigned_tail > 0 {
        output.note(&format!(
            "note: {} entries after the last signature are not verified",
            report.unsigned_tail
        ));
    }
    if report.torn_bytes > 0 {
        output.note(&format!(
            "note: the last {} bytes are an entry that was not written to its end",
            report.torn_bytes
        ));
    }
    Ok(())
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
