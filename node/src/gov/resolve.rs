//! Counting ballots, resolving and applying a proposal (CCF interface, section 4.3).

use std::collections::BTreeMap;

use ccf_rs::{Context, Error, Result, Singleton, WriteContext};
use constitution::{Ballot, Case, Engine, EngineError, Limits, Phase, Resolution, Vote};
use serde_json::Value as JsonValue;

use super::Governance;
use super::effects::ServiceEffects;
use super::kv::HostKv;
use super::request::failed;
use super::tables::{
    CONSTITUTION, JS_RUNTIME_OPTIONS, PROPOSALS, PROPOSALS_INFO, ProposalInfo, ScriptFailure,
};
use crate::script::Lease;

pub(super) const OPEN: &str = "Open";
pub(super) const ACCEPTED: &str = "Accepted";
pub(super) const WITHDRAWN: &str = "Withdrawn";
const FAILED: &str = "Failed";

/// A proposal and the scripts that decide on it.
pub(super) struct Decision<'p> {
    pub(super) id: &'p str,
    pub(super) text: &'p str,
    pub(super) constitution: &'p str,
}

/// A proposal after its resolution.
pub(super) struct Resolved {
    pub(super) info: ProposalInfo,
    /// Why an undecided or rejected proposal stands as it does, in the words of a constitution that exports `explain`.
    pub(super) explanation: Option<JsonValue>,
}

/// The constitution in force.
pub(super) fn constitution(ctx: &mut impl Context) -> Result<String> {
    ctx.read(&CONSTITUTION)
        .get(&Singleton)?
        .ok_or_else(|| failed("No constitution is set - proposals cannot be evaluated"))
}

/// An engine with the limits in force.
pub(super) fn engine<'g>(gov: &'g Governance, ctx: &mut impl Context) -> Result<Lease<'g>> {
    let options = ctx.read(&JS_RUNTIME_OPTIONS).get(&Singleton)?;
    gov.scripts
        .lease(Limits::governance(options.as_deref()))
        .map_err(|error| {
            Error::refused(
                503,
                "TooManyPendingTransactions",
                format!("Scripts cannot be run now: {error}"),
            )
        })
}

/// One call of a script over the transaction; the inner error is the script's.
pub(super) fn call<T>(
    lease: &mut Lease<'_>,
    ctx: &mut WriteContext<'_>,
    run: impl FnOnce(&mut dyn Engine, &mut HostKv<'_>) -> Result<T, EngineError>,
) -> Result<Result<T, EngineError>> {
    let mut kv = HostKv::new(ctx.writer());
    let result = lease.call(|engine| run(engine, &mut kv));
    kv.finish(result)
}

/// Votes, resolves, and applies if accepted. Writes the record, and prunes others once the
/// proposal is decided. A failed outcome comes back as the 500 that undoes the request.
pub(super) fn resolve(
    gov: &Governance,
    ctx: &mut WriteContext<'_>,
    decision: &Decision<'_>,
    mut info: ProposalInfo,
) -> Result<Resolved> {
    let mut lease = engine(gov, ctx)?;
    let (votes, failures) = count(&mut lease, ctx, decision, &info)?;
    let list: Vec<Vote> = votes
        .iter()
        .map(|(member, vote)| Vote {
            member_id: member.clone(),
            vote: *vote,
        })
        .collect();
    let case = Case {
        proposal: decision.text,
        proposer_id: &info.proposer_id,
        votes: &list,
        proposal_id: decision.id,
    };
    let result = call(&mut lease, ctx, |engine, kv| {
        engine.resolve_explained(decision.constitution, &case, kv)
    })?;
    let Resolution { state, explanation } =
        result.map_err(|error| outcome_failed(&error, Phase::Resolve))?;
    info.state = state.as_str().to_owned();
    if info.state != OPEN {
        prune(ctx, decision.id)?;
        info.final_votes = Some(votes);
        info.vote_failures = Some(failures);
    }
    let key = decision.id.to_owned();
    ctx.table(&PROPOSALS_INFO).put(&key, &info)?;
    if info.state == ACCEPTED {
        let services = gov.services.as_ref();
        let now = ctx.untrusted_time();
        let result = call(&mut lease, ctx, |engine, kv| {
            let mut effects = ServiceEffects::new(services, now);
            engine.apply(
                decision.constitution,
                decision.text,
                decision.id,
                kv,
                &mut effects,
            )
        })?;
        if let Err(error) = result {
            return Err(outcome_failed(&error, Phase::Apply));
        }
    }
    Ok(Resolved {
        info,
        explanation: explanation.and_then(|json| serde_json::from_str(&json).ok()),
    })
}

/// Each member's vote, and the failures of those whose ballot gave none.
type Count = (BTreeMap<String, bool>, BTreeMap<String, ScriptFailure>);

/// Runs every ballot, whoever its member is by now.
fn count(
    lease: &mut Lease<'_>,
    ctx: &mut WriteContext<'_>,
    decision: &Decision<'_>,
    info: &ProposalInfo,
) -> Result<Count> {
    let mut votes = BTreeMap::new();
    let mut failures = BTreeMap::new();
    for (member, ballot) in &info.ballots {
        let mut result = vote(lease, ctx, decision, info, member, ballot)?;
        if matches!(result, Err(EngineError::WorkerDied)) {
            // Once may be somebody else's doing.
            result = vote(lease, ctx, decision, info, member, ballot)?;
        }
        match result {
            Ok(ballot) => {
                votes.insert(member.clone(), ballot.vote);
            }
            Err(error) => {
                let failure = match &error {
                    // A ballot that ends its engine is one that exceeds its limits; that of one member must not keep the
                    // others from deciding.
                    EngineError::WorkerDied => Some(ScriptFailure {
                        reason: "Operation ended the script engine.".to_owned(),
                        trace: None,
                    }),
                    _ => script_failure(&error, Phase::Vote),
                };
                let failure = failure.ok_or_else(|| {
                    failed(format!(
                        "The ballot of member {member} cannot be run: {error}"
                    ))
                })?;
                failures.insert(member.clone(), failure);
            }
        }
    }
    Ok((votes, failures))
}

/// Runs one ballot; the inner error is the script's.
fn vote(
    lease: &mut Lease<'_>,
    ctx: &mut WriteContext<'_>,
    decision: &Decision<'_>,
    info: &ProposalInfo,
    member: &str,
    ballot: &str,
) -> Result<Result<Ballot, EngineError>> {
    call(lease, ctx, |engine, kv| {
        engine.vote(
            ballot,
            decision.text,
            &info.proposer_id,
            decision.id,
            member,
            kv,
        )
    })
}

/// Removes every proposal but `keep` that is no longer open.
pub(super) fn prune(ctx: &mut WriteContext<'_>, keep: &str) -> Result<()> {
    let decided: Vec<String> = ctx
        .table(&PROPOSALS_INFO)
        .entries()?
        .into_iter()
        .filter(|(id, info)| id != keep && info.state != OPEN)
        .map(|(id, _)| id)
        .collect();
    for id in decided {
        ctx.table(&PROPOSALS).remove(&id)?;
        ctx.table(&PROPOSALS_INFO).remove(&id)?;
    }
    Ok(())
}

fn script_failure(error: &EngineError, phase: Phase) -> Option<ScriptFailure> {
    error.failure(phase).map(|failure| ScriptFailure {
        reason: failure.reason,
        trace: failure.trace,
    })
}

fn outcome_failed(error: &EngineError, phase: Phase) -> Error {
    tracing::warn!(state = FAILED, code = error.code(), "a proposal failed");
    match script_failure(error, phase) {
        Some(ScriptFailure { reason, trace }) => failed(format!(
            "{reason}\nTrace: {}",
            trace.as_deref().unwrap_or("N/A")
        )),
        None => failed(format!(
            "The constitution cannot be run: {error}\nTrace: {}",
            error.trace().unwrap_or("N/A")
        )),
    }
}
