//! `cleanroom ledger compare`.

use std::path::PathBuf;

use clap::Args;
use ledger_tools::{Comparison, Side, TxId, compare_directories};

use super::source::Terms;
use crate::error::CliError;
use crate::output::Output;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The one ledger directory.
    #[arg(value_name = "LEFT")]
    left: PathBuf,
    /// The other.
    #[arg(value_name = "RIGHT")]
    right: PathBuf,
    #[command(flatten)]
    terms: Terms,
}

pub(crate) fn run(arguments: &Arguments, output: &mut Output<'_>) -> Result<(), CliError> {
    let options = arguments.terms.options()?;
    let comparison = compare_directories(&arguments.left, &arguments.right, &options)?;
    output.show(&comparison, text)?;
    match comparison {
        Comparison::Fork { left, .. } => Err(CliError::Fork {
            at: left.transaction.seqno,
        }),
        Comparison::Same { .. } | Comparison::Longer { .. } => Ok(()),
    }
}

fn text(comparison: &Comparison) -> String {
    let at = |id: &Option<TxId>| id.map_or_else(|| "nothing".to_owned(), |id| id.to_string());
    match comparison {
        Comparison::Same { last } => format!("the same up to {}", at(last)),
        Comparison::Longer { common, longer, by } => {
            let longer = match longer {
                Side::Left => "left",
                Side::Right => "right",
            };
            format!(
                "the same up to {}; the {longer} one goes on for {by} transactions",
                at(common)
            )
        }
        Comparison::Fork {
            common,
            left,
            right,
            differing,
        } => {
            let tables = if differing.is_empty() {
                "private tables".to_owned()
            } else {
                differing.join(", ")
            };
            format!(
                "the same up to {}, then {} on the left and {} on the right; they differ in {tables}",
                at(common),
                left.transaction,
                right.transaction
            )
        }
    }
}
