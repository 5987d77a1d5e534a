//! What a draft is for: checks that both kinds of documents have in common.

use ccf_rs::{Context, Error, Result};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::user::{Approver, Labels};
use crate::callers::Person;
use crate::contracts;
use crate::governed;
use crate::ids::ContractId;
use crate::json::{given, given_raw};
use crate::membership;

/// The body of a change.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PutDocument")]
pub(super) struct Body {
    #[serde(default)]
    #[schemars(with = "String")]
    contract_id: Value,
    /// The content: any JSON but `null`, `false`, `0` and `""`.
    data: Option<Box<RawValue>>,
    /// To change a draft: its version.
    #[serde(default)]
    pub(super) version: Value,
    /// Of user documents.
    #[serde(default)]
    #[schemars(with = "Option<Labels>")]
    pub(super) labels: Value,
    /// Of user documents.
    #[serde(default)]
    #[schemars(with = "Option<Vec<Approver>>")]
    pub(super) approvers: Value,
}

/// Whether a caller may see a document: one of a contract that the caller takes part in, or of none.
///
/// # Errors
/// 403 `NotInContract`.
pub(super) fn check_reader<C: Context>(
    ctx: &mut C,
    reader: &Person,
    contract: Option<&str>,
) -> Result<()> {
    match contract.and_then(|id| id.parse().ok()) {
        Some(contract) => membership::check(ctx, reader, &contract),
        None => Ok(()),
    }
}

/// The contract below which a route is; `None` for the older routes.
pub(super) fn scope<C: Context>(ctx: &C) -> Result<Option<ContractId>> {
    let scoped = ctx
        .request()
        .params
        .iter()
        .any(|(name, _)| name == "contractId");
    scoped.then(|| ctx.path("contractId")).transpose()
}

impl Body {
    /// The contract and the content of the draft.
    ///
    /// # Errors
    /// 400 `ContractIdMissing`, 400 `DataMissing`, 404 `ContractNotFound`, 400 `ContractIdMismatch`, 403 `NotInContract`.
    pub(super) fn target<C: Context>(
        &mut self,
        ctx: &mut C,
        author: &Person,
    ) -> Result<(ContractId, Box<RawValue>)> {
        let contract = self.contract_id.as_str().filter(|id| !id.is_empty());
        let Some(contract) = contract.filter(|_| given(&self.contract_id)) else {
            return Err(Error::bad_request(
                "ContractIdMissing",
                "The document names no contract.",
            ));
        };
        let Some(data) = self.data.take().filter(|data| given_raw(data)) else {
            return Err(Error::bad_request(
                "DataMissing",
                "The document has no data.",
            ));
        };
        let not_found = || Error::not_found("ContractNotFound", "There is no such contract.");
        let contract: ContractId = contract.parse().map_err(|_| not_found())?;
        if !contracts::exists(ctx, &contract)? {
            return Err(not_found());
        }
        if let Some(scope) = scope(ctx)?
            && scope != contract
        {
            return Err(other_contract(contract.as_str(), scope.as_str()));
        }
        membership::check(ctx, author, &contract)?;
        Ok((contract, data))
    }
}

/// A draft may be changed by whoever takes part in its contract, unless members want only its owner to (W16): who made it.
///
/// # Errors
/// 403 `DraftOwnedByAnother`.
pub(super) fn check_owner<C: Context>(
    ctx: &mut C,
    contract: &ContractId,
    owner: Option<&str>,
    caller: &str,
) -> Result<()> {
    if owner.is_none_or(|owner| owner == caller)
        || !governed::is_on(ctx, contract, "ownerOnlyDrafts")?
    {
        return Ok(());
    }
    Err(Error::refused(
        403,
        "DraftOwnedByAnother",
        "Only who made the draft may change it.",
    ))
}

/// A document stays with its contract.
pub(super) fn other_contract(got: &str, want: &str) -> Error {
    Error::bad_request(
        "ContractIdMismatch",
        "The document belongs to another contract.",
    )
    .with_detail(json!({ "got": got, "want": want }))
}
