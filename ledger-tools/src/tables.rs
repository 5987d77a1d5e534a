//! Tables as they were at a position.

use std::collections::BTreeMap;
use std::path::Path;

use ledger::{MapSection, SINGLE_KEY, Seqno, TxId};
use serde::de::DeserializeOwned;

use crate::error::AuditError;
use crate::replay::Replay;
use crate::values::read;
use crate::verify::VerifyOptions;

/// A row, and the transaction that wrote it last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The value.
    pub value: Vec<u8>,
    /// The transaction of the write.
    pub written: TxId,
}

/// The rows of one table by key.
pub type Table = BTreeMap<Vec<u8>, Row>;

/// Tables by name. A table that was ever written is there, also when it is empty by now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    tables: BTreeMap<String, Table>,
}

impl Tables {
    /// No tables.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the writes and removes of a transaction.
    pub fn apply(&mut self, written: TxId, sections: &[MapSection<'_>]) {
        self.apply_some(written, sections, |_| true);
    }

    /// Takes those of the tables that `keep` wants, so that memory is bounded by what is asked for.
    pub fn apply_some(
        &mut self,
        written: TxId,
        sections: &[MapSection<'_>],
        keep: impl Fn(&str) -> bool,
    ) {
        for section in sections.iter().filter(|section| keep(section.name)) {
            let table = self.tables.entry(section.name.to_owned()).or_default();
            for (key, value) in &section.writes {
                let value = value.to_vec();
                table.insert(key.to_vec(), Row { value, written });
            }
            for key in &section.removes {
                table.remove(*key);
            }
        }
    }

    /// The row under a key.
    #[must_use]
    pub fn row(&self, table: &str, key: &[u8]) -> Option<&Row> {
        self.tables.get(table)?.get(key)
    }

    /// The value under a key.
    #[must_use]
    pub fn value(&self, table: &str, key: &[u8]) -> Option<&[u8]> {
        self.row(table, key).map(|row| row.value.as_slice())
    }

    /// The value of a table that has one row.
    #[must_use]
    pub fn only(&self, table: &str) -> Option<&[u8]> {
        self.value(table, &SINGLE_KEY)
    }

    /// The value under a key, read as JSON; `None` where there is none or it is not of this form.
    #[must_use]
    pub fn json<T: DeserializeOwned>(&self, table: &str, key: &[u8]) -> Option<T> {
        read(self.value(table, key)?)
    }

    /// The rows of a table in the order of their keys; none of a table that was never written.
    pub fn rows(&self, table: &str) -> impl Iterator<Item = (&[u8], &Row)> {
        self.tables
            .get(table)
            .into_iter()
            .flatten()
            .map(|(key, row)| (key.as_slice(), row))
    }

    /// Whether a table was ever written.
    #[must_use]
    pub fn knows(&self, table: &str) -> bool {
        self.tables.contains_key(table)
    }

    /// All tables by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Table)> {
        self.tables
            .iter()
            .map(|(name, table)| (name.as_str(), table))
    }
}

/// The public tables that `keep` wants, as the transaction at `seqno` left them. The ledger is verified on the way.
///
/// # Errors
/// [`AuditError`].
pub fn tables_at(
    directory: &Path,
    options: &VerifyOptions,
    seqno: Seqno,
    keep: impl Fn(&str) -> bool,
) -> Result<Tables, AuditError> {
    let mut replay = Replay::open(directory, options)?;
    let mut tables = Tables::new();
    while let Some(transaction) = replay.next_transaction()? {
        let entry = &transaction.entry;
        if entry.seqno <= seqno {
            tables.apply_some(entry.id(), &entry.sections, &keep);
        }
    }
    Ok(tables)
}
