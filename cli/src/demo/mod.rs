//! `cleanroom demo`: three parties, a contract, votes, a secret, a release, a refusal, a stop and a recovery, and a ledger that proves it.
//!
//! Everything runs on this machine: a node of its own on a free port of the loopback interface, and clients that reach it over HTTPS
//! as they would reach any other. Nothing but the clean room's evidence is simulated, and with `--evidence` not even that.

mod comeback;
mod setting;
mod steps;
mod story;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use clap::Args;
use ledger_tools::{VerifyOptions, verify_directory};

use self::setting::Setting;
use self::steps::Steps;
use crate::error::CliError;
use crate::output::Output;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Keep the ledger, identities and certificates in this folder, which must be empty or absent.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Let the clean room present real evidence from this folder instead of simulated: report.bin, endorsements.pem,
    /// uvm_endorsement.cose, priv_key.pem.
    #[arg(long, value_name = "DIR")]
    evidence: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments, output: &mut Output<'_>) -> Result<(), CliError> {
    // Dropped, and with it removed, at the end.
    let scratch;
    let folder = match &arguments.dir {
        Some(folder) => folder.as_path(),
        None => {
            scratch = tempfile::tempdir().map_err(CliError::file(&std::env::temp_dir()))?;
            scratch.path()
        }
    };
    check_empty(folder)?;
    let colour = std::io::stdout().is_terminal();
    let mut steps = Steps::new(output.stream(), colour);
    let setting = Setting::prepare(folder, arguments.evidence.as_deref(), &mut steps)?;
    let ending = story::play(&setting.cast, &mut steps)?;
    let service_certificate = setting.service_certificate.clone();
    setting.end();
    let comeback = comeback::play(
        folder,
        &service_certificate,
        arguments.evidence.as_deref(),
        &ending,
        &mut steps,
    )?;
    let service_certificate = comeback.service_certificate;
    audit(folder, &service_certificate, &ending, &mut steps)?;
    if arguments.dir.is_some() {
        steps.fact(&format!(
            "kept: {0} (again: cleanroom ledger verify {0}/ledger --service-cert {0}/recovered_service_cert.pem)",
            folder.display()
        ))?;
    }
    Ok(())
}

fn check_empty(folder: &Path) -> Result<(), CliError> {
    let empty = match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => return Err(CliError::file(folder)(error)),
    };
    if empty {
        return Ok(());
    }
    Err(CliError::input(
        folder.display().to_string(),
        "not empty: an earlier ledger there is kept",
    ))
}

/// Anybody with the files can do this; nothing of the node is needed.
fn audit(
    folder: &Path,
    service_certificate: &str,
    ending: &story::Ending,
    steps: &mut Steps<'_>,
) -> Result<(), CliError> {
    steps.step("An auditor verifies the ledger, offline, against the service certificate")?;
    let report = verify_directory(
        &folder.join("ledger"),
        &VerifyOptions {
            service_certificate: Some(service_certificate.to_owned()),
            ..VerifyOptions::default()
        },
    )?;
    steps.held(&format!(
        "{} transactions in {} files, {} signatures: every byte is signed by the service",
        report.entries, report.chunks, report.signatures
    ))?;
    steps.expect(
        "the last signature covers the last transaction",
        &report.verified_until,
        &report.last,
    )?;
    let until = report.verified_until.map_or(0, |id| id.seqno.0);
    steps.expect(
        &format!("the release, {}, is among them", ending.release),
        &(until > ending.release.seqno.0),
        &true,
    )
}
