//! Versions of drafts and of what was accepted: a version is the id of the transaction that wrote the row.
//!
//! A change names the version it changes, so that of two people who change the same draft the second is told. The check and
//! the write belong to one transaction.

use ccf_rs::{Context, Error, Key, Result, Seqno, Table, TxId, Value as Storable};
use serde_json::{Value, json};

use crate::json::given;

/// The id of the transaction at a position.
///
/// # Errors
/// 503 `ViewNotKnown` when this node does not know the view of the position.
pub(crate) fn version<C: Context>(ctx: &mut C, seqno: Seqno) -> Result<TxId> {
    match ctx.view_of(seqno)? {
        Some(view) => Ok(TxId { view, seqno }),
        None => Err(Error::refused(
            503,
            "ViewNotKnown",
            "This node does not know the view of the version yet.",
        )),
    }
}

/// The version of a row; `None` when there is none.
pub(crate) fn of_row<C: Context, K: Key, V: Storable<F>, F>(
    ctx: &mut C,
    table: &Table<K, V, F>,
    key: &K,
) -> Result<Option<TxId>> {
    match ctx.read(table).previous_write(key)? {
        Some(seqno) => version(ctx, seqno).map(Some),
        None => Ok(None),
    }
}

/// A change must name the version it changes. `exists` is the code of the answer when it names none.
///
/// # Errors
/// 409 with `exists`, 412 `PreconditionFailed`.
pub(crate) fn check(exists: &'static str, given_version: &Value, current: TxId) -> Result<()> {
    if !given(given_version) {
        return Err(Error::refused(
            409,
            exists,
            "It exists. To change it, name its version.",
        ));
    }
    if given_version.as_str() != Some(current.to_string().as_str()) {
        return Err(Error::refused(
            412,
            "PreconditionFailed",
            "It has changed since this version.",
        )
        .with_detail(json!({ "got": given_version, "want": current })));
    }
    Ok(())
}
