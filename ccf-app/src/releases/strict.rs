//! Strict releases: what is handed out leaves only after its record is committed.
//!
//! A host may answer before the transaction is committed, as CCF does: should the primary be lost at that moment, the clean room has what it asked
//! for and no record says so. Members who do not accept that set the option `strictReleases` of a contract, or of the application. A release then
//! takes two calls. The first decides, records the grant, keeps what it wrapped in a private table, and answers 202 with its
//! transaction id. The same call with that id in the header `x-ms-ccf-transaction-id` decides again, by all that the first was decided by,
//! and hands out what was kept, once the transaction is committed; until then it answers 202. A transaction that was rolled back left nothing behind, so the
//! caller begins anew. On a host that answers after the commit the second call succeeds at once.
//!
//! What is kept is wrapped to the caller's key. There is one row for each subject and key, and the next grant replaces it.

use attestation::Sha256Digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ccf_rs::{Context, Error, Reply, Result, Table, TxId, TxStatus, WriteContext};
use serde::{Deserialize, Serialize};

use super::{Attempt, Wrapped};
use crate::governed;
use crate::ids::{ContractId, composite};
use crate::private::{self, PrivateTable};

/// How the second call is refused.
pub(crate) const REFUSALS: [(u16, &str); 2] =
    [(409, "ReleaseNotCommitted"), (409, "ReleaseMismatch")];

/// What 202 means, for the OpenAPI document.
pub(crate) const PENDING: &str = "The contract's releases are strict: the grant is recorded, not yet committed. Call again with its transaction id in the \
                                  header x-ms-ccf-transaction-id.";

const HEADER: &str = "x-ms-ccf-transaction-id";

/// Whether releases under this contract take two calls.
pub(super) fn applies<C: Context>(ctx: &mut C, contract: &ContractId) -> Result<bool> {
    let options = governed::of_contract(ctx, contract)?;
    Ok(options.get("strictReleases")?.unwrap_or(false))
}

/// The grant that a second call names.
///
/// # Errors
/// 400 `InvalidInput` when the header is no transaction id.
pub(super) fn named<C: Context>(ctx: &C) -> Result<Option<TxId>> {
    let Some(text) = ctx.request().headers.first(HEADER) else {
        return Ok(None);
    };
    let id = text.parse().map_err(|error: ccf_rs::ParseTxIdError| {
        Error::bad_request("InvalidInput", format!("{HEADER}: {error}"))
    })?;
    Ok(Some(id))
}

/// Keeps what was granted, and answers the first call.
pub(super) fn hold(
    ctx: &mut WriteContext<'_>,
    attempt: &Attempt<'_>,
    wrapped: &[u8],
) -> Result<Reply> {
    let row = Held {
        evidence: attempt.verified.digest(),
        wrapped: STANDARD.encode(wrapped),
    };
    let table = table(attempt.asked.contract);
    private::write(ctx, &table, &key(attempt), &row)?;
    Ok(pending())
}

/// Answers a second call.
///
/// # Errors
/// 409 `ReleaseNotCommitted` when the transaction can never be committed, 409 `ReleaseMismatch` when it granted something else, or to
/// another key or other evidence, or was followed by another grant.
pub(super) fn hand_out(
    ctx: &mut WriteContext<'_>,
    attempt: &Attempt<'_>,
    transaction: TxId,
) -> Result<Reply> {
    match ctx.status_of(transaction)? {
        TxStatus::Committed => {}
        TxStatus::Pending | TxStatus::Unknown => return Ok(pending()),
        TxStatus::Invalid => {
            return Err(Error::refused(
                409,
                "ReleaseNotCommitted",
                "The transaction was not committed: ask again without naming it.",
            ));
        }
    }
    let table = table(attempt.asked.contract);
    let key = key(attempt);
    let written = ctx.read(&table).previous_write(&key)?;
    let held: Option<Held> = private::read(ctx, &table, &key)?;
    match held {
        Some(held)
            if written == Some(transaction.seqno) && held.evidence == attempt.verified.digest() =>
        {
            Reply::json(&Wrapped {
                value: held.wrapped,
            })
        }
        _ => Err(Error::refused(
            409,
            "ReleaseMismatch",
            "The transaction granted something else.",
        )),
    }
}

#[derive(Serialize, Deserialize)]
struct Held {
    /// Of the evidence that the grant was for.
    evidence: Sha256Digest,
    /// Base64.
    wrapped: String,
}

fn table(contract: &ContractId) -> PrivateTable {
    Table::named(format!("held-releases-{contract}"))
}

fn key(attempt: &Attempt<'_>) -> String {
    let kind = attempt.asked.kind.as_str();
    let key = attempt.envelope.key_digest().to_string();
    composite(&[kind, attempt.asked.subject, &key])
}

fn pending() -> Reply {
    Reply::status(202).with_header("retry-after", "1")
}
