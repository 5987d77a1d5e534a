//! Rows of tables with a single row, as scripts' effects read and write them.

use constitution::{Kv, KvError};
use ledger::{SINGLE_KEY, canonical};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The row, if there is one.
pub(super) fn read<T: DeserializeOwned>(kv: &mut dyn Kv, table: &str) -> Result<Option<T>, String> {
    kv.get(table, &SINGLE_KEY)
        .map_err(text)?
        .map(|row| serde_json::from_slice(&row))
        .transpose()
        .map_err(|_| format!("table {table} cannot be read"))
}

/// Writes the row.
pub(super) fn write<T: Serialize + ?Sized>(
    kv: &mut dyn Kv,
    table: &str,
    row: &T,
) -> Result<(), String> {
    let row = canonical(row).map_err(|e| e.to_string())?;
    kv.put(table, &SINGLE_KEY, &row).map_err(text)
}

pub(super) fn text(error: KvError) -> String {
    error.0
}
