//! `cleanroom ledger receipt`.

use std::fs;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use ledger_tools::{Bundle, Proven, TxId};

use super::decrypt::private_keys;
use super::show::entry_line;
use super::source::Source;
use crate::connect::read;
use crate::error::CliError;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Makes a receipt of a transaction, with its entry and all that checking it offline takes.
    Make(Make),
    /// Checks such a receipt against a service certificate; needs no ledger. Exit code 4 when it proves nothing.
    Verify(Verify),
}

#[derive(Debug, Args)]
pub(crate) struct Make {
    #[command(flatten)]
    source: Source,
    /// The transaction, such as 2.44.
    #[arg(long, value_name = "TXID")]
    transaction: TxId,
    #[command(flatten)]
    keys: MemberKeys,
    /// Where it goes.
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
    /// Write the receipt alone, in CCF's JSON form.
    #[arg(long, conflicts_with = "cose")]
    json_form: bool,
    /// Write the receipt alone, in COSE form. Needs member keys.
    #[arg(long, requires = "keys")]
    cose: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MemberKeys {
    /// Private encryption key (PEM) of a recovery member, as many as it takes: only with the ledger's secret can the receipt name the
    /// transaction to somebody who does not see the entry, or have COSE form.
    #[arg(long = "member-key", id = "keys", value_name = "FILE")]
    keys: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The service certificate (PEM) that is trusted: the one at the ledger's end or the one that signed the transaction.
    #[arg(long, value_name = "FILE")]
    service_cert: PathBuf,
}

pub(crate) fn run(command: &Command, output: &mut Output<'_>) -> Result<(), CliError> {
    match command {
        Command::Make(arguments) => make(arguments, output),
        Command::Verify(arguments) => verify(arguments, output),
    }
}

fn make(arguments: &Make, output: &mut Output<'_>) -> Result<(), CliError> {
    let Source { directory, terms } = &arguments.source;
    let keys = private_keys(&arguments.keys.keys)?;
    let bundle = Bundle::make(directory, &terms.options()?, arguments.transaction, &keys)?;
    let json =
        |text: serde_json::Result<String>| text.map_err(|error| CliError::Print(error.into()));
    let bytes = if arguments.cose {
        let cose = bundle.cose_bytes().ok_or_else(|| {
            CliError::input("--cose", "the transaction has no receipt in COSE form")
        })?;
        cose.to_vec()
    } else if arguments.json_form {
        json(serde_json::to_string(bundle.receipt()))?.into_bytes()
    } else {
        json(serde_json::to_string_pretty(&bundle))?.into_bytes()
    };
    fs::write(&arguments.out, bytes).map_err(CliError::file(&arguments.out))?;
    output.show(&bundle, |_| format!("written: {}", arguments.out.display()))
}

fn verify(arguments: &Verify, output: &mut Output<'_>) -> Result<(), CliError> {
    let bundle = Bundle::from_json(read(&arguments.file)?.as_bytes())?;
    let proven = bundle.verify(&read(&arguments.service_cert)?)?;
    output.show(&proven, text)
}

fn text(proven: &Proven) -> String {
    let chain = match proven.endorsements {
        0 => String::new(),
        n => format!(", {n} identities before the given one"),
    };
    let form = if proven.cose {
        "; the COSE form holds too"
    } else {
        ""
    };
    format!(
        "{}\nsigned under identity {}{chain}{form}",
        entry_line(&proven.transaction),
        proven.identity
    )
}
