//! Proposals, ballots and withdrawals (CCF interface, sections 1.3 to 1.6 and 4.3).

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use constitution::{Case, Engine, Limits, Phase, Vote};
use ledger::{Digest, GovernanceMessage, MerkleTree, SINGLE_KEY, Seqno};
use serde::Deserialize;

use super::actual::{Actual, Allowed, compare};
use super::draft::Draft;
use super::effects::Noted;
use super::names::{
    ACCEPTED, CONSTITUTION, COSE_HISTORY, COSE_RECENT_PROPOSALS, JS_RUNTIME_OPTIONS, JWT_KEYS,
    MEMBER_CERTS, MEMBER_INFO, MemberInfo, OPEN, PROPOSALS, PROPOSALS_INFO, ProposalInfo,
    SERVICE_CONFIG, ScriptFailure, ServiceConfig, TOKEN_TABLES, WITHDRAWN, name, only, row,
};
use super::rule::{Breach, Rule};
use crate::tables::Tables;

/// How many proposals are remembered when the service does not say.
const DEFAULT_WINDOW: usize = 100;
/// How far behind a proposal the state may be that its handler read: leaves that a replay keeps.
const MOST_BEHIND: u64 = 1 << 12;

/// An act on a proposal that was found legitimate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Act {
    pub(super) kind: ActKind,
    /// The state of the proposal afterwards.
    pub(super) state: String,
    /// Something was written that cannot be compared.
    pub(super) uncompared: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ActKind {
    Proposal,
    Ballot,
    Withdrawal,
}

/// What a judgement has at hand.
pub(super) struct Bench<'b> {
    pub(super) tables: &'b Tables,
    pub(super) engine: &'b mut dyn Engine,
    /// The tree over everything before the transaction.
    pub(super) tree: &'b MerkleTree,
}

/// Judges a transaction that touches proposals.
pub(super) fn judge(bench: &mut Bench<'_>, actual: &Actual<'_>) -> Result<Act, Breach> {
    let (signer, message) = signed(bench.tables, actual)?;
    active(bench.tables, &signer)?;
    let mut draft = Draft::new(bench.tables);
    record(&mut draft, &signer, actual)?;
    match message.kind.as_str() {
        "proposal" => create(bench, actual, draft, &signer, &message),
        "ballot" => ballot(bench, actual, draft, &signer, &message),
        "withdrawal" => withdrawal(actual, draft, &signer, &message),
        other => Err(Rule::Envelope.broken(other, "a proposal, a ballot or a withdrawal")),
    }
}

/// The one message of the transaction, and who signed it.
fn signed(tables: &Tables, actual: &Actual<'_>) -> Result<(String, GovernanceMessage), Breach> {
    let wrong = |got: String| Rule::Envelope.broken(got, "one signed message");
    let Some((signer, Some(value))) = actual.one(COSE_HISTORY) else {
        return Err(wrong("none, or several".to_owned()));
    };
    let signer = name(signer);
    let text: String = serde_json::from_slice(value).map_err(|e| wrong(e.to_string()))?;
    let envelope = STANDARD.decode(text).map_err(|e| wrong(e.to_string()))?;
    let message = verified(tables, &signer, &envelope)?;
    Ok((signer, message))
}

/// A message by this member, under the certificate in force before the transaction.
pub(super) fn verified(
    tables: &Tables,
    signer: &str,
    envelope: &[u8],
) -> Result<GovernanceMessage, Breach> {
    let wrong = |got: String| Rule::Envelope.broken(got, format!("a message by member {signer}"));
    let message = GovernanceMessage::from_bytes(envelope).map_err(|e| wrong(e.to_string()))?;
    let certificate = tables
        .value(MEMBER_CERTS, signer.as_bytes())
        .and_then(|pem| std::str::from_utf8(pem).ok())
        .ok_or_else(|| wrong("no certificate of this member".to_owned()))?;
    if message.signer != signer {
        return Err(wrong(format!("a message by {}", message.signer)));
    }
    message
        .verify(certificate)
        .map_err(|e| wrong(e.to_string()))?;
    Ok(message)
}

pub(super) fn active(tables: &Tables, member: &str) -> Result<(), Breach> {
    let info: Option<MemberInfo> = row(
        tables.value(MEMBER_INFO, member.as_bytes()),
        MEMBER_INFO,
        Rule::Active,
    )?;
    let status = info.map_or_else(|| "unknown".to_owned(), |info| info.status);
    if status == "Active" {
        return Ok(());
    }
    Err(Rule::Active.broken(format!("{member} is {status}"), "Active"))
}

/// The envelope is kept as the member's last act.
fn record(draft: &mut Draft<'_>, signer: &str, actual: &Actual<'_>) -> Result<(), Breach> {
    let row = actual
        .value(COSE_HISTORY, signer.as_bytes())
        .ok_or_else(|| Rule::Envelope.broken("no envelope", "the member's last act"))?;
    draft.set(COSE_HISTORY, signer.as_bytes(), Some(row.to_vec()));
    Ok(())
}

fn create(
    bench: &mut Bench<'_>,
    actual: &Actual<'_>,
    mut draft: Draft<'_>,
    signer: &str,
    message: &GovernanceMessage,
) -> Result<Act, Breach> {
    let mut written = actual.rows(PROPOSALS).filter(|(_, value)| value.is_some());
    let (Some((key, Some(stored))), None) = (written.next(), written.next()) else {
        return Err(Rule::Payload.broken("none or several proposals stored", "one"));
    };
    let id = name(key);
    if stored != message.payload {
        let got = String::from_utf8_lossy(stored).into_owned();
        return Err(Rule::Payload.broken(got, String::from_utf8_lossy(&message.payload)));
    }
    let text = utf8(&message.payload)?;
    proposal_id(bench.tree, &id, message)?;
    if bench.tables.row(PROPOSALS_INFO, key).is_some() {
        return Err(Rule::Replay.broken(format!("proposal {id} exists"), "a new one"));
    }
    validate(bench, text)?;
    draft.set(PROPOSALS, key, Some(message.payload.clone()));
    let info = ProposalInfo {
        proposer_id: signer.to_owned(),
        state: OPEN.to_owned(),
        ..ProposalInfo::default()
    };
    put_info(&mut draft, &id, &info)?;
    recent(&mut draft, &id, message)?;
    let decision = Decision { id: &id, text };
    decide(bench, actual, draft, &decision, info, ActKind::Proposal)
}

/// LEG-06: `H(root || H(signature))`, with the root that the handler read: of the state before, or a little further back.
fn proposal_id(tree: &MerkleTree, id: &str, message: &GovernanceMessage) -> Result<(), Breach> {
    let signature = Digest::of(message.signature());
    let last = tree.last();
    let oldest = last.0.saturating_sub(MOST_BEHIND);
    let made = (oldest..=last.0)
        .rev()
        .map_while(|seqno| tree.root_at(Seqno(seqno)).ok())
        .any(|root| Digest::of_pair(&root, &signature).to_hex() == id);
    if made {
        return Ok(());
    }
    let want = Digest::of_pair(&tree.root(), &signature).to_hex();
    Err(Rule::ProposalId.broken(id, want))
}

/// LEG-07.
fn validate(bench: &mut Bench<'_>, text: &str) -> Result<(), Breach> {
    let constitution = constitution(bench.tables)?;
    bench.engine.set_limits(limits(bench.tables));
    let mut kv = Draft::new(bench.tables);
    let verdict = bench
        .engine
        .validate(&constitution, text, &mut kv)
        .map_err(|e| Rule::Validate.broken(e.to_string(), "a valid proposal"))?;
    if verdict.valid {
        return Ok(());
    }
    Err(Rule::Validate.broken(verdict.description.unwrap_or_default(), "a valid proposal"))
}

/// LEG-08.
fn recent(draft: &mut Draft<'_>, id: &str, message: &GovernanceMessage) -> Result<(), Breach> {
    let stamp = format!("{:010}", message.created_at);
    let key = format!("{stamp}:{}", Digest::of(message.signature()));
    let known: Vec<Vec<u8>> = draft.rows(COSE_RECENT_PROPOSALS).into_keys().collect();
    if known.iter().any(|known| *known == key.as_bytes()) {
        return Err(Rule::Replay.broken("a message seen before", "a new one"));
    }
    let median = known.get(known.len() / 2).map(|key| name(key));
    let median = median.as_deref().and_then(|key| key.split(':').next());
    if let Some(median) = median.filter(|median| stamp.as_str() < *median) {
        return Err(Rule::Replay.broken(stamp.as_str(), format!("at least {median}")));
    }
    let config: Option<ServiceConfig> = only(draft.before(), SERVICE_CONFIG, Rule::Replay)?;
    let window = config
        .and_then(|config| config.recent_cose_proposals_window_size)
        .unwrap_or(DEFAULT_WINDOW);
    let surplus = (known.len() + 1).saturating_sub(window);
    for old in known.iter().take(surplus) {
        draft.set(COSE_RECENT_PROPOSALS, old, None);
    }
    let value = json(&id)?;
    draft.set(COSE_RECENT_PROPOSALS, key.as_bytes(), Some(value));
    Ok(())
}

fn ballot(
    bench: &mut Bench<'_>,
    actual: &Actual<'_>,
    mut draft: Draft<'_>,
    signer: &str,
    message: &GovernanceMessage,
) -> Result<Act, Breach> {
    #[derive(Deserialize)]
    struct Body {
        ballot: String,
    }
    let id = named_proposal(message)?;
    let mut info = open_proposal(bench.tables, id, Rule::Ballot)?;
    let body: Body = serde_json::from_slice(&message.payload)
        .map_err(|e| Rule::Payload.broken(e.to_string(), "a ballot"))?;
    if info.ballots.contains_key(signer) {
        let got = format!("a second ballot of {signer}");
        return Err(Rule::Ballot.broken(got, "one of each member"));
    }
    info.ballots.insert(signer.to_owned(), body.ballot);
    put_info(&mut draft, id, &info)?;
    let proposal = bench
        .tables
        .value(PROPOSALS, id.as_bytes())
        .ok_or_else(|| Rule::Ballot.broken("a proposal without text", "one with it"))?;
    let text = utf8(proposal)?;
    let decision = Decision { id, text };
    decide(bench, actual, draft, &decision, info, ActKind::Ballot)
}

fn withdrawal(
    actual: &Actual<'_>,
    mut draft: Draft<'_>,
    signer: &str,
    message: &GovernanceMessage,
) -> Result<Act, Breach> {
    let id = named_proposal(message)?;
    let mut info = open_proposal(draft.before(), id, Rule::Withdrawal)?;
    if info.proposer_id != signer {
        return Err(Rule::Withdrawal.broken(signer, info.proposer_id));
    }
    info.state = WITHDRAWN.to_owned();
    prune(&mut draft, id)?;
    put_info(&mut draft, id, &info)?;
    check_info(actual, id, &info, Rule::Withdrawal)?;
    let allowed = Allowed {
        effects: &[],
        certificates: &[],
        applied: false,
        old_token_keys: false,
        clock: 0..=0,
    };
    let uncompared = compare(actual, &draft, &allowed, (PROPOSALS_INFO, id.as_bytes()))?;
    Ok(Act {
        kind: ActKind::Withdrawal,
        state: info.state,
        uncompared,
    })
}

fn named_proposal(message: &GovernanceMessage) -> Result<&str, Breach> {
    message
        .proposal_id
        .as_deref()
        .ok_or_else(|| Rule::Envelope.broken("no proposal named", "the id of a proposal"))
}

fn open_proposal(tables: &Tables, id: &str, rule: Rule) -> Result<ProposalInfo, Breach> {
    let value = tables.value(PROPOSALS_INFO, id.as_bytes());
    let info: Option<ProposalInfo> = row(value, PROPOSALS_INFO, rule)?;
    let info = info.ok_or_else(|| rule.broken(format!("no proposal {id}"), "one that is open"))?;
    if info.state == OPEN {
        return Ok(info);
    }
    Err(rule.broken(format!("proposal {id} is {}", info.state), OPEN))
}

/// A proposal to be decided on.
struct Decision<'p> {
    id: &'p str,
    text: &'p str,
}

/// Votes, resolves and applies as the constitution in force says, and compares.
fn decide(
    bench: &mut Bench<'_>,
    actual: &Actual<'_>,
    mut draft: Draft<'_>,
    decision: &Decision<'_>,
    mut info: ProposalInfo,
    kind: ActKind,
) -> Result<Act, Breach> {
    bench.engine.set_limits(limits(bench.tables));
    let (votes, failures) = count(bench, &mut draft, decision, &info)?;
    info.state = resolve(bench, &mut draft, decision, &info, &votes)?;
    if info.state != OPEN {
        prune(&mut draft, decision.id)?;
        info.final_votes = Some(votes);
        info.vote_failures = Some(failures);
    }
    put_info(&mut draft, decision.id, &info)?;
    check_info(actual, decision.id, &info, Rule::Ballot)?;
    let mut noted = Noted::new(bench.tables);
    let applied = info.state == ACCEPTED;
    let began = milliseconds();
    if applied {
        let constitution = constitution(bench.tables)?;
        bench
            .engine
            .apply(
                &constitution,
                decision.text,
                decision.id,
                &mut draft,
                &mut noted,
            )
            .map_err(|e| Rule::Apply.broken(e.to_string(), "a proposal that can be applied"))?;
    }
    // Versions before 5 keep token keys in other tables.
    let old_token_keys = noted.token_keys
        && !bench.tables.knows(JWT_KEYS)
        && TOKEN_TABLES.iter().any(|table| bench.tables.knows(table));
    if old_token_keys {
        draft.forget(JWT_KEYS);
    }
    let allowed = Allowed {
        effects: &noted.effects,
        certificates: &noted.certificates,
        applied,
        old_token_keys,
        clock: began..=milliseconds(),
    };
    let checked = (PROPOSALS_INFO, decision.id.as_bytes());
    let uncompared = compare(actual, &draft, &allowed, checked)?;
    Ok(Act {
        kind,
        state: info.state,
        uncompared,
    })
}

/// The clock that scripts see.
fn milliseconds() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}

type Counted = (BTreeMap<String, bool>, BTreeMap<String, ScriptFailure>);

fn count(
    bench: &mut Bench<'_>,
    draft: &mut Draft<'_>,
    decision: &Decision<'_>,
    info: &ProposalInfo,
) -> Result<Counted, Breach> {
    let (mut votes, mut failures) = Counted::default();
    for (member, ballot) in &info.ballots {
        let result = bench.engine.vote(
            ballot,
            decision.text,
            &info.proposer_id,
            decision.id,
            member,
            draft,
        );
        match result {
            Ok(ballot) => {
                votes.insert(member.clone(), ballot.vote);
            }
            Err(error) => {
                let failure = error.failure(Phase::Vote).ok_or_else(|| {
                    let got = format!("ballot of {member}: {error}");
                    Rule::Scripts.broken(got, "a ballot that can be run")
                })?;
                let failure = ScriptFailure {
                    reason: failure.reason,
                    trace: failure.trace,
                };
                failures.insert(member.clone(), failure);
            }
        }
    }
    Ok((votes, failures))
}

fn resolve(
    bench: &mut Bench<'_>,
    draft: &mut Draft<'_>,
    decision: &Decision<'_>,
    info: &ProposalInfo,
    votes: &BTreeMap<String, bool>,
) -> Result<String, Breach> {
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
    let constitution = constitution(bench.tables)?;
    let state = bench
        .engine
        .resolve(&constitution, &case, draft)
        .map_err(|e| Rule::Scripts.broken(e.to_string(), "a proposal that can be resolved"))?;
    Ok(state.as_str().to_owned())
}

/// Once a proposal is decided, the records of those decided earlier are removed.
fn prune(draft: &mut Draft<'_>, keep: &str) -> Result<(), Breach> {
    for (id, value) in draft.rows(PROPOSALS_INFO) {
        let info: Option<ProposalInfo> = row(Some(&value), PROPOSALS_INFO, Rule::Pruning)?;
        if id != keep.as_bytes() && info.is_some_and(|info| info.state != OPEN) {
            draft.set(PROPOSALS, &id, None);
            draft.set(PROPOSALS_INFO, &id, None);
        }
    }
    Ok(())
}

/// The record of the proposal, field by field.
fn check_info(
    actual: &Actual<'_>,
    id: &str,
    want: &ProposalInfo,
    ballots: Rule,
) -> Result<(), Breach> {
    let value = actual.value(PROPOSALS_INFO, id.as_bytes());
    let got: Option<ProposalInfo> = row(value, PROPOSALS_INFO, Rule::State)?;
    let Some(got) = got else {
        return Err(Rule::State.broken(format!("no record of proposal {id}"), "one"));
    };
    if got.ballots != want.ballots || got.proposer_id != want.proposer_id {
        let show = |info: &ProposalInfo| format!("{} {:?}", info.proposer_id, info.ballots);
        let rule = if got.proposer_id == want.proposer_id {
            ballots
        } else {
            Rule::Payload
        };
        return Err(rule.broken(show(&got), show(want)));
    }
    if got.state != want.state {
        return Err(Rule::State.broken(got.state, want.state.as_str()));
    }
    // Older versions leave an empty list of failures out. Traces differ between engines.
    let reasons = |info: &ProposalInfo| -> BTreeMap<String, String> {
        let failures = info.vote_failures.iter().flatten();
        failures
            .map(|(id, failure)| (id.clone(), failure.reason.clone()))
            .collect()
    };
    // CCF 4 and 5 do not record what the ballots gave.
    let silent = got.final_votes.is_none() && got.vote_failures.is_none();
    if !silent && (got.final_votes != want.final_votes || reasons(&got) != reasons(want)) {
        let show =
            |info: &ProposalInfo| format!("{:?}, failed {:?}", info.final_votes, reasons(info));
        return Err(Rule::Votes.broken(show(&got), show(want)));
    }
    if got.failure.is_some() {
        return Err(Rule::State.broken("a failure recorded", "none"));
    }
    Ok(())
}

fn put_info(draft: &mut Draft<'_>, id: &str, info: &ProposalInfo) -> Result<(), Breach> {
    let value = json(info)?;
    draft.set(PROPOSALS_INFO, id.as_bytes(), Some(value));
    Ok(())
}

fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Breach> {
    ledger::canonical(value).map_err(|e| Rule::Scripts.broken(e.to_string(), "a row"))
}

fn utf8(bytes: &[u8]) -> Result<&str, Breach> {
    std::str::from_utf8(bytes).map_err(|e| Rule::Payload.broken(e.to_string(), "text"))
}

/// The constitution in force before the transaction.
fn constitution(tables: &Tables) -> Result<String, Breach> {
    only(tables, CONSTITUTION, Rule::Scripts)?
        .ok_or_else(|| Rule::Scripts.broken("no constitution", "one"))
}

fn limits(tables: &Tables) -> Limits {
    Limits::governance(tables.value(JS_RUNTIME_OPTIONS, &SINGLE_KEY))
}
