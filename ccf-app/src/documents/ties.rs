//! What hangs on documents (H9): a secret, or a delegate policy, may name documents of its contract. It then counts only while each of
//! them is accepted and no approver has disabled its execution, which is looked at in the transaction of the release itself.

use ccf_rs::{Context, Error, Result};
use serde_json::json;

use super::{consent, member, user};
use crate::ids::{ContractId, DocumentId};

/// Most documents that one thing may hang on.
const MOST: usize = 32;

/// How a release is refused that hangs on a document.
pub(crate) const NOT_IN_FORCE: (u16, &str) = (403, "DocumentNotInForce");

/// Reads ids of documents as a caller names them: sorted, each once.
///
/// # Errors
/// 400 with `code` when one is no id, or there are too many.
pub(crate) fn named(ids: Vec<String>, code: &'static str) -> Result<Vec<String>> {
    let is_id = |id: &String| id.parse::<DocumentId>().is_ok();
    if ids.len() > MOST || !ids.iter().all(is_id) {
        return Err(Error::bad_request(
            code,
            "What documents are named is not a list of their ids.",
        )
        .with_detail(json!({ "member": "documents", "got": ids.len(), "want": MOST })));
    }
    let mut ids = ids;
    ids.sort();
    ids.dedup();
    Ok(ids)
}

/// Holds a release to the documents that it hangs on.
///
/// # Errors
/// 403 `DocumentNotInForce`, with the document and why.
pub(crate) fn check<C: Context>(ctx: &mut C, contract: &ContractId, ids: &[String]) -> Result<()> {
    for id in ids {
        if let Some(reason) = missing(ctx, contract, id)? {
            let (status, code) = NOT_IN_FORCE;
            let message =
                "A document that this hangs on is not accepted, or consent to it is withdrawn.";
            let detail = json!({ "documentId": id, "reason": reason });
            return Err(Error::refused(status, code, message).with_detail(detail));
        }
    }
    Ok(())
}

/// What a document lacks: the code that its own release would be refused with.
fn missing<C: Context>(
    ctx: &mut C,
    contract: &ContractId,
    id: &str,
) -> Result<Option<&'static str>> {
    let ours = |owner: &str| owner == contract.as_str();
    // Ids are one namespace for each kind: of what has this id, all must be in force.
    let as_member_document = member::accepted_for(ctx, id)?;
    let as_user_document = user::accepted_by(ctx, id)?;
    if as_member_document.is_none() && as_user_document.is_none() {
        return Ok(Some("DocumentNotAccepted"));
    }
    if as_member_document.is_some_and(|owner| !owner.is_some_and(|owner| ours(&owner))) {
        return Ok(Some("ContractIdMismatch"));
    }
    if let Some((owner, approvers)) = as_user_document {
        if !ours(&owner) {
            return Ok(Some("ContractIdMismatch"));
        }
        if !consent::disabled_by(ctx, id, consent::EXECUTION, &approvers)?.is_empty() {
            return Ok(Some("UserDocumentRuntimeOptionDisabled"));
        }
    }
    Ok(None)
}
