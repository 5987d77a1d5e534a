//! The writes that a transaction ought to have, over the tables before it: what scripts run on.

use std::collections::{BTreeMap, BTreeSet};

use constitution::{Kv, KvError};

use super::names::is_framework;
use crate::tables::Tables;

/// A transaction in the making.
pub(super) struct Draft<'t> {
    before: &'t Tables,
    /// New value by table and key; `None` for a remove.
    writes: BTreeMap<String, BTreeMap<Vec<u8>, Option<Vec<u8>>>>,
    /// Application tables that were cleared: their rows are not known here.
    cleared: BTreeSet<String>,
}

impl<'t> Draft<'t> {
    pub(super) const fn new(before: &'t Tables) -> Self {
        Self {
            before,
            writes: BTreeMap::new(),
            cleared: BTreeSet::new(),
        }
    }

    /// The tables before this transaction.
    pub(super) const fn before(&self) -> &'t Tables {
        self.before
    }

    /// The value as this transaction leaves it so far.
    pub(super) fn value(&self, table: &str, key: &[u8]) -> Option<&[u8]> {
        match self.writes.get(table).and_then(|rows| rows.get(key)) {
            Some(write) => write.as_deref(),
            None => self.before.value(table, key),
        }
    }

    /// All rows of a table as this transaction leaves them so far.
    pub(super) fn rows(&self, table: &str) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut rows: BTreeMap<_, _> = self
            .before
            .rows(table)
            .map(|(key, row)| (key.to_vec(), row.value.clone()))
            .collect();
        for (key, write) in self.writes.get(table).into_iter().flatten() {
            match write {
                Some(value) => rows.insert(key.clone(), value.clone()),
                None => rows.remove(key),
            };
        }
        rows
    }

    pub(super) fn set(&mut self, table: &str, key: &[u8], value: Option<Vec<u8>>) {
        let rows = self.writes.entry(table.to_owned()).or_default();
        rows.insert(key.to_vec(), value);
    }

    /// Takes back what was written to a table.
    pub(super) fn forget(&mut self, table: &str) {
        self.writes.remove(table);
    }

    /// Every write so far. Removes of rows that were not there are left out.
    pub(super) fn effective(&self) -> BTreeMap<(&str, &[u8]), Option<&[u8]>> {
        let mut writes = BTreeMap::new();
        for (table, rows) in &self.writes {
            for (key, value) in rows {
                if value.is_some() || self.before.row(table, key).is_some() {
                    writes.insert((table.as_str(), key.as_slice()), value.as_deref());
                }
            }
        }
        writes
    }

    /// Whether removing a row of an application table, whose rows are not known here, was asked for.
    pub(super) fn removes(&self, table: &str, key: &[u8]) -> bool {
        let removed = self
            .writes
            .get(table)
            .and_then(|rows| rows.get(key))
            .is_some_and(Option::is_none);
        removed || self.cleared.contains(table)
    }
}

impl Kv for Draft<'_> {
    fn get(&mut self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        Ok(self.value(table, key).map(<[u8]>::to_vec))
    }

    fn put(&mut self, table: &str, key: &[u8], value: &[u8]) -> Result<(), KvError> {
        self.set(table, key, Some(value.to_vec()));
        Ok(())
    }

    fn remove(&mut self, table: &str, key: &[u8]) -> Result<(), KvError> {
        self.set(table, key, None);
        Ok(())
    }

    fn clear(&mut self, table: &str) -> Result<(), KvError> {
        for key in self.rows(table).into_keys() {
            self.set(table, &key, None);
        }
        if !is_framework(table) {
            self.cleared.insert(table.to_owned());
        }
        Ok(())
    }

    fn for_each(
        &mut self,
        table: &str,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<(), KvError> {
        for (key, value) in self.rows(table) {
            visit(&key, &value);
        }
        Ok(())
    }

    fn version_of_previous_write(
        &mut self,
        table: &str,
        key: &[u8],
    ) -> Result<Option<u64>, KvError> {
        Ok(self.before.row(table, key).map(|row| row.written.seqno.0))
    }
}
