//! `cleanroom ledger show`.

use clap::{Args, Subcommand};
use ledger_tools::{
    KeyChange, Seqno, TableSummary, Tables as AllTables, TransactionSummary, changes, readable,
    shown, summaries,
};

use super::source::Source;
use crate::error::CliError;
use crate::output::{Output, lines};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Transactions: what each wrote where, without the rows.
    Entries(Entries),
    /// The history of one key of a public table.
    Key(Key),
    /// The rows of a public table.
    Table(Table),
    /// The public tables.
    Tables(Tables),
}

#[derive(Debug, Args)]
pub(crate) struct Entries {
    #[command(flatten)]
    source: Source,
    /// From this position.
    #[arg(long, value_name = "SEQNO", default_value_t = 1)]
    from: u64,
    /// To this position.
    #[arg(long, value_name = "SEQNO", default_value_t = u64::MAX)]
    to: u64,
    /// Only those that write this public table.
    #[arg(long, value_name = "NAME")]
    table: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Key {
    #[command(flatten)]
    source: Source,
    /// The table, such as public:ccf.gov.members.info.
    #[arg(long, value_name = "NAME")]
    table: String,
    /// The key, as `show table` shows it.
    #[arg(long, value_name = "KEY")]
    key: String,
}

#[derive(Debug, Args)]
pub(crate) struct Table {
    #[command(flatten)]
    source: Source,
    /// The table, such as public:ccf.gov.members.info.
    #[arg(long, value_name = "NAME")]
    table: String,
    /// As it stood after this position. Default: the last one.
    #[arg(long, value_name = "SEQNO", default_value_t = u64::MAX)]
    at: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Tables {
    #[command(flatten)]
    source: Source,
    /// As they stood after this position. Default: the last one.
    #[arg(long, value_name = "SEQNO", default_value_t = u64::MAX)]
    at: u64,
}

pub(crate) fn run(command: &Command, output: &mut Output<'_>) -> Result<(), CliError> {
    match command {
        Command::Entries(arguments) => entries(arguments, output),
        Command::Key(arguments) => key(arguments, output),
        Command::Table(arguments) => table(arguments, output),
        Command::Tables(arguments) => {
            let state = state(&arguments.source, arguments.at, output)?;
            output.show(&summaries(&state), |tables| join(tables, table_line))
        }
    }
}

fn entries(arguments: &Entries, output: &mut Output<'_>) -> Result<(), CliError> {
    let mut found = Vec::new();
    let asked = Seqno(arguments.from)..=Seqno(arguments.to);
    arguments.source.replay(output, |entry| {
        let writes = |table: &String| entry.section(table).is_some();
        if asked.contains(&entry.seqno) && arguments.table.as_ref().is_none_or(writes) {
            found.push(TransactionSummary::of(entry));
        }
    })?;
    output.show(&found, |found| join(found, entry_line))
}

fn key(arguments: &Key, output: &mut Output<'_>) -> Result<(), CliError> {
    let mut history = Vec::new();
    arguments.source.replay(output, |entry| {
        history.extend(changes(entry, &arguments.table, Some(&arguments.key)));
    })?;
    output.show(&history, |history| join(history, change_line))
}

fn table(arguments: &Table, output: &mut Output<'_>) -> Result<(), CliError> {
    let state = state(&arguments.source, arguments.at, output)?;
    let rows = state.rows(&arguments.table).map(|(key, row)| KeyChange {
        transaction: row.written,
        key: readable(key),
        value: Some(shown(&row.value)),
    });
    output.show(&rows.collect::<Vec<_>>(), |rows| join(rows, change_line))
}

fn state(source: &Source, at: u64, output: &mut Output<'_>) -> Result<AllTables, CliError> {
    let mut state = AllTables::new();
    source.replay(output, |entry| {
        if entry.seqno.0 <= at {
            state.apply(entry.id(), &entry.sections);
        }
    })?;
    Ok(state)
}

fn join<T>(items: &[T], line: fn(&T) -> String) -> String {
    if items.is_empty() {
        return "nothing".to_owned();
    }
    lines(items, line)
}

pub(super) fn entry_line(entry: &TransactionSummary) -> String {
    let mut wrote: Vec<String> = entry
        .tables
        .iter()
        .map(|(name, count)| format!("{name} ({count})"))
        .collect();
    if entry.private {
        wrote.push("private tables".to_owned());
    }
    let what = if entry.signature {
        "signature"
    } else {
        "wrote"
    };
    format!(
        "{:>10}  {:>7} bytes  {what}  {}",
        entry.transaction.to_string(),
        entry.size,
        wrote.join(", ")
    )
}

fn change_line(change: &KeyChange) -> String {
    let value = change.value.as_ref().map_or_else(
        || "removed".to_owned(),
        |value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        },
    );
    format!(
        "{:>10}  {}: {value}",
        change.transaction.to_string(),
        change.key
    )
}

fn table_line(table: &TableSummary) -> String {
    let last = table
        .last_written
        .map_or_else(|| "-".to_owned(), |id| id.to_string());
    format!(
        "{:>7} rows, last written {last:>10}  {}",
        table.rows, table.table
    )
}
