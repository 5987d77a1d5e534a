//! Ballots, and withdrawing.

use ccf_rs::{Context, Error, Reply, Result, WriteContext};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Ballot, Choice, INFOS, Info, OPEN, Proposal, State, info, not_found, proposal, shown};
use crate::App;
use crate::callers::{Kind, Person, acting, is_known};
use crate::documents;
use crate::ids::UserProposalId;

pub(super) fn submit(_: &App, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    let approver = acting(ctx)?;
    let (id, mut info) = find(ctx, &approver)?;
    let proposal = proposal(ctx, &id)?.ok_or_else(not_found)?;
    let is_approver = |a: &documents::Approver| a.approver_id == approver.id;
    if !proposal.approvers.iter().any(is_approver) {
        return Err(Error::refused(
            403,
            "NotProposalApprover",
            "The caller is no approver of the proposal.",
        ));
    }
    check_open(&info)?;
    if info.ballots.iter().any(|b| b.approver_id == approver.id) {
        return Err(Error::refused(
            409,
            "BallotAlreadySubmitted",
            "The caller has voted already.",
        ));
    }
    info.ballots.push(Ballot {
        approver_id: approver.id,
        ballot: choice(ctx)?,
    });
    info.state = outcome(&proposal, &info);
    if info.state == State::Accepted {
        // Checked when it was proposed; nothing else accepts a document that has an open proposal.
        documents::accept(ctx, &id, &proposal, &info)?;
    }
    store(ctx, &id, &info)
}

pub(super) fn withdraw(_: &App, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    let person = acting(ctx)?;
    let (id, mut info) = find(ctx, &person)?;
    if !may_withdraw(ctx, &person, &info)? {
        return Err(Error::refused(
            403,
            "NotProposalOwner",
            "The proposal is not the caller's.",
        ));
    }
    check_open(&info)?;
    info.state = State::Withdrawn;
    store(ctx, &id, &info)
}

/// The proposer; or a member, when the proposer is not registered any more, so that nobody who left blocks a document.
fn may_withdraw<C: Context>(ctx: &mut C, person: &Person, info: &Info) -> Result<bool> {
    if person.id == info.proposer_id {
        return Ok(true);
    }
    Ok(person.kind == Kind::Member && !is_known(ctx, &info.proposer_id)?)
}

fn find(ctx: &mut WriteContext<'_>, caller: &Person) -> Result<(String, Info)> {
    let id: UserProposalId = ctx.path("proposalId")?;
    let id = id.to_string();
    let info = info(ctx, &id, caller)?;
    Ok((id, info))
}

fn check_open(info: &Info) -> Result<()> {
    if info.state == State::Open {
        return Ok(());
    }
    Err(Error::refused(
        409,
        "ProposalNotOpen",
        "The proposal is not open.",
    ))
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "SubmitUserBallot")]
pub(super) struct Body {
    #[serde(default)]
    #[schemars(with = "Choice")]
    ballot: Value,
}

fn choice<C: Context>(ctx: &C) -> Result<Choice> {
    let body: Body = ctx.json()?;
    serde_json::from_value(body.ballot)
        .map_err(|_| Error::bad_request("InvalidBallotValue", "A ballot is accepted or rejected."))
}

fn outcome(proposal: &Proposal, info: &Info) -> State {
    if info.ballots.iter().any(|b| b.ballot == Choice::Rejected) {
        return State::Rejected;
    }
    let voted = |id: &str| info.ballots.iter().any(|b| b.approver_id == id);
    if proposal.approvers.iter().all(|a| voted(&a.approver_id)) {
        State::Accepted
    } else {
        State::Open
    }
}

/// Keeps the table of open proposals in step.
fn store(ctx: &mut WriteContext<'_>, id: &String, info: &Info) -> Result<Reply> {
    if info.state != State::Open {
        ctx.table(&OPEN).remove(&info.document_id)?;
    }
    ctx.table(&INFOS).put(id, info)?;
    shown(info)
}
