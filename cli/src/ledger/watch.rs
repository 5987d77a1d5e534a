//! `cleanroom ledger watch`.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use clap::Args;
use ledger_tools::{Event, Report, Seqno, Timeline, VerifyOptions, replay_signed};

use super::source::{Source, left_open};
use super::timeline::line;
use crate::error::CliError;
use crate::output::Output;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    source: Source,
    /// Seconds between looks.
    #[arg(long, value_name = "SECONDS", default_value_t = 2)]
    interval: u64,
    /// End when the ledger has not grown for so long. Default: never.
    #[arg(long, value_name = "SECONDS")]
    idle: Option<u64>,
}

/// Prints what happens as it is signed. Each look at a ledger that has changed verifies all of it again and holds it to what the look
/// before has seen: a ledger that was rolled back or rewritten ends the watch with an error.
pub(crate) fn run(arguments: &Arguments, output: &mut Output<'_>) -> Result<(), CliError> {
    let Source { directory, terms } = &arguments.source;
    let mut options = terms.options()?;
    let mut seen = Seqno(0);
    let mut files = None;
    let mut grown = Instant::now();
    loop {
        let now = stand(directory)?;
        if files.as_ref() != Some(&now) {
            let (report, events) = look(directory, &options, seen)?;
            if files.is_none() {
                left_open(&report)
                    .iter()
                    .for_each(|left| output.note(&format!("note: {left}")));
            }
            for event in &events {
                output.line(event, line)?;
            }
            let until = report.verified_until.map_or(Seqno(0), |id| id.seqno);
            if until > seen {
                grown = Instant::now();
            }
            seen = until;
            options.checkpoint = report.checkpoint;
            files = Some(now);
        }
        let patience = arguments.idle.map(Duration::from_secs);
        if patience.is_some_and(|patience| grown.elapsed() >= patience) {
            return Ok(());
        }
        sleep(Duration::from_secs(arguments.interval.max(1)));
    }
}

/// What is new behind `seen`.
fn look(
    directory: &Path,
    options: &VerifyOptions,
    seen: Seqno,
) -> Result<(Report, Vec<Event>), CliError> {
    let mut timeline = Timeline::default();
    let report = replay_signed(directory, options, |shown| {
        timeline.transaction(&shown.entry);
    })?;
    let mut events = timeline.finish();
    events.retain(|event| event.transaction.seqno > seen);
    Ok((report, events))
}

/// Names, sizes and times of the files: as long as they stay, nothing was written.
fn stand(directory: &Path) -> Result<Vec<(String, u64, SystemTime)>, CliError> {
    let entries = fs::read_dir(directory).map_err(CliError::file(directory))?;
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.map_err(CliError::file(directory))?;
        // A file that was renamed since is found under its new name at the next look.
        if let Ok(data) = entry.metadata() {
            let time = data.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            files.push((
                entry.file_name().to_string_lossy().into_owned(),
                data.len(),
                time,
            ));
        }
    }
    files.sort();
    Ok(files)
}
