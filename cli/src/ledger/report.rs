//! `cleanroom ledger report`.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use constitution::{InProcess, Limits};
use ledger_tools::{Judge, ReportPage};

use super::source::{Source, left_open};
use crate::error::CliError;
use crate::output::Output;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    source: Source,
    /// Where the page goes.
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
}

pub(crate) fn run(arguments: &Arguments, output: &mut Output<'_>) -> Result<(), CliError> {
    let mut page = ReportPage::default();
    let mut engine = InProcess::new(Limits::default());
    let mut judge = Judge::new(&mut engine);
    let report = arguments.source.walk(|shown| {
        page.transaction(&shown.entry);
        judge.transaction(shown);
    })?;
    for left in left_open(&report) {
        output.note(&format!("note: {left}"));
    }
    let html = page.finish(&report, &judge.finish());
    fs::write(&arguments.out, html).map_err(CliError::file(&arguments.out))?;
    output.show(&report, |_| format!("written: {}", arguments.out.display()))
}
