//! `cleanroom document`: what is agreed under a contract beside its terms.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use governance::TxId;
use governance::documents::{Approver, Document, DocumentKind, Draft, Labels};
use governance::user_proposals::UserProposalStatus;
use serde_json::json;

use crate::connect::{As, read_json};
use crate::error::CliError;
use crate::output::Output;
use crate::proposal;
use crate::room::{self, Room};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Writes a draft.
    Put {
        #[command(flatten)]
        caller: As,
        #[command(flatten)]
        which: Which,
        /// The content, JSON; - is standard input.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The version that is replaced; needed when there is a draft already.
        #[arg(long, value_name = "VIEW.SEQNO")]
        version: Option<TxId>,
        /// A label of a user document; may be repeated.
        #[arg(long = "label", value_name = "NAME:VALUE", value_parser = label)]
        labels: Vec<(String, String)>,
        /// Somebody who must accept a user document: an id, or user:ID or member:ID; may be repeated.
        #[arg(long = "approver", value_name = "ID")]
        approvers: Vec<String>,
    },
    /// Shows a document.
    Show {
        #[command(flatten)]
        caller: As,
        #[command(flatten)]
        which: Which,
    },
    /// Lists the ids of a contract's documents.
    List {
        #[command(flatten)]
        caller: As,
        /// The contract's id.
        contract: String,
        /// Who accepts them.
        #[arg(long, value_enum, default_value_t = Kind::User)]
        kind: Kind,
        /// Only user documents with this label; may be repeated.
        #[arg(long = "label", value_name = "NAME:VALUE", value_parser = label)]
        labels: Vec<(String, String)>,
    },
    /// Proposes a draft: a member document to the consortium, a user document to its approvers.
    Propose {
        #[command(flatten)]
        caller: As,
        #[command(flatten)]
        which: Which,
        /// The version that was reviewed; another one is not proposed.
        #[arg(long, value_name = "VIEW.SEQNO")]
        version: TxId,
        /// The id of the proposal of a user document, of the proposer's choice.
        #[arg(long, value_name = "ID", required_if_eq("kind", "user"))]
        proposal: Option<String>,
    },
    /// Shows a proposal of a user document and how it is voted.
    Proposal {
        #[command(flatten)]
        caller: As,
        /// The proposal's id.
        proposal: String,
    },
    /// Votes on a proposal of a user document as one of its approvers, for good.
    Vote {
        #[command(flatten)]
        caller: As,
        /// The proposal's id.
        proposal: String,
        #[command(flatten)]
        choice: Choice,
    },
    /// Takes back the caller's own proposal of a user document.
    Withdraw {
        #[command(flatten)]
        caller: As,
        /// The proposal's id.
        proposal: String,
    },
    /// Receives an accepted document as a clean room.
    Get {
        #[command(flatten)]
        room: Room,
        #[command(flatten)]
        which: Which,
    },
}

/// Which document.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// The contract's id.
    contract: String,
    /// The document's id.
    id: String,
    /// Who accepts it.
    #[arg(long, value_enum, default_value_t = Kind::User)]
    kind: Kind,
}

/// Who accepts a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// The consortium.
    Member,
    /// Its approvers.
    User,
}

impl From<Kind> for DocumentKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Member => Self::Member,
            Kind::User => Self::User,
        }
    }
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Choice {
    /// Vote for it.
    #[arg(long)]
    accept: bool,
    /// Vote against it: one such vote ends the proposal.
    #[arg(long)]
    reject: bool,
}

pub(crate) fn run(command: Command, output: &mut Output<'_>) -> Result<(), CliError> {
    match command {
        Command::Put {
            caller,
            which: Which { contract, id, kind },
            file,
            version,
            labels,
            approvers,
        } => {
            let draft = Draft {
                data: read_json(&file)?,
                labels: labels.into_iter().collect(),
                approvers: approvers.iter().map(|text| approver(text)).collect(),
                version,
            };
            let client = caller.client()?;
            client.put_document(&contract, kind.into(), &id, &draft)?;
            output.show(&client.document(&contract, kind.into(), &id)?, line)
        }
        Command::Show {
            caller,
            which: Which { contract, id, kind },
        } => {
            let document = caller.client()?.document(&contract, kind.into(), &id)?;
            output.show(&document, |document| {
                format!("{}\n{:#}", line(document), document.data)
            })
        }
        Command::List {
            caller,
            contract,
            kind,
            labels,
        } => {
            let labels: Labels = labels.into_iter().collect();
            let ids = caller
                .client()?
                .documents(&contract, kind.into(), &labels)?;
            output.show(&json!(ids), |_| ids.join("\n"))
        }
        Command::Propose {
            caller,
            which,
            version,
            proposal,
        } => propose(&caller, &which, version, proposal, output),
        Command::Proposal { caller, proposal } => {
            let client = caller.client()?;
            let content = client.user_proposal(&proposal)?;
            let status = client.user_proposal_status(&proposal)?;
            let both = json!({ "status": status, "content": content });
            output.show(&both, |_| format!("{}\n{content:#}", standing(&status)))
        }
        Command::Vote {
            caller,
            proposal,
            choice,
        } => {
            let client = caller.client()?;
            let status = client.vote_on_user_proposal(&proposal, choice.accept)?;
            output.show(&status, standing)
        }
        Command::Withdraw { caller, proposal } => {
            let status = caller.client()?.withdraw_user_proposal(&proposal)?;
            output.show(&status, standing)
        }
        Command::Get {
            room,
            which: Which { contract, id, kind },
        } => {
            let document = room.open()?.document(&contract, kind.into(), &id)?;
            room::show(&document, output)
        }
    }
}

fn propose(
    caller: &As,
    which: &Which,
    version: TxId,
    proposal: Option<String>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let Which { contract, id, kind } = which;
    let client = caller.client()?;
    let document = client.document(contract, (*kind).into(), id)?;
    let shown = document
        .version
        .as_ref()
        .and_then(|version| version.as_str());
    if shown != Some(version.to_string().as_str()) {
        let got = shown.unwrap_or("none");
        let reason = format!("the service has {got}, reviewed was {version}");
        return Err(CliError::input("--version", &reason));
    }
    match (kind, proposal) {
        (Kind::Member, _) => {
            let proposal = caller.member()?.propose_document(&document)?;
            output.show(&proposal, proposal::line)
        }
        (Kind::User, None) => Err(CliError::input("--proposal", "a user proposal needs an id")),
        (Kind::User, Some(proposal)) => {
            let approvers = match document.more.get("approvers") {
                Some(named) => serde_json::from_value(named.clone())
                    .map_err(|error| CliError::input("approvers", &error))?,
                None => counted_members(&client)?,
            };
            client.propose_user_document(&proposal, &document, &approvers)?;
            output.show(&client.user_proposal_status(&proposal)?, standing)
        }
    }
}

/// The approvers of a draft that names none: members whose votes count.
fn counted_members(client: &governance::Client) -> Result<Vec<Approver>, CliError> {
    let is_set = |value: &serde_json::Value| match value {
        serde_json::Value::Bool(set) => *set,
        value => value.as_str() == Some("true"),
    };
    let counted = |member: &governance::service::MemberInfo| {
        let data = &member.member_data;
        let roles = &data["cgsRoles"];
        member.status == "Active"
            && ![
                &data["isOperator"],
                &data["isRecoveryOperator"],
                &roles["cgsOperator"],
                &roles["contractOperator"],
            ]
            .into_iter()
            .any(is_set)
    };
    let members = client.members()?.into_iter().filter(counted);
    let approver = |member: governance::service::MemberInfo| Approver {
        approver_id: member.member_id.to_string(),
        approver_id_type: Some("member".to_owned()),
    };
    Ok(members.map(approver).collect())
}

fn approver(text: &str) -> Approver {
    match text.split_once(':') {
        Some((kind @ ("user" | "member"), id)) => Approver {
            approver_id: id.to_owned(),
            approver_id_type: Some(kind.to_owned()),
        },
        _ => Approver {
            approver_id: text.to_owned(),
            approver_id_type: None,
        },
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err("a label is NAME:VALUE".to_owned()),
    }
}

fn line(document: &Document) -> String {
    let version = document.version.as_ref();
    let version = version.and_then(|v| v.as_str()).unwrap_or("-");
    let proposal = if document.proposal_id.is_empty() {
        String::new()
    } else {
        format!("  proposal {}", document.proposal_id)
    };
    format!(
        "{}  {:?}  version {version}{proposal}",
        document.id, document.state
    )
}

fn standing(status: &UserProposalStatus) -> String {
    let mut text = format!("{}  by {}\n", status.state, status.proposer_id);
    for ballot in &status.ballots {
        text.push_str(&format!("{}  {}\n", ballot.approver_id, ballot.ballot));
    }
    text
}
