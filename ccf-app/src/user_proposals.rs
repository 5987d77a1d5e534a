//! User proposals: registered people propose that a user document be accepted, and its approvers vote (endpoints E47 to E51).
//!
//! # Rules
//!
//! What is proposed is what a draft says, contract, labels and approvers included, at the version the proposer saw (W11). Approvers of a
//! draft that names none are at least all members whose votes count. One rejection ends a proposal; acceptance needs a ballot of every
//! approver. A document is in one open proposal at most.
//!
//! # Storage
//!
//! The proposal itself is private, as is the document in it; the public row says who proposed what, and how it was voted. Which proposal of a
//! document is open stands in a table of its own, so that nothing is ever searched (W40) and no request reads a whole table that others
//! write (W42).

mod create;
mod vote;

use attestation::Sha256Digest;
use ccf_rs::{Context, Endpoints, Error, Raw, ReadContext, Reply, Result, Table, Text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::App;
use crate::callers::{NOT_REGISTERED, PEOPLE, Person, registered};
use crate::documents::Approver;
use crate::ids::UserProposalId;
use crate::membership;

pub(crate) fn endpoints(endpoints: Endpoints<App>) -> Endpoints<App> {
    endpoints
        .post("/users/proposals/{proposalId}", show)
        .auth(PEOPLE)
        .summary("Read a user proposal")
        .reply::<Shown>()
        .refuses(NOT_REGISTERED)
        .refuses(NOT_FOUND)
        .put("/users/proposals/{proposalId}", create::create)
        .auth(PEOPLE)
        .summary("Propose that a user document be accepted")
        .body::<create::Body>()
        .reply::<create::Created>()
        .refuses(NOT_REGISTERED)
        .refuses(create::REFUSALS)
        .post("/users/proposals/{proposalId}/status", status)
        .auth(PEOPLE)
        .summary("State and ballots of a user proposal")
        .reply::<Status<'_>>()
        .refuses(NOT_REGISTERED)
        .refuses(NOT_FOUND)
        .post("/users/proposals/{proposalId}/withdraw", vote::withdraw)
        .auth(PEOPLE)
        .summary("Withdraw a user proposal")
        .reply::<Status<'_>>()
        .refuses(NOT_REGISTERED)
        .refuses(NOT_FOUND)
        .refuses([(403, "NotProposalOwner"), (409, "ProposalNotOpen")])
        .post("/users/proposals/{proposalId}/ballots/submit", vote::submit)
        .auth(PEOPLE)
        .summary("Accept or reject what a user proposal proposes, as one of its approvers")
        .body::<vote::Body>()
        .reply::<Status<'_>>()
        .refuses(NOT_REGISTERED)
        .refuses(NOT_FOUND)
        .refuses([
            (403, "NotProposalApprover"),
            (409, "ProposalNotOpen"),
            (409, "BallotAlreadySubmitted"),
            (400, "InvalidBallotValue"),
        ])
}

const NOT_FOUND: [(u16, &str); 1] = [(404, "ProposalNotFound")];

/// What was proposed.
#[derive(Deserialize)]
pub(crate) struct Proposal {
    pub(crate) args: Args,
    pub(crate) approvers: Vec<Approver>,
}

/// The arguments of the only action there is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Args {
    pub(crate) document_id: String,
    pub(crate) document: Document,
}

/// The document as it becomes accepted.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Document {
    pub(crate) contract_id: String,
    pub(crate) data: Box<RawValue>,
    pub(crate) labels: Option<std::collections::BTreeMap<String, String>>,
    pub(crate) version: Option<Value>,
}

/// What happened to a proposal.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Info {
    pub(crate) proposer_id: String,
    state: State,
    pub(crate) ballots: Vec<Ballot>,
    document_id: String,
    contract_id: String,
    /// SHA-256 of the proposal as it was sent.
    digest: Sha256Digest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "UserProposalState")]
enum State {
    Open,
    Accepted,
    Rejected,
    Withdrawn,
}

/// How an approver voted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "UserBallot")]
pub(crate) struct Ballot {
    approver_id: String,
    ballot: Choice,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "UserBallotChoice")]
enum Choice {
    Accepted,
    Rejected,
}

/// The open proposal of a document.
pub(crate) struct Open {
    pub(crate) id: String,
    pub(crate) proposer_id: String,
    pub(crate) proposal: Proposal,
}

/// The open proposal of a document, if there is one.
pub(crate) fn open_for<C: Context>(ctx: &mut C, document: &str) -> Result<Option<Open>> {
    let Some(id) = ctx.read(&OPEN).get(&document.to_owned())? else {
        return Ok(None);
    };
    let (Some(proposal), Some(info)) = (proposal(ctx, &id)?, ctx.read(&INFOS).get(&id)?) else {
        return Ok(None);
    };
    Ok(Some(Open {
        id,
        proposer_id: info.proposer_id,
        proposal,
    }))
}

static INFOS: Table<String, Info> = Table::json("public:user_proposals_info");
/// Id of the open proposal by document.
static OPEN: Table<String, String, Text> = Table::text("public:cleanroom.open_user_proposals");
/// `{"actions": [<the proposal as it was sent>]}`.
static PROPOSALS: Table<String, Vec<u8>, Raw> = Table::raw("user_proposals");

#[derive(Deserialize)]
struct Stored<T> {
    actions: [T; 1],
}

fn stored<C: Context, T: serde::de::DeserializeOwned>(
    ctx: &mut C,
    id: &String,
) -> Result<Option<T>> {
    let Some(text) = ctx.read(&PROPOSALS).get(id)? else {
        return Ok(None);
    };
    let stored: Stored<T> = serde_json::from_slice(&text).map_err(|e| Error::Stored {
        table: PROPOSALS.name().to_owned(),
        reason: format!("{:?} error at column {}", e.classify(), e.column()),
    })?;
    let [action] = stored.actions;
    Ok(Some(action))
}

fn proposal<C: Context>(ctx: &mut C, id: &String) -> Result<Option<Proposal>> {
    stored(ctx, id)
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "UserProposal")]
struct Shown {
    proposal_id: String,
    name: String,
    #[schemars(with = "Vec<Approver>")]
    approvers: Box<RawValue>,
    /// As the proposer sent them.
    args: Box<RawValue>,
}

fn show(_: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    #[derive(Deserialize)]
    struct Sent {
        name: String,
        approvers: Box<RawValue>,
        args: Box<RawValue>,
    }
    let reader = registered(ctx)?;
    let id: UserProposalId = ctx.path("proposalId")?;
    info(ctx, &id.to_string(), &reader)?;
    let sent: Sent = stored(ctx, &id.to_string())?.ok_or_else(not_found)?;
    Reply::json(&Shown {
        proposal_id: id.to_string(),
        name: sent.name,
        approvers: sent.approvers,
        args: sent.args,
    })
}

fn status(_: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let reader = registered(ctx)?;
    let id: UserProposalId = ctx.path("proposalId")?;
    shown(&info(ctx, &id.to_string(), &reader)?)
}

/// What happened to a proposal, for somebody who takes part in the contract of its document.
///
/// # Errors
/// 404 `ProposalNotFound`, 403 `NotInContract`.
fn info<C: Context>(ctx: &mut C, id: &String, caller: &Person) -> Result<Info> {
    let info = ctx.read(&INFOS).get(id)?.ok_or_else(not_found)?;
    if let Ok(contract) = info.contract_id.parse() {
        membership::check(ctx, caller, &contract)?;
    }
    Ok(info)
}

/// How far a proposal has come.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "UserProposalStatus")]
struct Status<'a> {
    proposer_id: &'a str,
    state: State,
    ballots: &'a [Ballot],
}

fn shown(info: &Info) -> Result<Reply> {
    Reply::json(&Status {
        proposer_id: &info.proposer_id,
        state: info.state,
        ballots: &info.ballots,
    })
}

fn not_found() -> Error {
    Error::not_found("ProposalNotFound", "There is no such proposal.")
}
