//! The ledger that a command is about.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use ledger_tools::{
    Anchor, AuditError, Checkpoint, EndorsementRow, Entry, Report, Transaction, VerifyOptions,
    replay_signed,
};

use crate::connect::read;
use crate::error::CliError;
use crate::output::Output;

#[derive(Debug, Args)]
pub(crate) struct Source {
    /// The directory with the ledger's files.
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
    #[command(flatten)]
    pub(crate) terms: Terms,
}

/// What it is held against.
#[derive(Debug, Args)]
pub(crate) struct Terms {
    /// The service certificate (PEM) that must have signed it. Without it the ledger vouches only for itself.
    #[arg(long, value_name = "FILE")]
    service_cert: Option<PathBuf>,
    /// Endorsements that lead from that service back to the one that signed the ledger, as `ledger recoveries --save-endorsements` writes
    /// them from a later ledger: for a copy from before a recovery.
    #[arg(long, value_name = "FILE", requires = "service_cert")]
    endorsements: Option<PathBuf>,
    /// A checkpoint saved earlier. The ledger must go on from there.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Leave out files that are not complete yet.
    #[arg(long)]
    committed_only: bool,
    /// Include files written while a recovery was in progress.
    #[arg(long)]
    recovery: bool,
}

impl Terms {
    pub(crate) fn options(&self) -> Result<VerifyOptions, CliError> {
        let checkpoint = |file: &PathBuf| -> Result<_, CliError> {
            Ok(Checkpoint::from_json(read(file)?.as_bytes()).map_err(AuditError::from)?)
        };
        let endorsements = |file: &PathBuf| -> Result<Vec<EndorsementRow>, CliError> {
            let rows = serde_json::from_str(&read(file)?);
            rows.map_err(|e| CliError::input(file.display().to_string(), &e.to_string()))
        };
        Ok(VerifyOptions {
            endorsements: self
                .endorsements
                .as_ref()
                .map(endorsements)
                .transpose()?
                .unwrap_or_default(),
            service_certificate: self.service_cert.as_deref().map(read).transpose()?,
            checkpoint: self.checkpoint.as_ref().map(checkpoint).transpose()?,
            committed_only: self.committed_only,
            recovery: self.recovery,
        })
    }
}

impl Source {
    /// Verifies the ledger, shows each transaction that is signed, and notes what the verification leaves open.
    pub(crate) fn replay(
        &self,
        output: &mut Output<'_>,
        mut transaction: impl FnMut(&Entry<'_>),
    ) -> Result<Report, CliError> {
        let report = self.walk(|shown| transaction(&shown.entry))?;
        for left in left_open(&report) {
            output.note(&format!("note: {left}"));
        }
        Ok(report)
    }

    /// As [`Self::replay`], with nothing said.
    pub(crate) fn walk(&self, mut show: impl FnMut(&Transaction<'_>)) -> Result<Report, CliError> {
        let options = self.terms.options()?;
        let bar = self.bar();
        let report = replay_signed(&self.directory, &options, |transaction| {
            bar.inc(transaction.entry.bytes.len() as u64);
            show(transaction);
        });
        bar.finish_and_clear();
        Ok(report?)
    }

    /// As [`Self::walk`], until the first transaction that cannot be dealt with.
    pub(crate) fn try_walk<E: Into<CliError>>(
        &self,
        mut deal: impl FnMut(&Entry<'_>) -> Result<(), E>,
    ) -> Result<Report, CliError> {
        let mut failed = None;
        let report = self.walk(|shown| {
            if failed.is_none() {
                failed = deal(&shown.entry).err();
            }
        })?;
        failed.map_or(Ok(report), |error| Err(error.into()))
    }

    /// Shown on a terminal only.
    fn bar(&self) -> ProgressBar {
        if !std::io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let size = |item: std::io::Result<std::fs::DirEntry>| item.ok()?.metadata().ok();
        let items = std::fs::read_dir(&self.directory).into_iter().flatten();
        let total = items.filter_map(size).map(|metadata| metadata.len()).sum();
        let bar = ProgressBar::new(total);
        if let Ok(style) =
            ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
        {
            bar.set_style(style);
        }
        bar
    }
}

/// What a verification leaves open, in words.
pub(crate) fn left_open(report: &Report) -> Vec<String> {
    let mut left = Vec::new();
    match &report.anchor {
        Anchor::None => left.push(
            "no --service-cert given: the ledger is consistent, but could be anybody's".to_owned(),
        ),
        Anchor::Predecessor { until, .. } => left.push(format!(
            "the given service vouches until {until}; another identity signs what follows"
        )),
        Anchor::Service { .. } | Anchor::Successor { .. } => {}
    }
    if report.unsigned_tail > 0 {
        left.push(format!(
            "{} entries after the last signature are not verified",
            report.unsigned_tail
        ));
    }
    if report.torn_bytes > 0 {
        left.push(format!(
            "the last {} bytes are an entry that was not written to its end",
            report.torn_bytes
        ));
    }
    left
}
