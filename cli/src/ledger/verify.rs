//! `cleanroom ledger verify`.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use ledger_tools::{
    Anchor, Legitimacy, Report, TxId, judge_directory, verify_directory, verify_from_snapshot,
};
use serde::Serialize;

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
    /// Leave out the replay of governance: say only that the service signed every byte, not that members decided what it says.
    #[arg(long)]
    integrity_only: bool,
    /// Start from this snapshot, which the given service must have signed: the ledger's files before it may be missing. Governance cannot
    /// be replayed then.
    #[arg(long, value_name = "FILE", requires_all = ["service_cert", "integrity_only"])]
    snapshot: Option<PathBuf>,
}

/// What was found.
#[derive(Serialize)]
struct Found {
    #[serde(flatten)]
    report: Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    governance: Option<Legitimacy>,
}

pub(crate) fn run(arguments: &Arguments, output: &mut Output<'_>) -> Result<(), CliError> {
    let Source { directory, terms } = &arguments.source;
    let options = terms.options()?;
    let found = if let Some(file) = &arguments.snapshot {
        let snapshot = fs::read(file).map_err(CliError::file(file))?;
        Found {
            report: verify_from_snapshot(directory, &snapshot, &options)?,
            governance: None,
        }
    } else if arguments.integrity_only {
        Found {
            report: verify_directory(directory, &options)?,
            governance: None,
        }
    } else {
        let (report, governance) = judge_directory(directory, &options)?;
        Found {
            report,
            governance: Some(governance),
        }
    };
    output.show(&found, text)?;
    let kept = found.report.checkpoint.as_ref();
    if let Some((file, checkpoint)) = arguments.save_checkpoint.as_ref().zip(kept) {
        let text = serde_json::to_string_pretty(checkpoint)
            .map_err(|error| CliError::Print(error.into()))?;
        fs::write(file, text + "\n").map_err(CliError::file(file))?;
    }
    let unjudged = match found.governance {
        Some(governance) => legitimate(governance, output)?,
        None => None,
    };
    whole(&found.report, unjudged, output)
}

/// No rule of government was broken. Says what could not be judged: a lie may hide there.
fn legitimate(governance: Legitimacy, output: &mut Output<'_>) -> Result<Option<String>, CliError> {
    if let Some(breach) = governance.breach {
        return Err(CliError::Illegitimate(Box::new(breach)));
    }
    for act in &governance.unjudged {
        let (transaction, reason) = (act.transaction, act.reason);
        output.note(&format!("note: {transaction} was not judged: {reason}"));
    }
    let count = governance.unjudged.len();
    Ok((count > 0).then(|| format!("{count} acts of government were not judged")))
}

/// Everything is signed, and by the service that was given if one was.
fn whole(
    report: &Report,
    unjudged: Option<String>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let mut left = left_open(report);
    if report.anchor == Anchor::None {
        // The caller asked for no more: said, but no failure.
        output.note(&format!("note: {}", left.remove(0)));
    }
    left.extend(unjudged);
    if left.is_empty() {
        return Ok(());
    }
    Err(CliError::Incomplete {
        reason: left.join("; "),
    })
}

fn text(found: &Found) -> String {
    let Report {
        entries,
        signatures,
        cose_signatures,
        chunks,
        ..
    } = &found.report;
    let id = |id: &Option<TxId>| {
        id.as_ref()
            .map_or_else(|| "nothing".to_owned(), TxId::to_string)
    };
    let until = id(&found.report.verified_until);
    let identity = found.report.service_identity.as_deref().unwrap_or("-");
    let pinned = if found.report.pinned {
        ", as given"
    } else {
        ""
    };
    let from = match &found.report.from_snapshot {
        Some(snapshot) => format!(", from the snapshot at {snapshot} on"),
        None => String::new(),
    };
    let mut text = format!(
        "verified until {until}{from}\n{entries} entries in {chunks} files, {signatures} signatures ({cose_signatures} with COSE)\n\
         service identity {identity}{pinned}"
    );
    if let Some(governance) = &found.governance {
        text += &format!(
            "\ngovernance replayed until {}: {} proposals, {} ballots, {} applied, {} recoveries",
            id(&governance.judged_until),
            governance.proposals,
            governance.ballots,
            governance.applied,
            governance.recoveries
        );
    }
    text
}
