//! `cleanroom proposal`: the vote.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use governance::ProposalId;
use governance::member::{Actions, Ballot};
use governance::service::Proposal;
use serde_json::json;

use crate::connect::{As, Service, read};
use crate::error::CliError;
use crate::output::Output;
use crate::rehearsal;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Makes a proposal from a file.
    Create {
        #[command(flatten)]
        caller: As,
        /// The proposal: {"actions": [{"name": ..., "args": {...}}]}; - is standard input.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Says why an open proposal is open: the rule, and whose votes it waits for.
    Explain {
        #[command(flatten)]
        caller: As,
        /// The proposal's id.
        id: ProposalId,
    },
    /// Proposes to open the service.
    OpenService {
        #[command(flatten)]
        caller: As,
    },
    /// Tries a proposal without making it: what is wrong with it, whose votes it needs, what it would change.
    Rehearse(rehearsal::Arguments),
    /// Shows a proposal and what it would do.
    Show {
        #[command(flatten)]
        service: Service,
        /// The proposal's id.
        id: ProposalId,
    },
    /// Casts a ballot, which cannot be changed afterwards.
    Vote {
        #[command(flatten)]
        caller: As,
        /// The proposal's id.
        id: ProposalId,
        #[command(flatten)]
        choice: Choice,
    },
    /// Takes back the caller's own proposal.
    Withdraw {
        #[command(flatten)]
        caller: As,
        /// The proposal's id.
        id: ProposalId,
    },
    /// Lists the proposals the service still holds.
    List {
        #[command(flatten)]
        service: Service,
    },
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Choice {
    /// Vote for it.
    #[arg(long)]
    accept: bool,
    /// Vote against it.
    #[arg(long)]
    reject: bool,
    /// Vote by a script that exports vote(proposal, proposerId).
    #[arg(long, value_name = "FILE")]
    ballot: Option<PathBuf>,
}

impl Choice {
    fn ballot(self) -> Result<Ballot, CliError> {
        Ok(match self {
            Self {
                ballot: Some(file), ..
            } => Ballot::Script(read(&file)?),
            Self { reject: true, .. } => Ballot::Against,
            Self { .. } => Ballot::For,
        })
    }
}

pub(crate) fn run(command: Command, output: &mut Output<'_>) -> Result<(), CliError> {
    match command {
        Command::Create { caller, file } => {
            make(&caller, &Actions::from_json(&read(&file)?)?, output)
        }
        Command::Explain { caller, id } => rehearsal::run_explain(&caller, &id, output),
        Command::Rehearse(arguments) => rehearsal::run(&arguments, output),
        Command::OpenService { caller } => {
            let member = caller.member()?;
            let certificate = member.client().service_info()?.certificate;
            output.show(
                &member.propose(&Actions::new().open_service(&certificate))?,
                line,
            )
        }
        Command::Show { service, id } => {
            let client = service.anonymous()?;
            let proposal = client.proposal(&id)?;
            let actions = client.proposal_actions(&id)?;
            let value = json!({ "proposal": proposal, "content": actions });
            output.show(&value, |_| format!("{}\n{actions:#}", line(&proposal)))
        }
        Command::Vote { caller, id, choice } => {
            let ballot = choice.ballot()?;
            output.show(&caller.member()?.vote(&id, &ballot)?, line)
        }
        Command::Withdraw { caller, id } => match caller.member()?.withdraw(&id)? {
            Some(proposal) => output.show(&proposal, line),
            None => Err(CliError::input(
                id.to_string(),
                "the service does not know this proposal",
            )),
        },
        Command::List { service } => {
            let proposals = service.anonymous()?.proposals()?;
            output.show(&proposals, |proposals| {
                proposals
                    .iter()
                    .map(|proposal| line(proposal) + "\n")
                    .collect()
            })
        }
    }
}

/// Makes a proposal as the caller, and shows it.
pub(crate) fn make(
    caller: &As,
    actions: &Actions,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    output.show(&caller.member()?.propose(actions)?, line)
}

/// One line about a proposal, and why it stands as it does where the service said so.
pub(crate) fn line(proposal: &Proposal) -> String {
    let Proposal {
        proposal_id,
        proposal_state,
        ballot_count,
        proposer_id,
        explanation,
        ..
    } = proposal;
    let why = explanation
        .as_ref()
        .map_or_else(String::new, |explanation| {
            format!("\n{}", rehearsal::explained(explanation))
        });
    format!("{proposal_id}  {proposal_state:?}  {ballot_count} ballots  by {proposer_id}{why}")
}
