//! `cleanroom ledger report`.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use ledger_tools::ReportPage;

use super::source::Source;
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
    let report = arguments
        .source
        .replay(output, |entry| page.transaction(entry))?;
    fs::write(&arguments.out, page.finish(&report)).map_err(CliError::file(&arguments.out))?;
    output.show(&report, |_| format!("written: {}", arguments.out.display()))
}
