//! `cleanroom ledger`: what is written, checked by whoever has the files.

use std::path::PathBuf;

use clap::Subcommand;
use ledger_tools::{Report, TxId, VerifyOptions, verify_directory};
use serde::Serialize;

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

/// The result as printed: the report, with transaction ids as text.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Verified<'a> {
    /// The last transaction covered by a signature, `view.seqno`.
    verified_until: Option<String>,
    last: Option<String>,
    entries: u64,
    unsigned_tail: u64,
    signatures: u64,
    cose_signatures: u64,
    chunks: u64,
    service_identity: Option<&'a str>,
    pinned: bool,
}

impl<'a> From<&'a Report> for Verified<'a> {
    fn from(report: &'a Report) -> Self {
        let text = |id: &Option<TxId>| id.as_ref().map(ToString::to_string);
        Self {
            verified_until: text(&report.verified_until),
            last: text(&report.last),
            entries: report.entries,
            unsigned_tail: report.unsigned_tail,
            signatures: report.signatures,
            cose_signatures: report.cose_signatures,
            chunks: report.chunks,
            service_identity: report.service_identity.as_deref(),
            pinned: report.pinned,
        }
    }
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
    output.show(&Verified::from(&report), text)?;
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
    Ok(())
}

fn text(verified: &Verified<'_>) -> String {
    let Verified {
        entries,
        signatures,
        cose_signatures,
        chunks,
        ..
    } = verified;
    let until = verified.verified_until.as_deref().unwrap_or("nothing");
    let identity = verified.service_identity.unwrap_or("-");
    let pinned = if verified.pinned { ", as given" } else { "" };
    format!(
        "verified until {until}\n{entries} entries in {chunks} files, {signatures} signatures ({cose_signatures} with COSE)\n\
         service identity {identity}{pinned}"
    )
}
