//! Contracts: drafts, and what the consortium accepted (endpoints E1 to E3).
//!
//! A contract's state is derived: *Accepted* once governance accepted it, for good; *Proposed* while an open proposal would; *Draft*
//! while there only is a draft. What becomes accepted is the copy in the proposal. While a contract is proposed, the answer says
//! so when that copy is not the draft members may have read (`"draftMatches": false`, W10); a client that knows nothing of this
//! member sees answers as it always did whenever there is nothing to see.

use std::collections::BTreeMap;

use ccf_rs::{
    Auth, Context, Endpoints, Error, MemberId, Raw, ReadContext, Reply, Result, Table, WriteContext,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::App;
use crate::callers::{NOT_ACTIVE, NOT_REGISTERED, PEOPLE, active_member, registered};
use crate::governed;
use crate::ids::ContractId;
use crate::json::{given_raw, same};
use crate::membership;
use crate::paging::{Paging, escape};
use crate::proposals;
use crate::versions;

pub(crate) fn endpoints(endpoints: Endpoints<App>) -> Endpoints<App> {
    endpoints
        .get("/contracts", list)
        .auth(PEOPLE)
        .summary("List the ids of contracts, all or those in one state")
        .query::<ListQuery>()
        .reply::<List>()
        .refuses(NOT_REGISTERED)
        .refuses([(400, "InvalidParameter")])
        .put("/contracts/{contractId}", put)
        .auth([Auth::MemberCert])
        .summary("Create or change the draft of a contract")
        .body::<PutContract>()
        .answers(200, "The draft is stored.")
        .refuses(NOT_ACTIVE)
        .refuses([
            (400, "DataMissing"),
            (403, "DraftOwnedByAnother"),
            (405, "ContractAlreadyAccepted"),
            (409, "ContractAlreadyExists"),
            (412, "PreconditionFailed"),
        ])
        .post("/contracts/{contractId}", show)
        .auth(PEOPLE)
        .summary("Read a contract, its state and its version")
        .reply::<Shown<'_>>()
        .refuses(NOT_REGISTERED)
        .refuses([(404, "ContractNotFound")])
}

/// Whether the consortium accepted a contract.
pub(crate) fn is_accepted<C: Context>(ctx: &mut C, contract: &ContractId) -> Result<bool> {
    ctx.read(&ACCEPTED).has(&contract.as_str().to_owned())
}

/// Whether there is a draft of a contract, or the consortium accepted it: a contract accepted without a draft exists (W10).
pub(crate) fn exists<C: Context>(ctx: &mut C, contract: &ContractId) -> Result<bool> {
    Ok(ctx.read(&DRAFTS).has(&contract.as_str().to_owned())? || is_accepted(ctx, contract)?)
}

static DRAFTS: Table<String, Draft> = Table::json("public:contracts");
static ACCEPTED: Table<String, Accepted> = Table::json("public:ccf.gov.accepted_contracts");
static DRAFT_KEYS: Table<String, Vec<u8>, Raw> = Table::raw("public:contracts");
static ACCEPTED_KEYS: Table<String, Vec<u8>, Raw> = Table::raw("public:ccf.gov.accepted_contracts");

/// A draft, as its author wrote it.
#[derive(Serialize, Deserialize)]
struct Draft {
    data: Box<RawValue>,
    /// The member who made the draft; earlier software stored none.
    #[serde(rename = "createdBy", default, skip_serializing_if = "Option::is_none")]
    created_by: Option<MemberId>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Accepted {
    data: Option<Box<RawValue>>,
    proposal_id: Option<String>,
    #[serde(default)]
    final_votes: BTreeMap<String, bool>,
}

/// A contract inside a proposal.
#[derive(Deserialize)]
struct Proposed {
    data: Option<Box<RawValue>>,
    version: Option<Value>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Contract")]
struct Shown<'a> {
    id: &'a ContractId,
    state: State,
    /// Of the draft or the accepted contract: the transaction that wrote it. Of a proposed contract: what the proposer wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<Value>,
    /// The terms, as they were written.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
    /// The proposal that would make it accepted, or did; empty for a draft.
    proposal_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    final_votes: Option<Vec<FinalVote>>,
    /// False when what is proposed is not the draft.
    #[serde(skip_serializing_if = "Option::is_none")]
    draft_matches: Option<bool>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "ContractState")]
enum State {
    Draft,
    Proposed,
    Accepted,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct FinalVote {
    member_id: String,
    vote: bool,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Contracts")]
struct List {
    value: Vec<Listed>,
    #[serde(rename = "nextLink", skip_serializing_if = "Option::is_none")]
    next_link: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ContractReference")]
struct Listed {
    id: String,
}

#[derive(Deserialize, JsonSchema)]
struct ListQuery {
    /// `Draft`, `Proposed` or `Accepted`; all when absent.
    state: Option<String>,
    /// At most so many items, 1 to 1000; all when absent.
    #[allow(dead_code, reason = "its schema is used: see Paging")]
    limit: Option<String>,
    /// Only what comes behind this id.
    #[allow(dead_code, reason = "as above")]
    after: Option<String>,
}

fn list(app: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let person = registered(ctx)?;
    let query: ListQuery = ctx.queries()?;
    let state = query.state.filter(|state| !state.is_empty());
    let open = match state.as_deref() {
        None | Some("Accepted") => None,
        Some("Proposed" | "Draft") => Some(proposals::open(app, ctx)?),
        Some(other) => {
            return Err(
                Error::bad_request("InvalidParameter", "There is no such state.").with_detail(
                    json!({ "got": other, "want": ["Draft", "Proposed", "Accepted"] }),
                ),
            );
        }
    };
    let is_in_state = |id: &str, is_accepted: bool| match (state.as_deref(), &open) {
        (None, _) => true,
        (Some("Accepted"), _) => is_accepted,
        (Some(state), Some(open)) => {
            let is_proposed = !open.about(SET_CONTRACT, id).is_empty();
            !is_accepted && is_proposed == (state == "Proposed")
        }
        (Some(_), None) => false,
    };
    let paging = Paging::of(ctx)?;
    let mut keys = |table: &Table<String, Vec<u8>, Raw>, is_accepted: bool| -> Result<Vec<_>> {
        let start = paging.start();
        let keys = ctx
            .read(table)
            .keys_in(start.as_deref(), None, paging.scanned())?;
        Ok(keys.into_iter().map(|id| (id, is_accepted)).collect())
    };
    let tables = [keys(&DRAFT_KEYS, false)?, keys(&ACCEPTED_KEYS, true)?];
    let page = paging.merged(tables, |id, is_accepted| {
        if !is_in_state(id, *is_accepted) {
            return Ok(false);
        }
        match id.parse() {
            Ok(contract) => membership::takes_part(ctx, &person, &contract),
            // Members may accept a contract by a name that no path can have.
            Err(_) => Ok(true),
        }
    })?;
    let value = page
        .items
        .into_iter()
        .map(|(id, _)| Listed { id })
        .collect();
    let selector = state.map_or_else(String::new, |state| format!("&state={}", escape(&state)));
    Reply::json(&List {
        value,
        next_link: page
            .next
            .map(|next| format!("/app/contracts?{next}{selector}")),
    })
}

const SET_CONTRACT: &str = "set_contract";

#[derive(Deserialize, JsonSchema)]
struct PutContract {
    /// The terms: any JSON but `null`, `false`, `0` and `""`.
    data: Option<Box<RawValue>>,
    /// To change a draft: its version.
    #[serde(default)]
    version: Value,
}

fn put(_: &App, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    let contract: ContractId = ctx.path("contractId")?;
    let member = active_member(ctx)?;
    if is_accepted(ctx, &contract)? {
        return Err(Error::refused(
            405,
            "ContractAlreadyAccepted",
            "The contract is accepted and cannot change.",
        ));
    }
    let body: PutContract = ctx.json()?;
    let Some(data) = body.data.filter(|data| given_raw(data)) else {
        return Err(Error::bad_request(
            "DataMissing",
            "The contract has no data.",
        ));
    };
    let key = contract.as_str().to_owned();
    if let Some(current) = versions::of_row(ctx, &DRAFTS, &key)? {
        versions::check("ContractAlreadyExists", &body.version, current)?;
    }
    let earlier = ctx.read(&DRAFTS).get(&key)?;
    let created_by = match earlier {
        Some(draft) => draft.created_by,
        None => Some(member.clone()),
    };
    let is_owner = created_by.as_ref().is_none_or(|owner| *owner == member);
    if !is_owner && governed::is_on(ctx, &contract, "ownerOnlyDrafts")? {
        return Err(Error::refused(
            403,
            "DraftOwnedByAnother",
            "Only the member who made the draft may change it.",
        ));
    }
    ctx.table(&DRAFTS).put(&key, &Draft { data, created_by })?;
    Ok(Reply::ok())
}

fn show(app: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    registered(ctx)?;
    let contract: ContractId = ctx.path("contractId")?;
    if let Some(shown) = accepted(ctx, &contract)? {
        return Reply::json(&shown);
    }
    let draft = ctx.read(&DRAFTS).get(&contract.as_str().to_owned())?;
    if let Some(shown) = proposed(app, ctx, &contract, draft.as_ref())? {
        return Reply::json(&shown);
    }
    let Some(draft) = draft else {
        return Err(Error::not_found(
            "ContractNotFound",
            "There is no such contract.",
        ));
    };
    Reply::json(&Shown {
        id: &contract,
        state: State::Draft,
        version: version_in(ctx, &DRAFTS, &contract)?,
        data: Some(draft.data),
        proposal_id: String::new(),
        final_votes: None,
        draft_matches: None,
    })
}

fn version_in<C: Context, V: Serialize + serde::de::DeserializeOwned>(
    ctx: &mut C,
    table: &Table<String, V>,
    contract: &ContractId,
) -> Result<Option<Value>> {
    let version = versions::of_row(ctx, table, &contract.as_str().to_owned())?;
    Ok(version.map(|version| json!(version)))
}

fn accepted<'a, C: Context>(ctx: &mut C, contract: &'a ContractId) -> Result<Option<Shown<'a>>> {
    let Some(row) = ctx.read(&ACCEPTED).get(&contract.as_str().to_owned())? else {
        return Ok(None);
    };
    let votes = row
        .final_votes
        .iter()
        .map(|(member, vote)| FinalVote {
            member_id: member.clone(),
            vote: *vote,
        })
        .collect();
    Ok(Some(Shown {
        id: contract,
        state: State::Accepted,
        version: version_in(ctx, &ACCEPTED, contract)?,
        data: row.data,
        proposal_id: row.proposal_id.unwrap_or_default(),
        final_votes: Some(votes),
        draft_matches: None,
    }))
}

fn proposed<'a, C: Context>(
    app: &App,
    ctx: &mut C,
    contract: &'a ContractId,
    draft: Option<&Draft>,
) -> Result<Option<Shown<'a>>> {
    #[derive(Deserialize)]
    struct SetContract {
        contract: Option<Proposed>,
    }
    let open = proposals::open(app, ctx)?;
    let Some((proposal_id, action)) = open.about(SET_CONTRACT, contract.as_str()).first() else {
        return Ok(None);
    };
    let copy = action
        .args::<SetContract>()
        .and_then(|args| args.contract)
        .unwrap_or(Proposed {
            data: None,
            version: None,
        });
    let differs = draft.is_some_and(|draft| !same(copy.data.as_deref(), Some(&draft.data)));
    Ok(Some(Shown {
        id: contract,
        state: State::Proposed,
        version: copy.version,
        data: copy.data,
        proposal_id: proposal_id.clone(),
        final_votes: None,
        draft_matches: differs.then_some(false),
    }))
}
