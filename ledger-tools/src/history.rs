//! Looking into a ledger: its transactions, its tables, one key's history.

use std::collections::BTreeMap;

use ledger::{Entry, SIGNATURES_MAP, TxId};
use serde::Serialize;
use serde_json::Value;

use crate::tables::{Table, Tables};
use crate::values::{readable, shown};

/// One transaction, without the rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TransactionSummary {
    /// Its id.
    pub transaction: TxId,
    /// Bytes of the entry.
    pub size: usize,
    /// Whether it is a signature over everything before it.
    pub signature: bool,
    /// Public table to the number of writes and removes.
    pub tables: BTreeMap<String, usize>,
    /// Whether it wrote private tables too. Their names and rows are encrypted.
    pub private: bool,
    /// Hex digest of what the application claims about it; absent when it claims nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims_digest: Option<String>,
}

impl TransactionSummary {
    /// Of one entry.
    #[must_use]
    pub fn of(entry: &Entry<'_>) -> Self {
        let count = |section: &ledger::MapSection<'_>| {
            (
                section.name.to_owned(),
                section.writes.len() + section.removes.len(),
            )
        };
        let claims = entry
            .claims_digest
            .filter(|digest| digest.to_hex().bytes().any(|b| b != b'0'));
        Self {
            transaction: entry.id(),
            size: entry.bytes.len(),
            signature: entry.section(SIGNATURES_MAP).is_some(),
            tables: entry.sections.iter().map(count).collect(),
            private: entry.has_private_domain(),
            claims_digest: claims.map(|digest| digest.to_hex()),
        }
    }
}

/// A change of one key.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyChange {
    /// The transaction.
    pub transaction: TxId,
    /// The key.
    pub key: String,
    /// The new value: JSON where it is JSON, else text. Absent when the key was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

/// The changes that a transaction makes to a table, or to one key of it. Keys are compared as they are shown.
pub fn changes(entry: &Entry<'_>, table: &str, key: Option<&str>) -> Vec<KeyChange> {
    let Some(section) = entry.section(table) else {
        return Vec::new();
    };
    let written = section
        .writes
        .iter()
        .map(|(key, value)| (*key, Some(*value)));
    let removed = section.removes.iter().map(|key| (*key, None));
    let shown = written.chain(removed).map(|(key, value)| KeyChange {
        transaction: entry.id(),
        key: readable(key),
        value: value.map(shown),
    });
    shown
        .filter(|change| key.is_none_or(|key| key == change.key))
        .collect()
}

/// A public table at some transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TableSummary {
    /// Its name.
    pub table: String,
    /// Its rows.
    pub rows: usize,
    /// The last write of a row that is still there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_written: Option<TxId>,
}

/// The tables, one line each.
#[must_use]
pub fn summaries(tables: &Tables) -> Vec<TableSummary> {
    let summary = |(name, rows): (&str, &Table)| TableSummary {
        table: name.to_owned(),
        rows: rows.len(),
        last_written: rows
            .values()
            .map(|row| row.written)
            .max_by_key(|id| id.seqno),
    };
    tables.iter().map(summary).collect()
}
