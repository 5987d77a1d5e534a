//! `cleanroom ledger could-read`.

use clap::Args;
use ledger_tools::{Access, AuditError, Basis, CouldRead, Moment, TxId, short};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::source::Source;
use crate::error::CliError;
use crate::output::Output;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    source: Source,
    /// The contract.
    #[arg(long, value_name = "ID")]
    contract: String,
    /// The secret. Without it: any secret of the contract.
    #[arg(long, value_name = "NAME")]
    secret: Option<String>,
    /// When: a transaction id, a position, or a time such as 2026-05-01T12:00:00Z, by the clock of the node that signed. Default: now.
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    at: Option<Moment>,
}

fn moment(text: &str) -> Result<Moment, String> {
    if let Ok(id) = text.parse::<TxId>() {
        return Ok(Moment::Seqno(id.seqno));
    }
    if let Ok(seqno) = text.parse() {
        return Ok(Moment::Seqno(ledger_tools::Seqno(seqno)));
    }
    let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| {
        "want a transaction id, a position, or a time such as 2026-05-01T12:00:00Z".to_owned()
    })?;
    u64::try_from(time.unix_timestamp())
        .map(Moment::Time)
        .map_err(|_| "no ledger is older than 1970".to_owned())
}

pub(crate) fn run(arguments: &Arguments, output: &mut Output<'_>) -> Result<(), CliError> {
    let moment = arguments.at.unwrap_or(Moment::End);
    let mut access = Access::to(&arguments.contract, arguments.secret.as_deref(), moment);
    arguments
        .source
        .replay(output, |entry| access.transaction(entry))?;
    let answer = access.finish().ok_or_else(|| AuditError::Absent {
        what: "the moment asked about",
        got: "no signed transaction that old".to_owned(),
        want: "one".to_owned(),
    })?;
    output.show(&answer, text)
}

fn text(answer: &CouldRead) -> String {
    let mut lines = vec![format!("after {}:", answer.after)];
    match &answer.accepted {
        None => lines.push("the contract is not accepted: nothing is released".to_owned()),
        Some(basis) => lines.push(format!("contract accepted in {}", why(basis))),
    }
    if !answer.execution_disabled_by.is_empty() {
        let who: Vec<&str> = answer
            .execution_disabled_by
            .iter()
            .map(|id| short(id))
            .collect();
        lines.push(format!(
            "execution switched off by {}: nothing is released",
            who.join(", ")
        ));
    }
    match &answer.policy {
        None => lines.push("no policy: no code is admitted".to_owned()),
        Some(policy) => {
            lines.push(format!(
                "code with all of these claims, policy of {}:",
                why(&policy.basis)
            ));
            lines.extend(
                policy
                    .claims
                    .iter()
                    .map(|(claim, values)| format!("  {claim} one of {values}")),
            );
        }
    }
    for delegate in &answer.delegates {
        let row = serde_json::Value::Object(delegate.row.clone());
        lines.push(format!("delegate of {}: {row}", delegate.transaction));
    }
    for node in &answer.nodes {
        lines.push(format!(
            "node {} holds the ledger's secrets since {} ({}, measurement {})",
            short(&node.node),
            node.transaction,
            node.platform.as_deref().unwrap_or("-"),
            node.code.as_deref().map_or("-", short)
        ));
    }
    let recovery = &answer.recovery;
    let whose = |members: &[String]| {
        members
            .iter()
            .map(|id| short(id))
            .collect::<Vec<_>>()
            .join(", ")
    };
    if !recovery.participants.is_empty() {
        lines.push(format!(
            "recovery by any {} of {}",
            recovery
                .threshold
                .map_or_else(|| "?".to_owned(), |n| n.to_string()),
            whose(&recovery.participants)
        ));
    }
    if !recovery.owners.is_empty() {
        lines.push(format!(
            "recovery by each alone: {}",
            whose(&recovery.owners)
        ));
    }
    for release in &answer.received {
        lines.push(format!(
            "received in {} by {}",
            release.transaction,
            release.host_data.as_deref().map_or("-", short)
        ));
    }
    lines.join("\n")
}

fn why(basis: &Basis) -> String {
    match &basis.decision {
        None => basis.transaction.to_string(),
        Some(decision) => {
            let whose = |wanted: bool| {
                let cast = decision.votes.iter().filter(|(_, vote)| **vote == wanted);
                let members: Vec<&str> = cast.map(|(member, _)| short(member)).collect();
                if members.is_empty() {
                    "nobody".to_owned()
                } else {
                    members.join(", ")
                }
            };
            format!(
                "{} by proposal {}, for it {}, against it {}",
                basis.transaction,
                short(&decision.proposal),
                whose(true),
                whose(false)
            )
        }
    }
}
