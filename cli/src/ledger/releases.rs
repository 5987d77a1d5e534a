//! `cleanroom ledger releases`.

use clap::{Args, ValueEnum};
use ledger_tools::{Filter, Release, Releases, short};

use super::source::Source;
use crate::error::CliError;
use crate::output::{Output, lines};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    source: Source,
    /// Only those of this contract.
    #[arg(long, value_name = "ID")]
    contract: Option<String>,
    /// Only secrets, only tokens, and so on.
    #[arg(long)]
    kind: Option<Kind>,
    /// Only those of this secret, or other thing with this name.
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// Only grants, or only denials.
    #[arg(long)]
    outcome: Option<Outcome>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Secret,
    Token,
    Certificate,
    Signature,
    Document,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Outcome {
    Granted,
    Denied,
}

pub(crate) fn run(arguments: &Arguments, output: &mut Output<'_>) -> Result<(), CliError> {
    let mut releases = Releases::matching(Filter {
        contract: arguments.contract.clone(),
        subject: arguments.subject.clone(),
        kind: arguments.kind.and_then(name),
        outcome: arguments.outcome.and_then(name),
    });
    arguments
        .source
        .replay(output, |entry| releases.transaction(entry))?;
    output.show(&releases.finish(), |releases| {
        if releases.is_empty() {
            return "nothing was released or refused".to_owned();
        }
        lines(releases, line)
    })
}

/// A value as the record and the command line spell it.
#[allow(clippy::needless_pass_by_value, reason = "used to map options")]
fn name<T: ValueEnum>(value: T) -> Option<String> {
    Some(value.to_possible_value()?.get_name().to_owned())
}

fn line(release: &Release) -> String {
    let text = |field: &str| release.text(field).unwrap_or("-");
    let mut line = format!(
        "{:>10}  {} {} {} of contract {} to {}",
        release.transaction.to_string(),
        text("outcome"),
        text("kind"),
        release.subject(),
        text("contractId"),
        release.code().map_or("-", short),
    );
    if let Some(reason) = release.text("reason") {
        line += &format!(": {reason}");
    }
    if let Some(decision) = &release.decision {
        let yes = decision.votes.values().filter(|vote| **vote).count();
        line += &format!(
            "; policy by proposal {}, {yes} of {} votes for it",
            short(&decision.proposal),
            decision.votes.len()
        );
    }
    if !release.proven {
        line += "; NOT bound to the transaction's receipt";
    }
    line
}
