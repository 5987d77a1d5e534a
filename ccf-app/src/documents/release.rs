//! Accepted documents for attested clean rooms (endpoints E23 and E27), wrapped to the attested key and recorded as every release.
//!
//! Only the contract's own policy admits, no delegate's. Consent and the state of the document are looked at in the same transaction
//! (H9): nothing is handed out while a member disabled the execution of the contract, or an approver that of the document.

use ccf_rs::{Context, Error, Reply, Result, WriteContext};
use serde_json::json;

use super::shown::Shown;
use super::{consent, member as member_documents, target, user as user_documents};
use crate::App;
use crate::envelope::Envelope;
use crate::ids::{ContractId, DocumentId};
use crate::releases::{self, Asked, Given, Kind};

pub(super) fn member(app: &App, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    let find = |ctx: &mut WriteContext<'_>, id: &str| {
        member_documents::accepted(ctx, id)?.ok_or_else(member_documents::not_found)
    };
    hand_out(app, ctx, find, |_, _| Ok(()))
}

pub(super) fn user(app: &App, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    let find = |ctx: &mut WriteContext<'_>, id: &str| {
        user_documents::accepted(ctx, id)?.ok_or_else(user_documents::not_found)
    };
    hand_out(app, ctx, find, |ctx, shown| {
        let approvers = shown.approvers.as_deref().unwrap_or_default();
        let disabled = consent::disabled_by(ctx, &shown.id, consent::EXECUTION, approvers)?;
        if disabled.is_empty() {
            return Ok(());
        }
        Err(Error::refused(
            403,
            "UserDocumentRuntimeOptionDisabled",
            "An approver disabled the execution of the document.",
        )
        .with_detail(json!({ "disabledBy": disabled })))
    })
}

fn hand_out(
    app: &App,
    ctx: &mut WriteContext<'_>,
    find: impl FnOnce(&mut WriteContext<'_>, &str) -> Result<Shown>,
    check: impl FnOnce(&mut WriteContext<'_>, &Shown) -> Result<()>,
) -> Result<Reply> {
    let contract: ContractId = ctx.path("contractId")?;
    let id: DocumentId = ctx.path("documentId")?;
    let envelope = Envelope::from_body(ctx)?;
    envelope.require_attestation()?;
    envelope.require_encryption()?;
    let asked = Asked {
        contract: &contract,
        kind: Kind::Document,
        subject: id.as_str(),
        delegate: None,
        made: is_accepted,
    };
    let check = |ctx: &mut WriteContext<'_>, _: &_| {
        let shown = find(ctx, id.as_str())?;
        if !shown.is_within(Some(contract.as_str())) {
            let got = shown.contract_id.as_deref().unwrap_or_default();
            return Err(target::other_contract(got, contract.as_str()));
        }
        check(ctx, &shown)?;
        Ok(shown)
    };
    releases::release(app, ctx, &envelope, &asked, check, |_, _, shown| {
        let text = serde_json::to_vec(&shown).map_err(|e| Error::Internal(e.to_string()))?;
        Ok(Given::new(text))
    })
}

/// Whether the contract has an accepted document of this id, of either kind.
fn is_accepted(ctx: &mut WriteContext<'_>, contract: &ContractId, id: &str) -> Result<bool> {
    let within = |shown: Option<Shown>| shown.is_some_and(|s| s.is_within(Some(contract.as_str())));
    Ok(within(member_documents::accepted(ctx, id)?) || within(user_documents::accepted(ctx, id)?))
}
