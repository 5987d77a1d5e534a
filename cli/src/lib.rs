//! The command line of the clean room governance service: the one binary, `cleanroom`.
//!
//! Exit codes, for scripts:
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | could not be done: a file, a connection, a setting |
//! | 2 | the command line is wrong |
//! | 3 | the service refused |
//! | 4 | verification failed |
//! | 5 | what was verified holds, but it is not everything: a ledger with an unsigned end, or signed by a later identity |

#![forbid(unsafe_code)]

mod attest;
mod authority;
mod connect;
mod constitution;
mod contract;
mod delegate;
mod demo;
mod document;
mod error;
mod event;
mod evidence;
mod issuer;
mod key;
mod ledger;
mod member;
mod node;
mod option;
mod output;
mod policy;
mod proposal;
mod recovery;
mod rehearsal;
mod room;
mod secret;
mod signing;
mod user;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use error::{CliError, Failure};
use output::Output;

/// Confidential clean room governance: agree on terms, vote on code, release secrets to attested code only.
#[derive(Debug, Parser)]
#[command(name = "cleanroom", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,

    /// Print data as JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Evidence: make it on the simulated platform, verify it.
    #[command(subcommand)]
    Attest(attest::Command),
    /// Certificate authorities of contracts: enable, make keys, receive a certificate as a clean room.
    #[command(subcommand)]
    Authority(authority::Command),
    /// Prints the constitution of this version as one module, which a CCF node takes too.
    Constitution,
    /// Contracts: draft, read, propose, accept.
    #[command(subcommand)]
    Contract(contract::Command),
    /// Delegate policies, by which agreed code admits other code: list, show, change as a clean room.
    #[command(subcommand)]
    Delegate(delegate::Command),
    /// Plays the whole story on a node of its own: a contract, votes, a secret, an attested release, a refusal, the ledger.
    Demo(demo::Arguments),
    /// Documents of contracts: draft, read, propose, vote, receive one as a clean room.
    #[command(subcommand)]
    Document(document::Command),
    /// Events: read them, write one as a clean room.
    #[command(subcommand)]
    Event(event::Command),
    /// The issuer of tokens: enable, make keys, set URLs, receive a token as a clean room.
    #[command(subcommand)]
    Issuer(issuer::Command),
    /// Ledgers: verify them, and ask what was decided, by whom, and who received what.
    #[command(subcommand)]
    Ledger(ledger::Command),
    /// Member identities: make one, become active, list.
    #[command(subcommand)]
    Member(member::Command),
    /// The embedded node: start a service.
    #[command(subcommand)]
    Node(node::Command),
    /// Options: consent, logging, telemetry, and how the application decides.
    #[command(subcommand)]
    Option(option::Command),
    /// Clean room policies: read, propose.
    #[command(subcommand)]
    Policy(policy::Command),
    /// Proposals: make, read, vote, withdraw.
    #[command(subcommand)]
    Proposal(proposal::Command),
    /// Recovery of a service from its ledger: open it, submit shares.
    #[command(subcommand)]
    Recovery(recovery::Command),
    /// Secrets: store, list, and receive one as a clean room.
    #[command(subcommand)]
    Secret(secret::Command),
    /// Signatures by the service: enable, make keys, have a file signed as a clean room.
    #[command(subcommand)]
    Signing(signing::Command),
    /// Users known by token: invite, accept, register, list.
    #[command(subcommand)]
    User(user::Command),
}

/// Runs the program with these arguments (the first is the program's name), data to `out`, all else to `err`.
pub fn run<I, T>(arguments: I, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        // Help and version are printed, wrong usage is explained; the library knows which goes where. If the terminal is gone there
        // is nobody left to tell.
        Err(error) => {
            let _ = if error.use_stderr() {
                write!(err, "{error}")
            } else {
                write!(out, "{error}")
            };
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let mut output = Output::new(arguments.json, out, err);
    let outcome = match arguments.command {
        Command::Attest(command) => attest::run(command, &mut output),
        Command::Authority(command) => authority::run(command, &mut output),
        Command::Constitution => constitution::print(&mut output),
        Command::Contract(command) => contract::run(command, &mut output),
        Command::Delegate(command) => delegate::run(command, &mut output),
        Command::Demo(arguments) => demo::run(&arguments, &mut output),
        Command::Document(command) => document::run(command, &mut output),
        Command::Event(command) => event::run(command, &mut output),
        Command::Issuer(command) => issuer::run(command, &mut output),
        Command::Ledger(command) => ledger::run(command, &mut output),
        Command::Member(command) => member::run(command, &mut output),
        Command::Node(command) => node::run(command, &mut output),
        Command::Option(command) => option::run(command, &mut output),
        Command::Policy(command) => policy::run(command, &mut output),
        Command::Proposal(command) => proposal::run(command, &mut output),
        Command::Recovery(command) => recovery::run(command, &mut output),
        Command::Secret(command) => secret::run(command, &mut output),
        Command::Signing(command) => signing::run(command, &mut output),
        Command::User(command) => user::run(command, &mut output),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output.error(&error);
            ExitCode::from(error.failure().exit_code())
        }
    }
}

#[cfg(test)]
mod tests;
