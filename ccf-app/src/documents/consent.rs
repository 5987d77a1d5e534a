//! Consent to an accepted user document (endpoints E44 to E46): each approver has a flag for `execution` and one for `telemetry`;
//! one approver who disables an option disables it.
//!
//! Only the flags of approvers who are registered now count, so nobody who left blocks a document for good (W29).

use ccf_rs::{Context, Error, ReadContext, Reply, Result, Table, WriteContext};
use serde::{Deserialize, Serialize};

use super::target::other_contract;
use super::user::{Approver, accepted_by};
use crate::App;
use crate::callers::{acting, is_known};
use crate::flags::{DISABLED, ENABLED, Flags};
use crate::ids::{ContractId, DocumentId};
use crate::options::{self, Status};

/// The option that documents are handed out under.
pub(super) const EXECUTION: &str = "execution";
const OPTIONS: [&str; 2] = [EXECUTION, "telemetry"];

/// The key is the document's id, an underscore and the option. No option has an underscore, so the key is unambiguous.
static STATUS: Table<String, Stored> = Table::json("public:user_documents_runtime_option_status");

#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(rename = "serializedApproverToStatusMap")]
    pairs: String,
}

pub(super) fn status(app: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let contract: ContractId = ctx.path("contractId")?;
    options::check_asking(app, ctx, &contract)?;
    let (id, option) = target(ctx)?;
    let Some((owner, approvers)) = accepted_by(ctx, id.as_str())? else {
        let status = Status::disabled("UserDocumentNotAccepted", "The document is not accepted.");
        return Reply::json(&status);
    };
    check_option(&option)?;
    if owner != contract.as_str() {
        return Err(other_contract(&owner, contract.as_str()));
    }
    let disabled = disabled_by(ctx, id.as_str(), &option, &approvers)?;
    Reply::json(&if disabled.is_empty() {
        Status::of(true)
    } else {
        let message = format!("The option was disabled by: {}.", disabled.join(", "));
        Status::disabled("UserDocumentRuntimeOptionDisabled", message)
    })
}

pub(super) fn enable(_: &App, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    set(ctx, ENABLED)
}

pub(super) fn disable(_: &App, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    set(ctx, DISABLED)
}

/// Approvers who disabled an option of a document and are registered now.
pub(super) fn disabled_by<C: Context>(
    ctx: &mut C,
    id: &str,
    option: &str,
    approvers: &[Approver],
) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for approver in flags(ctx, &key(id, option))?.disabled() {
        let is_approver = approvers.iter().any(|a| a.approver_id == *approver);
        if is_approver && is_known(ctx, approver)? {
            found.push(approver.clone());
        }
    }
    Ok(found)
}

fn set(ctx: &mut WriteContext<'_>, status: &str) -> Result<Reply> {
    let person = acting(ctx)?;
    let (id, option) = target(ctx)?;
    let Some((owner, approvers)) = accepted_by(ctx, id.as_str())? else {
        return Err(Error::bad_request(
            "UserDocumentNotAccepted",
            "The document is not accepted.",
        ));
    };
    if approvers.is_empty() {
        return Err(Error::bad_request(
            "ApproversNotFound",
            "The document has no approvers.",
        ));
    }
    if !approvers.iter().any(|a| a.approver_id == person.id) {
        return Err(Error::refused(
            403,
            "NotUserDocumentApprover",
            "The caller is no approver of the document.",
        ));
    }
    check_option(&option)?;
    let contract: ContractId = ctx.path("contractId")?;
    if owner != contract.as_str() {
        return Err(other_contract(&owner, contract.as_str()));
    }
    let key = key(id.as_str(), &option);
    let mut flags = flags(ctx, &key)?;
    flags.set(&person.id, status);
    let pairs = flags.to_text()?;
    ctx.table(&STATUS).put(&key, &Stored { pairs })?;
    Ok(Reply::ok())
}

fn target<C: Context>(ctx: &C) -> Result<(DocumentId, String)> {
    Ok((ctx.path("documentId")?, ctx.path("option")?))
}

fn key(id: &str, option: &str) -> String {
    format!("{id}_{option}")
}

fn flags<C: Context>(ctx: &mut C, key: &String) -> Result<Flags> {
    match ctx.read(&STATUS).get(key)? {
        Some(stored) => Flags::of_text(STATUS.name(), &stored.pairs),
        None => Ok(Flags::default()),
    }
}

fn check_option(option: &str) -> Result<()> {
    if OPTIONS.contains(&option) {
        return Ok(());
    }
    Err(Error::bad_request(
        "InvalidUserDocumentRuntimeOption",
        "Documents have no such option.",
    ))
}
