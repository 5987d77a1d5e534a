//! `cleanroom proposal rehearse` and `explain`: what a proposal would meet and do, computed on this machine.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use constitution::MemoryKv;
use governance::client::ClientError;
use governance::member::Actions;
use governance::rehearsal::{Change, Rehearsal, ReleaseChange, ServiceTables, explain, rehearse};
use governance::service::Explanation;
use governance::{Client, Identity, IdentityId, ProposalId};
use ledger_tools::{Seqno, VerifyOptions, tables_at};
use serde_json::Value;

use crate::connect::{As, read};
use crate::error::CliError;
use crate::output::Output;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The proposal: {"actions": [{"name": ..., "args": {...}}]}; - is standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The folder of the identity that would propose it (cert.pem, privk.pem).
    #[arg(long, value_name = "DIR")]
    identity: PathBuf,
    /// The service certificate (PEM): the only one that is trusted.
    #[arg(long, value_name = "FILE")]
    service_cert: PathBuf,
    /// The service's address: https://host:port.
    #[arg(long, value_name = "URL", required_unless_present = "ledger")]
    url: Option<String>,
    /// A directory with the service's ledger, in place of asking the service. It holds all tables; a service shows some of them.
    #[arg(long, value_name = "DIR", conflicts_with = "url")]
    ledger: Option<PathBuf>,
}

/// Tries a proposal.
pub(crate) fn run(arguments: &Arguments, output: &mut Output<'_>) -> Result<(), CliError> {
    let actions = Actions::from_json(&read(&arguments.file)?)?;
    let identity = Identity::load(&arguments.identity)?;
    let certificate = read(&arguments.service_cert)?;
    let rehearsal = if let Some(directory) = &arguments.ledger {
        rehearse(
            &actions,
            &identity.id(),
            &mut of_ledger(directory, certificate)?,
        )?
    } else {
        let url = arguments.url.as_deref().unwrap_or_default();
        let client = Client::with_identity(url, &certificate, &identity)?;
        let mut tables = ServiceTables::read(&client)?;
        rehearse(&actions, &identity.id(), &mut tables)?
    };
    output.show(&rehearsal, told)
}

/// Says why an open proposal is open.
pub(crate) fn run_explain(
    caller: &As,
    id: &ProposalId,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let client = caller.client()?;
    let proposal = client.proposal(id)?;
    let text = client.proposal_actions(id)?.to_string();
    let ballots = ballots(&client, id)?;
    let mut tables = ServiceTables::read(&client)?;
    let explanation = explain(&text, &proposal.proposer_id, &ballots, id, &mut tables)?;
    output.show(&explanation, explained)
}

fn ballots(client: &Client, id: &ProposalId) -> Result<BTreeMap<IdentityId, String>, CliError> {
    let mut ballots = BTreeMap::new();
    for member in client.members()? {
        match client.ballot(id, &member.member_id) {
            Ok(ballot) => {
                ballots.insert(member.member_id, ballot);
            }
            Err(ClientError::Service(error)) if error.code == "VoteNotFound" => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(ballots)
}

/// The governance tables at the end of a verified ledger.
fn of_ledger(directory: &Path, service_certificate: String) -> Result<MemoryKv, CliError> {
    let options = VerifyOptions {
        service_certificate: Some(service_certificate),
        ..VerifyOptions::default()
    };
    let wanted = |table: &str| {
        table.starts_with("public:ccf.gov.") || table.starts_with("public:ccf.internal.")
    };
    let tables = tables_at(directory, &options, Seqno(u64::MAX), wanted)?;
    let mut kv = MemoryKv::default();
    for (name, rows) in tables.iter() {
        let rows = rows
            .iter()
            .map(|(key, row)| (key.clone(), row.value.clone()));
        kv.tables.insert(name.to_owned(), rows.collect());
    }
    Ok(kv)
}

/// In words.
pub(crate) fn explained(explanation: &Explanation) -> String {
    let mut text = explanation.state.clone();
    for part in [&explanation.rule, &explanation.reason]
        .into_iter()
        .flatten()
    {
        let _ = write!(text, "  {part}");
    }
    for (what, members) in [
        ("has not voted for it", &explanation.missing),
        ("voted against it", &explanation.against),
        ("is joining", &explanation.joining),
    ] {
        for member in members {
            let _ = write!(text, "\n  {} {what}", member.as_str());
        }
    }
    text
}

fn told(rehearsal: &Rehearsal) -> String {
    if !rehearsal.faults.is_empty() {
        return format!("refused\n  {}", rehearsal.faults.join("\n  "));
    }
    let mut text = String::new();
    if let Some(explanation) = &rehearsal.on_submission {
        let _ = writeln!(text, "on submission: {}", explained(explanation));
    }
    match &rehearsal.votes_needed {
        None => text.push_str("votes needed: none would have it accepted\n"),
        Some(members) => {
            let _ = writeln!(text, "votes needed: {}", members.len());
            for member in members {
                let _ = writeln!(text, "  {}", member.as_str());
            }
        }
    }
    if let Some(failure) = &rehearsal.failure {
        let _ = writeln!(text, "carrying it out would fail: {failure}");
    }
    section(&mut text, "changes", &rehearsal.changes, changed);
    section(&mut text, "effects", &rehearsal.effects, String::clone);
    section(&mut text, "releases", &rehearsal.releases, released);
    let unseen: Vec<_> = rehearsal.unseen.iter().collect();
    section(
        &mut text,
        "not seen, what is missing is taken for empty (over the ledger, --ledger, all is seen)",
        &unseen,
        |(table, why)| format!("{table}: {why}"),
    );
    text
}

fn section<T>(text: &mut String, title: &str, items: &[T], line: impl Fn(&T) -> String) {
    if !items.is_empty() {
        let _ = writeln!(text, "{title}:");
        for item in items {
            let _ = writeln!(text, "  {}", line(item));
        }
    }
}

fn changed(change: &Change) -> String {
    let value = |value: &Option<Value>| {
        value
            .as_ref()
            .map_or_else(|| "-".to_owned(), Value::to_string)
    };
    let Change {
        table,
        key,
        before,
        after,
    } = change;
    format!("{table}[{key}]: {} -> {}", value(before), value(after))
}

fn released(change: &ReleaseChange) -> String {
    let contract = change.contract.as_deref().unwrap_or("every contract");
    let mut parts = Vec::new();
    parts.extend(
        change
            .allowed
            .iter()
            .map(|what| format!("newly allowed: {what}")),
    );
    parts.extend(
        change
            .forbidden
            .iter()
            .map(|what| format!("newly forbidden: {what}")),
    );
    parts.extend(change.conditions.iter().cloned());
    format!("{contract}: {}", parts.join("; "))
}
