//! Proposals and ballots (CCF interface, sections 1.3 to 1.6).
//!
//! Checks on what members send, in the order in which they are made:
//!
//! | id | rule | answer |
//! |---|---|---|
//! | GOV-01 | the signed proposal id is the one in the path | 400 `InvalidResourceName` |
//! | GOV-02 | the signer is the member in the path | 400 `InvalidResourceName` |
//! | GOV-03 | the proposal exists | 404 `ProposalNotFound`, 204 to a withdrawal |
//! | GOV-04 | only its proposer withdraws it | 403 `AuthorizationFailed` |
//! | GOV-05 | it is open | 400 `ProposalNotOpen` |
//! | GOV-06 | a ballot is not changed | 400 `VoteAlreadyExists` |
//! | GOV-07 | the constitution's `validate` accepts it | 400 `ProposalFailedToValidate` |
//! | GOV-08 | it is no replay | 400 `ProposalReplay`, `ProposalCreatedTooLongAgo` |
//!
//! GOV-09 is about recovery shares (`recovery_terms.rs`).

use aws_lc_rs::digest::{Context as Hash, SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ccf_rs::{Context, CoseMessage, Error, MemberId, ReadContext, Reply, Result, WriteContext};
use constitution::EngineError;
use serde::Deserialize;
use serde_json::{Map, Value as JsonValue, json};

use super::request::{self, failed, same_member};
use super::resolve::{self, Decision, OPEN, Resolved, WITHDRAWN};
use super::tables::{COSE_HISTORY, PROPOSALS, PROPOSALS_INFO, ProposalInfo};
use super::{Governance, replay};

/// POST `/members/proposals:create`
pub(super) fn create(gov: &Governance, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    request::version(ctx)?;
    let (proposer, message) = request::signed(ctx)?;
    let text = text(&message)?;
    let root = ctx.reader().root_at_read_version()?;
    let id = proposal_id(&root, &message.signature);
    let constitution = resolve::constitution(ctx)?;
    validate(gov, ctx, &constitution, &text)?;
    if ctx.table(&PROPOSALS).has(&id)? || ctx.table(&PROPOSALS_INFO).has(&id)? {
        return Err(failed("Proposal ID collision."));
    }
    ctx.table(&PROPOSALS).put(&id, &message.payload.to_vec())?;
    let info = ProposalInfo {
        proposer_id: proposer.0.clone(),
        state: OPEN.to_owned(),
        ..ProposalInfo::default()
    };
    ctx.table(&PROPOSALS_INFO).put(&id, &info)?;
    record(ctx, &proposer, &message)?;
    replay::admit(ctx, &message, &id)?;
    let decision = Decision {
        id: &id,
        text: &text,
        constitution: &constitution,
    };
    let resolved = resolve::resolve(gov, ctx, &decision, info)?;
    resolved_reply(&id, &resolved)
}

/// POST `/members/proposals/{proposalId}:withdraw`
pub(super) fn withdraw(_: &Governance, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    request::version(ctx)?;
    let id = request::id(ctx, "proposalId", "proposal")?;
    let (signer, message) = request::signed(ctx)?;
    signed_for(&message, &id)?;
    let Some(mut info) = ctx.table(&PROPOSALS_INFO).get(&id)? else {
        return Ok(Reply::no_content());
    };
    if info.proposer_id != signer.0 {
        return Err(Error::refused(
            403,
            "AuthorizationFailed",
            format!("Proposal {id} can only be withdrawn by its proposer, not by member {signer}."),
        ));
    }
    match info.state.as_str() {
        WITHDRAWN => {}
        OPEN => {
            info.state = WITHDRAWN.to_owned();
            resolve::prune(ctx, &id)?;
            ctx.table(&PROPOSALS_INFO).put(&id, &info)?;
            record(ctx, &signer, &message)?;
        }
        _ => return Err(not_open(&id, &info)),
    }
    Reply::json(&shown(&id, &info))
}

/// POST `/members/proposals/{proposalId}/ballots/{memberId}:submit`
pub(super) fn submit(gov: &Governance, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    #[derive(Deserialize)]
    struct Body {
        ballot: String,
    }
    request::version(ctx)?;
    let id = request::id(ctx, "proposalId", "proposal")?;
    let member = request::id(ctx, "memberId", "member")?;
    let (signer, message) = request::signed(ctx)?;
    signed_for(&message, &id)?;
    same_member(&signer, &member, "InvalidResourceName")?;
    let mut info = ctx
        .table(&PROPOSALS_INFO)
        .get(&id)?
        .ok_or_else(|| not_found(&id))?;
    if info.state != OPEN {
        return Err(not_open(&id, &info));
    }
    let Body { ballot } = serde_json::from_slice(&message.payload).map_err(|e| {
        Error::bad_request(
            "InvalidInput",
            format!("The signed payload is not an object with a text member ballot: {e}"),
        )
    })?;
    match info.ballots.get(&signer.0) {
        Some(known) if *known == ballot => return Reply::json(&shown(&id, &info)),
        Some(_) => {
            return Err(Error::bad_request(
                "VoteAlreadyExists",
                format!("Member {signer} has already submitted another ballot for proposal {id}."),
            ));
        }
        None => {
            info.ballots.insert(signer.0.clone(), ballot);
        }
    }
    ctx.table(&PROPOSALS_INFO).put(&id, &info)?;
    record(ctx, &signer, &message)?;
    let proposal = ctx
        .table(&PROPOSALS)
        .get(&id)?
        .ok_or_else(|| not_found(&id))?;
    let text = String::from_utf8(proposal)
        .map_err(|_| Error::Internal("a stored proposal is not text".into()))?;
    let constitution = resolve::constitution(ctx)?;
    let decision = Decision {
        id: &id,
        text: &text,
        constitution: &constitution,
    };
    let resolved = resolve::resolve(gov, ctx, &decision, info)?;
    resolved_reply(&id, &resolved)
}

/// GET `/members/proposals`
pub(super) fn list(_: &Governance, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    request::version(ctx)?;
    let all: Vec<JsonValue> = ctx
        .read(&PROPOSALS_INFO)
        .entries()?
        .iter()
        .map(|(id, info)| shown(id, info))
        .collect();
    Reply::json(&json!({ "value": all }))
}

/// GET `/members/proposals/{proposalId}`
pub(super) fn show(_: &Governance, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    request::version(ctx)?;
    let id = request::id(ctx, "proposalId", "proposal")?;
    let info = ctx
        .read(&PROPOSALS_INFO)
        .get(&id)?
        .ok_or_else(|| not_found(&id))?;
    Reply::json(&shown(&id, &info))
}

/// GET `/members/proposals/{proposalId}/actions`
pub(super) fn actions(_: &Governance, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    request::version(ctx)?;
    let id = request::id(ctx, "proposalId", "proposal")?;
    let text = ctx
        .read(&PROPOSALS)
        .get(&id)?
        .ok_or_else(|| not_found(&id))?;
    let mut reply = Reply::ok();
    reply.body = text;
    Ok(reply)
}

/// GET `/members/proposals/{proposalId}/ballots/{memberId}`
pub(super) fn ballot(_: &Governance, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    request::version(ctx)?;
    let id = request::id(ctx, "proposalId", "proposal")?;
    let member = request::id(ctx, "memberId", "member")?;
    let info = ctx
        .read(&PROPOSALS_INFO)
        .get(&id)?
        .ok_or_else(|| not_found(&id))?;
    let ballot = info.ballots.get(&member).ok_or_else(|| {
        Error::not_found(
            "VoteNotFound",
            format!("Member {member} has not voted for proposal {id}."),
        )
    })?;
    Ok(Reply::text("text/javascript", ballot.clone()))
}

/// `SHA-256(root || SHA-256(signature))`, hex (CCF interface, section 1.3).
fn proposal_id(root: &[u8; 32], signature: &[u8]) -> String {
    let mut hash = Hash::new(&SHA256);
    hash.update(root);
    hash.update(digest(&SHA256, signature).as_ref());
    hex::encode(hash.finish())
}

/// GOV-07.
fn validate(
    gov: &Governance,
    ctx: &mut WriteContext<'_>,
    constitution: &str,
    text: &str,
) -> Result<()> {
    let mut lease = resolve::engine(gov, ctx)?;
    let result = resolve::call(&mut lease, ctx, |engine, kv| {
        engine.validate(constitution, text, kv)
    })?;
    let verdict = result.map_err(|error| match error {
        EngineError::BadReturn { reason } => failed(reason),
        error => failed(format!(
            "Failed to execute validation: {error} {}",
            error.trace().unwrap_or_default()
        )),
    })?;
    if verdict.valid {
        return Ok(());
    }
    Err(Error::bad_request(
        "ProposalFailedToValidate",
        format!(
            "Proposal failed to validate: {}",
            verdict.description.unwrap_or_default()
        ),
    ))
}

/// The payload as the text scripts get.
fn text(message: &CoseMessage) -> Result<String> {
    String::from_utf8(message.payload.to_vec())
        .map_err(|_| Error::bad_request("InvalidInput", "The proposal is not UTF-8 text."))
}

/// GOV-01.
fn signed_for(message: &CoseMessage, id: &str) -> Result<()> {
    match message.proposal_id.as_deref() {
        Some(signed) if signed == id => Ok(()),
        signed => Err(Error::bad_request(
            "InvalidResourceName",
            format!(
                "The signed proposal id {} is not that of the path, {id}.",
                signed.unwrap_or("(none)")
            ),
        )),
    }
}

/// Keeps the envelope as the member's last act (CCF interface, section 2.3).
fn record(ctx: &mut WriteContext<'_>, member: &MemberId, message: &CoseMessage) -> Result<()> {
    ctx.table(&COSE_HISTORY)
        .put(member, &STANDARD.encode(&message.envelope))
}

fn not_found(id: &str) -> Error {
    Error::not_found("ProposalNotFound", format!("Could not find proposal {id}."))
}

fn not_open(id: &str, info: &ProposalInfo) -> Error {
    Error::bad_request(
        "ProposalNotOpen",
        format!("Proposal {id} is currently in state {}.", info.state),
    )
}

fn resolved_reply(id: &str, resolved: &Resolved) -> Result<Reply> {
    let mut body = shown(id, &resolved.info);
    if let Some(explanation) = &resolved.explanation {
        body["explanation"] = explanation.clone();
    }
    Reply::json(&body)
}

/// The Proposal object (CCF interface, section 1.2).
fn shown(id: &str, info: &ProposalInfo) -> JsonValue {
    let mut body = Map::new();
    body.insert("ballotCount".into(), json!(info.ballots.len()));
    body.insert("proposalId".into(), json!(id));
    body.insert("proposalState".into(), json!(info.state));
    body.insert("proposerId".into(), json!(info.proposer_id));
    if let Some(votes) = &info.final_votes {
        body.insert("finalVotes".into(), json!(votes));
    }
    if let Some(failures) = &info.vote_failures {
        body.insert("voteFailures".into(), json!(failures));
    }
    if let Some(failure) = &info.failure {
        body.insert("failure".into(), json!(failure));
    }
    JsonValue::Object(body)
}
