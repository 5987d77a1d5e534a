//! Proposing a user document.

use std::collections::BTreeSet;

use attestation::Sha256Digest;
use ccf_rs::{Context, Error, Reply, Result, WriteContext};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Document, INFOS, Info, OPEN, PROPOSALS, State};
use crate::App;
use crate::callers::{acting, counted_members};
use crate::documents::{self, Approver, UserDraft};
use crate::governed;
use crate::ids::{ContractId, DocumentId, UserProposalId};
use crate::json::{given, same};
use crate::membership;

/// The only action.
const SET_DOCUMENT: &str = "set_user_document";

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "PutUserProposal")]
pub(super) struct Body {
    /// `set_user_document`.
    #[serde(default)]
    #[schemars(with = "String")]
    name: Value,
    /// `documentId`, and `document` as it was read.
    #[serde(default)]
    args: Value,
    /// Those of the draft; where it names none, at least all members whose votes count.
    #[serde(default)]
    #[schemars(with = "Vec<Approver>")]
    approvers: Value,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "UserProposalReference")]
pub(super) struct Created {
    proposal_id: String,
}

/// How a proposal is refused.
pub(super) const REFUSALS: [(u16, &str); 13] = [
    (400, "TooFewApprovers"),
    (412, "PreconditionFailed"),
    (409, "ProposalAlreadyExists"),
    (400, "ApproversMissing"),
    (400, "EmptyApprovers"),
    (400, "InvalidProposalType"),
    (400, "InvalidUserDocumentId"),
    (405, "UserDocumentAlreadyAccepted"),
    (409, "UserDocumentAlreadyProposed"),
    (400, "UserDocumentMissing"),
    (404, "UserDocumentNotFound"),
    (400, "UserDocumentMismatch"),
    (400, "ApproversMismatch"),
];

pub(super) fn create(_: &App, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    let id: UserProposalId = ctx.path("proposalId")?;
    let proposer = acting(ctx)?;
    let key = id.to_string();
    if ctx.read(&INFOS).has(&key)? {
        return Err(Error::refused(
            409,
            "ProposalAlreadyExists",
            "There is a proposal of this id.",
        ));
    }
    let body: Body = ctx.json()?;
    let approvers = approvers(&body)?;
    let document_id = document_id(&body)?;
    let document_key = document_id.to_string();
    if documents::is_accepted(ctx, &document_key)? {
        return Err(documents::already_accepted());
    }
    if ctx.read(&OPEN).has(&document_key)? {
        return Err(Error::refused(
            409,
            "UserDocumentAlreadyProposed",
            "The document is in another open proposal.",
        ));
    }
    let contract = check_document(ctx, &document_key, &body.args, &approvers)?;
    membership::check(ctx, &proposer, &contract)?;

    let sent: Box<RawValue> = ctx.json()?;
    let info = Info {
        proposer_id: proposer.id,
        state: State::Open,
        ballots: Vec::new(),
        document_id: document_key.clone(),
        contract_id: contract.to_string(),
        digest: Sha256Digest::of(sent.get().as_bytes()),
    };
    let text = format!("{{\"actions\":[{}]}}", sent.get());
    ctx.table(&PROPOSALS).put(&key, &text.into_bytes())?;
    ctx.table(&INFOS).put(&key, &info)?;
    ctx.table(&OPEN).put(&document_key, &key)?;
    Reply::json(&Created { proposal_id: key })
}

fn approvers(body: &Body) -> Result<Vec<Approver>> {
    if !given(&body.approvers) {
        return Err(Error::bad_request(
            "ApproversMissing",
            "The proposal has no approvers.",
        ));
    }
    let approvers = documents::approvers(&body.approvers)?.unwrap_or_default();
    if approvers.is_empty() {
        return Err(Error::bad_request(
            "EmptyApprovers",
            "The proposal has no approvers.",
        ));
    }
    Ok(approvers)
}

fn document_id(body: &Body) -> Result<DocumentId> {
    if body.name != SET_DOCUMENT {
        return Err(Error::bad_request(
            "InvalidProposalType",
            "Users propose set_user_document and nothing else.",
        )
        .with_detail(json!({ "got": body.name, "want": SET_DOCUMENT })));
    }
    body.args
        .get("documentId")
        .and_then(Value::as_str)
        .and_then(|id| id.parse().ok())
        .ok_or_else(|| {
            Error::bad_request(
                "InvalidUserDocumentId",
                "The proposal does not name a document.",
            )
        })
}

/// What is proposed must be what the draft says (W11). The contract it belongs to.
fn check_document(
    ctx: &mut WriteContext<'_>,
    id: &str,
    args: &Value,
    approvers: &[Approver],
) -> Result<ContractId> {
    let document = args
        .get("document")
        .cloned()
        .and_then(|document| serde_json::from_value::<Document>(document).ok())
        .ok_or_else(|| {
            Error::bad_request(
                "UserDocumentMissing",
                "The proposal has no document with a contract and data.",
            )
        })?;
    let Some(draft) = documents::user_draft(ctx, id)? else {
        return Err(Error::not_found(
            "UserDocumentNotFound",
            "There is no draft of the document.",
        ));
    };
    if document.version.is_some() && document.version != draft.version {
        return Err(Error::refused(
            412,
            "PreconditionFailed",
            "The draft has changed since this version.",
        )
        .with_detail(json!({ "got": document.version, "want": draft.version })));
    }
    if let Some(part) = difference(&document, &draft) {
        return Err(Error::bad_request(
            "UserDocumentMismatch",
            "The proposed document is not what its draft says.",
        )
        .with_detail(json!({ "part": part })));
    }
    let contract = draft
        .contract
        .parse()
        .map_err(|_| Error::Internal("a draft names what cannot be a contract".to_owned()))?;
    check_approvers(ctx, &contract, &draft, approvers)?;
    Ok(contract)
}

fn difference(document: &Document, draft: &UserDraft) -> Option<&'static str> {
    if document.contract_id != draft.contract {
        return Some("contractId");
    }
    if !same(Some(&document.data), Some(&draft.data)) {
        return Some("data");
    }
    if document.labels.clone().unwrap_or_default() != draft.labels.clone().unwrap_or_default() {
        return Some("labels");
    }
    None
}

fn check_approvers(
    ctx: &mut WriteContext<'_>,
    contract: &ContractId,
    draft: &UserDraft,
    approvers: &[Approver],
) -> Result<()> {
    let ids = |list: &[Approver]| -> BTreeSet<String> {
        list.iter().map(|a| a.approver_id.clone()).collect()
    };
    let got = ids(approvers);
    let want = match draft.approvers.as_deref() {
        Some(list) if !list.is_empty() => ids(list),
        // More than these is no harm: each has to agree.
        _ => {
            let mut want: BTreeSet<String> = counted_members(ctx)?.into_iter().collect();
            want.extend(got.iter().cloned());
            want
        }
    };
    let options = governed::of_contract(ctx, contract)?;
    let least: usize = options.get("minimumApprovers")?.unwrap_or(1);
    if got.len() < least {
        return Err(Error::bad_request(
            "TooFewApprovers",
            "Members want more approvers for documents of this contract.",
        )
        .with_detail(json!({ "got": got.len(), "want": least })));
    }
    if got == want {
        return Ok(());
    }
    Err(Error::bad_request(
        "ApproversMismatch",
        "The approvers are not those of the draft, or, where it names none, leave out a member.",
    )
    .with_detail(json!({ "got": got, "want": want })))
}
