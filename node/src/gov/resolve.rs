//! Counting ballots, resolving and applying a proposal (CCF interface, section 4.3).

use std::collections::BTreeMap;

use ccf_rs::{Context, Error, Result, Singleton, WriteContext};
use constitution::{Engine, EngineError, Limits, Phase, Vote};
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
pub(super) const REJECTED: &str = "Rejected";
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
        .map_err(|error| failed(format!("Scripts cannot be run: {error}")))
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
    let mut votes = BTreeMap::new();
    let mut failures = BTreeMap::new();
    for (member, ballot) in &info.ballots {
        let result = call(&mut lease, ctx, |engine, kv| {
            engine.vote(
                ballot,
                decision.text,
                &info.proposer_id,
                decision.id,
                member,
                kv,
            )
        })?;
        match result {
            Ok(ballot) => {
                votes.insert(member.clone(), ballot.vote);
            }
            Err(error) => {
                let failure = script_failure(&error, Phase::Vote).ok_or_else(|| {
                    failed(format!(
                        "The ballot of member {member} cannot be run: {error}"
                    ))
                })?;
                failures.insert(member.clone(), failure);
            }
        }
    }
    let list: Vec<Vote> = votes
        .iter()
        .map(|(member, vote)| Vote {
            member_id: member.clone(),
            vote: *vote,
        })
        .collect();
    let result = call(&mut lease, ctx, |engine, kv| {
        engine.resolve(
            decision.constitution,
            decision.text,
            &info.proposer_id,
            &list,
            decision.id,
            kv,
        )
    })?;
    match result {
        Ok(state) => info.state = state.as_str().to_owned(),
        Err(error) => return Err(outcome_failed(&error, Phase::Resolve)),
    }
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
    let explanation = match info.state.as_str() {
        OPEN | REJECTED => explain(&mut lease, ctx, decision, &info, &list)?,
        _ => None,
    };
    Ok(Resolved { info, explanation })
}

/// Why an undecided or rejected proposal stands as it does, in the words of a constitution
/// that exports `explain`. Additional information only: no failure of it matters.
fn explain(
    lease: &mut Lease<'_>,
    ctx: &mut WriteContext<'_>,
    decision: &Decision<'_>,
    info: &ProposalInfo,
    votes: &[Vote],
) -> Result<Option<JsonValue>> {
    if !decision.constitution.contains("function explain") {
        return Ok(None);
    }
    let result = call(lease, ctx, |engine, kv| {
        engine.explain(
            decision.constitution,
            decision.text,
            &info.proposer_id,
            votes,
            decision.id,
            kv,
        )
    })?;
    let json = result.ok().flatten();
    Ok(json.and_then(|json| serde_json::from_str(&json).ok()))
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
