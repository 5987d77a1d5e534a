//! User documents: drafted by anybody registered, accepted by the approvers of a user proposal.
//!
//! The public row says to which contract a document belongs, who approves it and what the digest of its content is; the content is in a
//! private table under the same key, written in the same transaction.

use std::collections::BTreeMap;

use attestation::Sha256Digest;
use ccf_rs::{Context, Error, Raw, ReadContext, Reply, Result, Table, WriteContext};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::list::{self, Row};
use super::shown::{Shown, State, Vote, of_version};
use super::target::{Body, check_owner, check_reader, other_contract, scope};
use crate::App;
use crate::callers::{acting, registered};
use crate::ids::DocumentId;
use crate::json::{given, same};
use crate::user_proposals::{self, Ballot};
use crate::versions;

static DRAFTS: Table<String, DraftRow> = Table::json("public:user_documents");
static DRAFT_DATA: Table<String, Vec<u8>, Raw> = Table::raw("user_documents");
static DRAFT_ROWS: Table<String, Row> = Table::json("public:user_documents");
static ACCEPTED: Table<String, AcceptedRow> = Table::json("public:accepted_user_documents");
static ACCEPTED_DATA: Table<String, Vec<u8>, Raw> = Table::raw("accepted_user_documents");
static ACCEPTED_ROWS: Table<String, Row> = Table::json("public:accepted_user_documents");

/// Labels by name.
pub(crate) type Labels = BTreeMap<String, String>;

/// Somebody whose consent a document needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Approver {
    /// A caller's id: member id, user id or object id.
    pub(crate) approver_id: String,
    /// For people only.
    #[serde(skip_serializing_if = "Option::is_none")]
    approver_id_type: Option<String>,
}

/// A draft with its content.
pub(crate) struct Draft {
    pub(crate) contract: String,
    pub(crate) data: Box<RawValue>,
    pub(crate) labels: Option<Labels>,
    pub(crate) approvers: Option<Vec<Approver>>,
    pub(crate) version: Option<Value>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DraftRow {
    contract_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Labels>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approvers: Option<Vec<Approver>>,
    /// Who made it.
    created_by: String,
    data_digest: Sha256Digest,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AcceptedRow {
    contract_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Labels>,
    proposal_id: String,
    proposer_id: String,
    approvers: Vec<Approver>,
    final_votes: Vec<Ballot>,
    data_digest: Sha256Digest,
}

/// What a list asks for.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code, reason = "its schema is used; empty and absent differ")]
pub(super) struct ListQuery {
    /// `name:value` pairs, separated by commas; all must match.
    label_selector: Option<String>,
    /// At most so many items, 1 to 1000; all when absent.
    limit: Option<String>,
    /// Only what comes behind this id.
    after: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UserDocuments")]
pub(super) struct List {
    value: Vec<list::Item>,
    #[serde(rename = "nextLink", skip_serializing_if = "Option::is_none")]
    next_link: Option<String>,
}

/// Query: `labelSelector`, and see [`crate::paging::Paging`].
pub(super) fn list(_: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let reader = registered(ctx)?;
    let labels = list::selector(ctx)?;
    let (value, next) = list::list(ctx, &reader, &DRAFT_ROWS, &ACCEPTED_ROWS, &labels)?;
    let path = match scope(ctx)? {
        Some(contract) => format!("/app/contracts/{contract}/userdocuments"),
        None => "/app/userdocuments".to_owned(),
    };
    let pairs: Vec<String> = labels.iter().map(|(n, v)| format!("{n}:{v}")).collect();
    let selector = match pairs.is_empty() {
        true => String::new(),
        false => format!("&labelSelector={}", crate::paging::escape(&pairs.join(","))),
    };
    Reply::json(&List {
        value,
        next_link: next.map(|next| format!("{path}?{next}{selector}")),
    })
}

pub(super) fn put(_: &App, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    let id: DocumentId = ctx.path("documentId")?;
    let author = acting(ctx)?;
    let key = id.to_string();
    if is_accepted(ctx, &key)? {
        return Err(already_accepted());
    }
    let mut body: Body = ctx.json()?;
    let (contract, data) = body.target(ctx, &author)?;
    let labels = labels(&body.labels)?;
    let approvers = approvers(&body.approvers)?;
    let mut owner = author.id.clone();
    if let Some(stored) = ctx.read(&DRAFTS).get(&key)? {
        if stored.contract_id != contract.as_str() {
            return Err(other_contract(contract.as_str(), &stored.contract_id));
        }
        check_owner(ctx, &contract, Some(&stored.created_by), &author.id)?;
        owner = stored.created_by;
        if let Some(current) = versions::of_row(ctx, &DRAFTS, &key)? {
            versions::check("UserDocumentAlreadyExists", &body.version, current)?;
        }
    }
    let content = data.get().as_bytes().to_vec();
    let row = DraftRow {
        contract_id: contract.to_string(),
        labels,
        approvers,
        created_by: owner,
        data_digest: Sha256Digest::of(&content),
    };
    ctx.table(&DRAFTS).put(&key, &row)?;
    ctx.table(&DRAFT_DATA).put(&key, &content)?;
    Ok(Reply::ok())
}

pub(super) fn show(_: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let reader = registered(ctx)?;
    let id: DocumentId = ctx.path("documentId")?;
    let scope = scope(ctx)?;
    let shown = find(ctx, id.as_str())?;
    match shown.filter(|shown| shown.is_within(scope.as_ref().map(|id| id.as_str()))) {
        Some(shown) => {
            check_reader(ctx, &reader, shown.contract_id.as_deref())?;
            Reply::json(&shown)
        }
        None => Err(not_found()),
    }
}

pub(super) fn not_found() -> Error {
    Error::not_found("UserDocumentNotFound", "There is no such document.")
}

pub(crate) fn already_accepted() -> Error {
    Error::refused(
        405,
        "UserDocumentAlreadyAccepted",
        "The document is accepted and cannot change.",
    )
}

/// Whether approvers accepted the document of an id.
pub(crate) fn is_accepted<C: Context>(ctx: &mut C, id: &str) -> Result<bool> {
    ctx.read(&ACCEPTED).has(&id.to_owned())
}

/// The draft of an id.
pub(crate) fn draft<C: Context>(ctx: &mut C, id: &str) -> Result<Option<Draft>> {
    let key = id.to_owned();
    let Some(row) = ctx.read(&DRAFTS).get(&key)? else {
        return Ok(None);
    };
    Ok(Some(Draft {
        contract: row.contract_id,
        data: content(ctx, &DRAFT_DATA, &key)?,
        labels: row.labels,
        approvers: row.approvers,
        version: of_version(versions::of_row(ctx, &DRAFTS, &key)?),
    }))
}

/// Stores what the approvers of a proposal accepted.
pub(crate) fn accept(
    ctx: &mut WriteContext<'_>,
    proposal_id: &str,
    proposal: &user_proposals::Proposal,
    info: &user_proposals::Info,
) -> Result<()> {
    let document = &proposal.args.document;
    let content = document.data.get().as_bytes().to_vec();
    let row = AcceptedRow {
        contract_id: document.contract_id.clone(),
        labels: document.labels.clone(),
        proposal_id: proposal_id.to_owned(),
        proposer_id: info.proposer_id.clone(),
        approvers: proposal.approvers.clone(),
        final_votes: info.ballots.clone(),
        data_digest: Sha256Digest::of(&content),
    };
    let key = proposal.args.document_id.clone();
    ctx.table(&ACCEPTED).put(&key, &row)?;
    ctx.table(&ACCEPTED_DATA).put(&key, &content)
}

/// The accepted document of an id.
pub(super) fn accepted<C: Context>(ctx: &mut C, id: &str) -> Result<Option<Shown>> {
    let key = id.to_owned();
    let Some(row) = ctx.read(&ACCEPTED).get(&key)? else {
        return Ok(None);
    };
    let votes = row.final_votes.into_iter().map(Vote::Approver).collect();
    Ok(Some(Shown {
        version: of_version(versions::of_row(ctx, &ACCEPTED, &key)?),
        contract_id: Some(row.contract_id),
        data: Some(content(ctx, &ACCEPTED_DATA, &key)?),
        labels: row.labels,
        approvers: Some(row.approvers),
        proposal_id: row.proposal_id,
        proposer_id: Some(row.proposer_id),
        final_votes: Some(votes),
        ..Shown::new(id, State::Accepted)
    }))
}

/// Who accepted a document, and the contract it belongs to.
pub(super) fn accepted_by<C: Context>(
    ctx: &mut C,
    id: &str,
) -> Result<Option<(String, Vec<Approver>)>> {
    let row = ctx.read(&ACCEPTED).get(&id.to_owned())?;
    Ok(row.map(|row| (row.contract_id, row.approvers)))
}

fn find<C: Context>(ctx: &mut C, id: &str) -> Result<Option<Shown>> {
    if let Some(shown) = accepted(ctx, id)? {
        return Ok(Some(shown));
    }
    let draft = draft(ctx, id)?;
    if let Some(shown) = proposed(ctx, id, draft.as_ref())? {
        return Ok(Some(shown));
    }
    Ok(draft.map(|draft| Shown {
        version: draft.version,
        contract_id: Some(draft.contract),
        data: Some(draft.data),
        labels: draft.labels,
        approvers: draft.approvers,
        proposer_id: Some(String::new()),
        ..Shown::new(id, State::Draft)
    }))
}

fn proposed<C: Context>(ctx: &mut C, id: &str, draft: Option<&Draft>) -> Result<Option<Shown>> {
    let Some(open) = user_proposals::open_for(ctx, id)? else {
        return Ok(None);
    };
    let document = open.proposal.args.document;
    let differs = draft.is_some_and(|draft| {
        document.contract_id != draft.contract || !same(Some(&document.data), Some(&draft.data))
    });
    Ok(Some(Shown {
        version: document.version,
        contract_id: Some(document.contract_id),
        data: Some(document.data),
        labels: document.labels,
        approvers: Some(open.proposal.approvers),
        proposal_id: open.id,
        proposer_id: Some(open.proposer_id),
        draft_matches: differs.then_some(false),
        ..Shown::new(id, State::Proposed)
    }))
}

fn content<C: Context>(
    ctx: &mut C,
    table: &Table<String, Vec<u8>, Raw>,
    key: &String,
) -> Result<Box<RawValue>> {
    let stored = ctx.read(table).get(key)?.unwrap_or_default();
    serde_json::from_slice(&stored).map_err(|e| Error::Stored {
        table: table.name().to_owned(),
        // The reader's own words could quote the value.
        reason: format!("{:?} error at column {}", e.classify(), e.column()),
    })
}

/// Most labels, and longest name and value of one, in bytes.
const MOST_LABELS: usize = 64;
const LONGEST_LABEL: usize = 256;

fn labels(given_labels: &Value) -> Result<Option<Labels>> {
    if !given(given_labels) {
        return Ok(None);
    }
    let is_label =
        |text: &str| !text.is_empty() && text.len() <= LONGEST_LABEL && !text.contains([',', ':']);
    serde_json::from_value::<Labels>(given_labels.clone())
        .ok()
        .filter(|labels| labels.len() <= MOST_LABELS)
        .filter(|labels| labels.iter().all(|(n, v)| is_label(n) && is_label(v)))
        .map(Some)
        .ok_or_else(|| {
            Error::bad_request(
                "InvalidInput",
                "Labels are up to 64 pairs of text of 1 to 256 bytes without commas and colons.",
            )
        })
}

/// Most approvers of one document.
const MOST_APPROVERS: usize = 256;

/// Approvers as a caller gives them.
///
/// # Errors
/// 400 `InvalidInput`.
pub(crate) fn approvers(given_approvers: &Value) -> Result<Option<Vec<Approver>>> {
    if !given(given_approvers) {
        return Ok(None);
    }
    let is_id = |id: &str| (1..=256).contains(&id.len()) && !id.chars().any(char::is_control);
    serde_json::from_value::<Vec<Approver>>(given_approvers.clone())
        .ok()
        .filter(|list| list.len() <= MOST_APPROVERS)
        .filter(|list| list.iter().all(|approver| is_id(&approver.approver_id)))
        .map(Some)
        .ok_or_else(|| {
            Error::bad_request(
                "InvalidInput",
                "Approvers are up to 256 objects with approverId and approverIdType.",
            )
        })
}
