//! `cleanroom ledger decrypt`.

use std::path::PathBuf;

use clap::Args;
use ledger_tools::{RsaPrivateKey, TxId, decrypt_directory, shown};
use serde::Serialize;
use serde_json::Value;

use super::source::{Source, left_open};
use crate::connect::read;
use crate::error::CliError;
use crate::output::{Output, lines};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    source: Source,
    /// Private encryption key (PEM) of a recovery member; as many as the threshold asks for, or one owner's.
    #[arg(long = "member-key", value_name = "FILE", required = true)]
    keys: Vec<PathBuf>,
    /// Only this private table.
    #[arg(long, value_name = "NAME")]
    table: Option<String>,
    /// Show values, not only keys and sizes.
    #[arg(long)]
    values: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Change {
    transaction: TxId,
    table: String,
    key: Value,
    /// Bytes of the value; absent when the key was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
}

pub(crate) fn run(arguments: &Arguments, output: &mut Output<'_>) -> Result<(), CliError> {
    let keys = private_keys(&arguments.keys)?;
    let Source { directory, terms } = &arguments.source;
    let mut changes = Vec::new();
    let wanted = |table: &str| arguments.table.as_ref().is_none_or(|name| name == table);
    let report = decrypt_directory(
        directory,
        &terms.options()?,
        &keys,
        |transaction, change| {
            if wanted(&change.table) {
                let value = change.value.as_ref();
                changes.push(Change {
                    transaction,
                    key: shown(&change.key),
                    size: value.map(|value| value.len()),
                    value: value.filter(|_| arguments.values).map(|value| shown(value)),
                    table: change.table,
                });
            }
        },
    )?;
    for left in left_open(&report) {
        output.note(&format!("note: {left}"));
    }
    output.show(&changes, |changes| lines(changes, line))
}

/// Private keys from their files.
pub(super) fn private_keys(files: &[PathBuf]) -> Result<Vec<RsaPrivateKey>, CliError> {
    let key = |path: &PathBuf| {
        let pem = zeroize::Zeroizing::new(read(path)?);
        RsaPrivateKey::from_pem(&pem)
            .map_err(|error| CliError::input(path.display().to_string(), &error.to_string()))
    };
    files.iter().map(key).collect()
}

fn line(change: &Change) -> String {
    let what = match (&change.value, change.size) {
        (Some(value), _) => value.to_string(),
        (None, Some(size)) => format!("{size} bytes"),
        (None, None) => "removed".to_owned(),
    };
    format!(
        "{:>10}  {} {}: {what}",
        change.transaction.to_string(),
        change.table,
        change.key
    )
}
