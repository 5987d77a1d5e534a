//! Rows of private tables: wiped from memory, and never quoted by an error.

use ccf_rs::{Context, Error, Raw, Result, Table, WriteContext};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use zeroize::Zeroizing;

/// A private table: the name says so, for it does not begin with `public:`.
pub(crate) type PrivateTable = Table<String, Vec<u8>, Raw>;

/// Secret text in memory: without `Debug`, `Display` or `Serialize`, and zeroed when dropped.
pub(crate) struct SecretText(Zeroizing<String>);

impl SecretText {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_bytes(mut self) -> Vec<u8> {
        std::mem::take(&mut *self.0).into_bytes()
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

/// Reads a row.
///
/// # Errors
/// [`Error::Stored`], which says where the row is unreadable and nothing of what it says.
pub(crate) fn read<C: Context, T: DeserializeOwned>(
    ctx: &mut C,
    table: &PrivateTable,
    key: &str,
) -> Result<Option<T>> {
    let Some(bytes) = ctx.read(table).get(&key.to_owned())?.map(Zeroizing::new) else {
        return Ok(None);
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|e| Error::Stored {
            table: table.name().to_owned(),
            // The reader's own words could quote the value.
            reason: format!("{:?} error at column {}", e.classify(), e.column()),
        })
}

/// Writes a row. `row` borrows what is secret, so that no other copy of it is made on the way to the store.
pub(crate) fn write(
    ctx: &mut WriteContext<'_>,
    table: &PrivateTable,
    key: &str,
    row: &impl Serialize,
) -> Result<()> {
    let row = serde_json::to_vec(row)
        .map_err(|_| Error::Internal("a private row could not be encoded".to_owned()))?;
    let row = Zeroizing::new(row);
    Ok(ctx.writer().put(table.name(), key.as_bytes(), &row)?)
}
