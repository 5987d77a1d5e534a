//! What hangs on documents (H9): a secret, or a delegate policy, may name documents of its contract. It then counts only while each of
//! them is accepted and no approver has disabled its execution, which is looked at in the transaction of the release itself.
//!
//! Ids are one namespace for each kind of document. A name says which kind it means, `member/ID` or `user/ID`, or is the bare id and means what
//! there is. Whoever takes part in a contract may make a user document of any id and accept it alone, so one does not stand in
//! for a member document of its id that members have yet to decide. One that nobody drafted yet is safe only in a name that says its kind.

use ccf_rs::{Context, Error, Result};
use serde_json::json;

use super::{consent, member, user};
use crate::App;
use crate::ids::{ContractId, DocumentId};

/// Most documents that one thing may hang on.
const MOST: usize = 32;

/// How a release is refused that hangs on a document.
pub(crate) const NOT_IN_FORCE: (u16, &str) = (403, "DocumentNotInForce");

/// Which documents a name may mean.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Member,
    User,
    Any,
}

/// The kind and the id in a name. No id has a slash.
fn parts(name: &str) -> (Kind, &str) {
    match name.split_once('/') {
        Some(("member", id)) => (Kind::Member, id),
        Some(("user", id)) => (Kind::User, id),
        _ => (Kind::Any, name),
    }
}

/// Reads names of documents as a caller gives them: sorted, each once.
///
/// # Errors
/// 400 with `code` when one is no id, with or without its kind, or there are too many.
pub(crate) fn named(names: Vec<String>, code: &'static str) -> Result<Vec<String>> {
    let is_name = |name: &String| parts(name).1.parse::<DocumentId>().is_ok();
    if names.len() > MOST || !names.iter().all(is_name) {
        return Err(Error::bad_request(
            code,
            "What documents are named is not a list of their ids.",
        )
        .with_detail(json!({ "member": "documents", "got": names.len(), "want": MOST })));
    }
    let mut names = names;
    names.sort();
    names.dedup();
    Ok(names)
}

/// Holds a release to the documents that it hangs on.
///
/// # Errors
/// 403 `DocumentNotInForce`, with the document as it is named and why.
pub(crate) fn check<C: Context>(
    app: &App,
    ctx: &mut C,
    contract: &ContractId,
    names: &[String],
) -> Result<()> {
    for name in names {
        if let Some(reason) = missing(app, ctx, contract, name)? {
            let (status, code) = NOT_IN_FORCE;
            let message =
                "A document that this hangs on is not accepted, or consent to it is withdrawn.";
            let detail = json!({ "documentId": name, "reason": reason });
            return Err(Error::refused(status, code, message).with_detail(detail));
        }
    }
    Ok(())
}

/// What a document lacks: the code that its own release would be refused with.
fn missing<C: Context>(
    app: &App,
    ctx: &mut C,
    contract: &ContractId,
    name: &str,
) -> Result<Option<&'static str>> {
    let ours = |owner: &str| owner == contract.as_str();
    let (kind, id) = parts(name);
    // Of what has this id, and is meant, all must be in force.
    let as_member_document = match kind {
        Kind::User => None,
        _ => member::accepted_for(ctx, id)?,
    };
    let as_user_document = match kind {
        Kind::Member => None,
        _ => user::accepted_by(ctx, id)?,
    };
    let is_undecided = kind == Kind::Any
        && as_member_document.is_none()
        && member::is_undecided(app, ctx, contract, id)?;
    if is_undecided || (as_member_document.is_none() && as_user_document.is_none()) {
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
