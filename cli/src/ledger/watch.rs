//! `cleanroom ledger watch`.

use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::Args;
use constitution::{InProcess, Limits};
use ledger_tools::{Follower, Judge, Timeline};

use super::source::{Source, left_open};
use super::timeline::line;
use crate::error::CliError;
use crate::output::{Output, one_line};

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
    /// Leave out the replay of governance: notice only that the service signed every byte, not that members decided what it says.
    #[arg(long)]
    integrity_only: bool,
}

/// Prints what happens as it is signed. Each look verifies what is new and holds it to what the look before has seen: a ledger that was
/// rolled back or rewritten, or that says what its members did not decide, ends the watch with an error.
pub(crate) fn run(arguments: &Arguments, output: &mut Output<'_>) -> Result<(), CliError> {
    let Source { directory, terms } = &arguments.source;
    let mut follower = Follower::new(directory, terms.options()?)?;
    let mut timeline = Timeline::default();
    let mut engine = InProcess::new(Limits::default());
    let mut judge = Judge::new(&mut engine);
    let mut grown = Instant::now();
    let (mut first, mut unjudged) = (true, 0);
    loop {
        let mut shown = false;
        let look = follower.look(|transaction| {
            shown = true;
            timeline.transaction(&transaction.entry);
            if !arguments.integrity_only {
                judge.transaction(transaction);
            }
        })?;
        if let Some(look) = look.filter(|_| first) {
            first = false;
            for left in left_open(&look.report) {
                output.note(&format!("note: {left}"));
            }
        }
        for event in timeline.take() {
            output.line(&event, |event| one_line(&line(event)).into_owned())?;
        }
        let found = judge.found();
        for act in found.unjudged.iter().skip(unjudged) {
            let (transaction, reason) = (act.transaction, act.reason);
            output.note(&format!("note: {transaction} was not judged: {reason}"));
        }
        unjudged = found.unjudged.len();
        if let Some(breach) = &found.breach {
            return Err(CliError::Illegitimate(Box::new(breach.clone())));
        }
        if shown {
            grown = Instant::now();
        }
        let patience = arguments.idle.map(Duration::from_secs);
        if patience.is_some_and(|patience| grown.elapsed() >= patience) {
            return Ok(());
        }
        sleep(Duration::from_secs(arguments.interval.max(1)));
    }
}
