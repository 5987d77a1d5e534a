//! Member documents: drafted by members, accepted by governance.

use std::collections::BTreeMap;

use ccf_rs::{Context, Error, ReadContext, Reply, Result, Table, WriteContext};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::list::{self, Row};
use super::shown::{Shown, State, Vote, of_version};
use super::target::{Body, check_owner, check_reader, other_contract, scope};
use crate::App;
use crate::callers::{active_member, registered};
use crate::ids::{ContractId, DocumentId};
use crate::json::same;
use crate::proposals::{self, Action};
use crate::versions;

static DRAFTS: Table<String, Draft> = Table::json("public:documents");
static ACCEPTED: Table<String, Accepted> = Table::json("public:ccf.gov.accepted_member_documents");
static DRAFT_ROWS: Table<String, Row> = Table::json("public:documents");
static ACCEPTED_ROWS: Table<String, Row> = Table::json("public:ccf.gov.accepted_member_documents");

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Draft {
    contract_id: String,
    data: Box<RawValue>,
    /// The member who made it. Earlier software recorded none.
    #[serde(skip_serializing_if = "Option::is_none")]
    created_by: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Accepted {
    contract_id: Option<String>,
    data: Option<Box<RawValue>>,
    proposal_id: Option<String>,
    #[serde(default)]
    final_votes: BTreeMap<String, bool>,
}

const SET_DOCUMENT: &str = "set_member_document";

/// A document inside a proposal.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Copy {
    contract_id: Option<String>,
    data: Option<Box<RawValue>>,
    version: Option<Value>,
}

impl Copy {
    fn of(action: &Action) -> Self {
        #[derive(Deserialize)]
        struct SetDocument {
            document: Option<Copy>,
        }
        action
            .args::<SetDocument>()
            .and_then(|args| args.document)
            .unwrap_or_default()
    }
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DocumentReference")]
pub(super) struct Listed {
    id: String,
}

/// Query: see [`crate::paging::Paging`]. The list is a bare array, as existing clients know it; the link to the next page is a header
/// (RFC 8288).
pub(super) fn list(_: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let reader = registered(ctx)?;
    let labels = BTreeMap::new();
    let (items, next) = list::list(ctx, &reader, &DRAFT_ROWS, &ACCEPTED_ROWS, &labels)?;
    let ids: Vec<_> = items
        .into_iter()
        .map(|item| Listed { id: item.id })
        .collect();
    let reply = Reply::json(&ids)?;
    let Some(next) = next else {
        return Ok(reply);
    };
    let path = match scope(ctx)? {
        Some(contract) => format!("/app/contracts/{contract}/memberdocuments"),
        None => "/app/memberdocuments".to_owned(),
    };
    Ok(reply.with_header("link", format!("<{path}?{next}>; rel=\"next\"")))
}

pub(super) fn put(_: &App, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    let id: DocumentId = ctx.path("documentId")?;
    active_member(ctx)?;
    let author = registered(ctx)?;
    let key = id.to_string();
    if ctx.read(&ACCEPTED).has(&key)? {
        return Err(Error::refused(
            405,
            "DocumentAlreadyAccepted",
            "The document is accepted and cannot change.",
        ));
    }
    let mut body: Body = ctx.json()?;
    let (contract, data) = body.target(ctx, &author)?;
    let mut owner = Some(author.id.clone());
    if let Some(stored) = ctx.read(&DRAFTS).get(&key)? {
        if stored.contract_id != contract.as_str() {
            return Err(other_contract(contract.as_str(), &stored.contract_id));
        }
        check_owner(ctx, &contract, stored.created_by.as_deref(), &author.id)?;
        owner = stored.created_by;
        if let Some(current) = versions::of_row(ctx, &DRAFTS, &key)? {
            versions::check("DocumentAlreadyExists", &body.version, current)?;
        }
    }
    let draft = Draft {
        contract_id: contract.to_string(),
        data,
        created_by: owner,
    };
    ctx.table(&DRAFTS).put(&key, &draft)?;
    Ok(Reply::ok())
}

pub(super) fn show(app: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let reader = registered(ctx)?;
    let id: DocumentId = ctx.path("documentId")?;
    let scope = scope(ctx)?;
    let shown = find(app, ctx, id.as_str())?;
    match shown.filter(|shown| shown.is_within(scope.as_ref().map(|id| id.as_str()))) {
        Some(shown) => {
            check_reader(ctx, &reader, shown.contract_id.as_deref())?;
            Reply::json(&shown)
        }
        None => Err(not_found()),
    }
}

pub(super) fn not_found() -> Error {
    Error::not_found("DocumentNotFound", "There is no such document.")
}

/// The accepted document of an id.
pub(super) fn accepted<C: Context>(ctx: &mut C, id: &str) -> Result<Option<Shown>> {
    let key = id.to_owned();
    let Some(row) = ctx.read(&ACCEPTED).get(&key)? else {
        return Ok(None);
    };
    let votes = row
        .final_votes
        .iter()
        .map(|(member, vote)| Vote::Member {
            member_id: member.clone(),
            vote: *vote,
        })
        .collect();
    Ok(Some(Shown {
        version: of_version(versions::of_row(ctx, &ACCEPTED, &key)?),
        contract_id: row.contract_id,
        data: row.data,
        proposal_id: row.proposal_id.unwrap_or_default(),
        final_votes: Some(votes),
        ..Shown::new(id, State::Accepted)
    }))
}

/// The contract of an accepted document; the inner `None` is a document that names none.
pub(super) fn accepted_for<C: Context>(ctx: &mut C, id: &str) -> Result<Option<Option<String>>> {
    let row = ctx.read(&ACCEPTED).get(&id.to_owned())?;
    Ok(row.map(|row| row.contract_id))
}

/// Whether members of a contract drafted or proposed a document that is not accepted yet.
pub(super) fn is_undecided<C: Context>(
    app: &App,
    ctx: &mut C,
    contract: &ContractId,
    id: &str,
) -> Result<bool> {
    let draft = ctx.read(&DRAFTS).get(&id.to_owned())?;
    if draft.is_some_and(|draft| draft.contract_id == contract.as_str()) {
        return Ok(true);
    }
    let open = proposals::open(app, ctx)?;
    let is_for_contract = |action: &Action| {
        let copy = Copy::of(action);
        copy.contract_id.as_deref() == Some(contract.as_str())
    };
    let about = open.about(SET_DOCUMENT, id);
    Ok(about.iter().any(|(_, action)| is_for_contract(action)))
}

fn find<C: Context>(app: &App, ctx: &mut C, id: &str) -> Result<Option<Shown>> {
    if let Some(shown) = accepted(ctx, id)? {
        return Ok(Some(shown));
    }
    let key = id.to_owned();
    let draft = ctx.read(&DRAFTS).get(&key)?;
    if let Some(shown) = proposed(app, ctx, id, draft.as_ref())? {
        return Ok(Some(shown));
    }
    let Some(draft) = draft else {
        return Ok(None);
    };
    Ok(Some(Shown {
        version: of_version(versions::of_row(ctx, &DRAFTS, &key)?),
        contract_id: Some(draft.contract_id),
        data: Some(draft.data),
        ..Shown::new(id, State::Draft)
    }))
}

fn proposed<C: Context>(
    app: &App,
    ctx: &mut C,
    id: &str,
    draft: Option<&Draft>,
) -> Result<Option<Shown>> {
    let open = proposals::open(app, ctx)?;
    let Some((proposal_id, action)) = open.about(SET_DOCUMENT, id).first() else {
        return Ok(None);
    };
    let copy = Copy::of(action);
    let differs = draft.is_some_and(|draft| {
        copy.contract_id.as_ref() != Some(&draft.contract_id)
            || !same(copy.data.as_deref(), Some(&draft.data))
    });
    Ok(Some(Shown {
        version: copy.version,
        contract_id: copy.contract_id,
        data: copy.data,
        proposal_id: proposal_id.clone(),
        draft_matches: differs.then_some(false),
        ..Shown::new(id, State::Proposed)
    }))
}
