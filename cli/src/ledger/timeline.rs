//! `cleanroom ledger timeline`.

use clap::Args;
use ledger_tools::{Event, Timeline, date};

use super::source::Source;
use crate::error::CliError;
use crate::output::{Output, lines};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    source: Source,
}

pub(crate) fn run(arguments: &Arguments, output: &mut Output<'_>) -> Result<(), CliError> {
    let mut timeline = Timeline::default();
    arguments
        .source
        .replay(output, |entry| timeline.transaction(entry))?;
    output.show(&timeline.finish(), |events| lines(events, line))
}

/// One event in words.
pub(super) fn line(event: &Event) -> String {
    let time = event.signed_at.map(date).unwrap_or_default();
    format!(
        "{:>10}  {time:20}  {}",
        event.transaction.to_string(),
        event.what
    )
}
