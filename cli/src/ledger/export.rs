//! `cleanroom ledger export`.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use ledger_tools::{Csv, Export, ExportError, JsonLines, Sqlite};

use super::source::Source;
use crate::error::CliError;
use crate::output::Output;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    source: Source,
    /// The form.
    #[arg(long)]
    format: Format,
    /// Where it goes. The file must not be there yet.
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// A JSON object a line.
    Jsonl,
    /// Comma-separated values, a row for each change of a key.
    Csv,
    /// A database.
    Sqlite,
}

pub(crate) fn run(arguments: &Arguments, output: &mut Output<'_>) -> Result<(), CliError> {
    let mut export = open(arguments.format, &arguments.out)?;
    let written = arguments.source.try_walk(|entry| export.transaction(entry));
    let finished = written.and_then(|report| {
        export.finish()?;
        Ok(report)
    });
    match finished {
        Ok(report) => output.show(&report, |report| {
            format!(
                "{} transactions written: {}",
                report.entries - report.unsigned_tail,
                arguments.out.display()
            )
        }),
        Err(error) => {
            // Half an export, or one of a ledger that does not verify, is nothing to keep. That it may stay says the error below.
            let _ = std::fs::remove_file(&arguments.out);
            Err(error)
        }
    }
}

fn open(format: Format, path: &Path) -> Result<Box<dyn Export>, ExportError> {
    let file = || File::create_new(path).map(BufWriter::new);
    Ok(match format {
        Format::Jsonl => Box::new(JsonLines(file()?)),
        Format::Csv => Box::new(Csv::new(file()?)?),
        Format::Sqlite => Box::new(Sqlite::create(path)?),
    })
}
