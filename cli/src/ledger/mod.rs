//! `cleanroom ledger`: what is written, checked and questioned by whoever has the files.
//!
//! Every answer comes from transactions that a verified signature covers. Without `--service-cert` the ledger vouches only for
//! itself, and each command says so.

mod access;
mod compare;
mod decrypt;
mod export;
mod receipt;
mod recoveries;
mod releases;
mod report;
mod show;
mod source;
mod timeline;
mod verify;
mod watch;

use clap::Subcommand;

use crate::error::CliError;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Finds the first transaction in which two ledgers differ. Exit code 4 when they have parted.
    Compare(compare::Arguments),
    /// Who could have read a contract's secrets at some time, and why.
    CouldRead(access::Arguments),
    /// Shows private tables, opened with the encryption keys of recovery members.
    Decrypt(decrypt::Arguments),
    /// Writes every transaction and public row as JSON lines, CSV or an SQLite database.
    Export(export::Arguments),
    /// Makes and checks receipts that carry everything needed offline.
    #[command(subcommand)]
    Receipt(receipt::Command),
    /// The identities the service has had, who recovered it and by which path.
    Recoveries(recoveries::Arguments),
    /// Who received which secret, token or certificate, under which policy, by which vote; and who was refused.
    Releases(releases::Arguments),
    /// Writes one HTML page with verdict, members, contracts, releases, recoveries and timeline.
    Report(report::Arguments),
    /// Shows transactions, tables, or one key's history.
    #[command(subcommand)]
    Show(show::Command),
    /// What happened, in order: proposals, ballots, joins, recoveries, code identities, keys.
    Timeline(timeline::Arguments),
    /// Verifies a ledger directory: every entry, the Merkle tree, every signature. Exit code 4 when something is wrong, 5 when it
    /// holds but not everything is signed by the service that was given.
    Verify(verify::Arguments),
    /// Follows a growing ledger and prints what happens as it is signed. Ends with an error when the ledger is rolled back or rewritten.
    Watch(watch::Arguments),
}

pub(crate) fn run(command: Command, output: &mut Output<'_>) -> Result<(), CliError> {
    match command {
        Command::Compare(arguments) => compare::run(&arguments, output),
        Command::CouldRead(arguments) => access::run(&arguments, output),
        Command::Decrypt(arguments) => decrypt::run(&arguments, output),
        Command::Export(arguments) => export::run(&arguments, output),
        Command::Receipt(command) => receipt::run(&command, output),
        Command::Recoveries(arguments) => recoveries::run(&arguments, output),
        Command::Releases(arguments) => releases::run(&arguments, output),
        Command::Report(arguments) => report::run(&arguments, output),
        Command::Show(command) => show::run(&command, output),
        Command::Timeline(arguments) => timeline::run(&arguments, output),
        Command::Verify(arguments) => verify::run(&arguments, output),
        Command::Watch(arguments) => watch::run(&arguments, output),
    }
}
