//! Tables with changes laid over them.

use std::collections::BTreeMap;

use constitution::{Kv, KvError};
use serde::Serialize;
use serde_json::Value;

use super::{SINGLETON, Tables, readable};

/// A row that would change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The table.
    pub table: String,
    /// The key; empty for the only row of a table that holds one value.
    pub key: String,
    /// The value now; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The value then; absent when the row would be removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// The tables underneath are never written to.
pub(super) struct Overlay<'a> {
    base: &'a mut dyn Tables,
    /// What was written, by table and key; `None` removes.
    writes: BTreeMap<String, BTreeMap<Vec<u8>, Option<Vec<u8>>>>,
    /// Rows that are there but are no change of the proposal.
    aside: BTreeMap<String, BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl<'a> Overlay<'a> {
    pub(super) fn new(base: &'a mut dyn Tables) -> Self {
        Self {
            base,
            writes: BTreeMap::new(),
            aside: BTreeMap::new(),
        }
    }

    /// Puts a row that the framework writes, and no action.
    pub(super) fn put_aside(&mut self, table: &str, key: &str, value: &[u8]) {
        self.aside
            .entry(table.to_owned())
            .or_default()
            .insert(key.as_bytes().to_vec(), value.to_vec());
    }

    /// The row as it was before any write.
    pub(super) fn before(&mut self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        match self.aside.get(table).and_then(|rows| rows.get(key)) {
            Some(value) => Ok(Some(value.clone())),
            None => self.base.get(table, key),
        }
    }

    /// The rows of a table as they were before any write.
    pub(super) fn rows_before(
        &mut self,
        table: &str,
    ) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, KvError> {
        let mut rows = BTreeMap::new();
        self.base.for_each(table, &mut |key, value| {
            rows.insert(key.to_vec(), value.to_vec());
        })?;
        rows.extend(self.aside.get(table).cloned().unwrap_or_default());
        Ok(rows)
    }

    /// The rows of a table with everything written.
    pub(super) fn rows(&mut self, table: &str) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, KvError> {
        let mut rows = self.rows_before(table)?;
        for (key, value) in self.writes.get(table).into_iter().flatten() {
            match value {
                Some(value) => rows.insert(key.clone(), value.clone()),
                None => rows.remove(key),
            };
        }
        Ok(rows)
    }

    /// Names of the tables that were written to.
    pub(super) fn written(&self) -> Vec<String> {
        self.writes.keys().cloned().collect()
    }

    /// Every row whose value is another one now.
    pub(super) fn changes(&mut self) -> Result<Vec<Change>, KvError> {
        let writes = self.writes.clone();
        let mut changes = Vec::new();
        for (table, rows) in &writes {
            for (key, after) in rows {
                let before = self.before(table, key)?;
                if before != *after {
                    changes.push(Change {
                        table: table.clone(),
                        key: key_text(key),
                        before: before.as_deref().map(readable),
                        after: after.as_deref().map(readable),
                    });
                }
            }
        }
        Ok(changes)
    }
}

fn key_text(key: &[u8]) -> String {
    if key == SINGLETON {
        return String::new();
    }
    std::str::from_utf8(key).map_or_else(|_| hex::encode(key), str::to_owned)
}

impl Kv for Overlay<'_> {
    fn get(&mut self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        match self.writes.get(table).and_then(|rows| rows.get(key)) {
            Some(value) => Ok(value.clone()),
            None => self.before(table, key),
        }
    }

    fn put(&mut self, table: &str, key: &[u8], value: &[u8]) -> Result<(), KvError> {
        self.writes
            .entry(table.to_owned())
            .or_default()
            .insert(key.to_vec(), Some(value.to_vec()));
        Ok(())
    }

    fn remove(&mut self, table: &str, key: &[u8]) -> Result<(), KvError> {
        self.writes
            .entry(table.to_owned())
            .or_default()
            .insert(key.to_vec(), None);
        Ok(())
    }

    fn clear(&mut self, table: &str) -> Result<(), KvError> {
        for key in self.rows(table)?.into_keys() {
            self.remove(table, &key)?;
        }
        Ok(())
    }

    fn for_each(
        &mut self,
        table: &str,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<(), KvError> {
        for (key, value) in self.rows(table)? {
            visit(&key, &value);
        }
        Ok(())
    }

    fn version_of_previous_write(
        &mut self,
        table: &str,
        key: &[u8],
    ) -> Result<Option<u64>, KvError> {
        self.base.version_of_previous_write(table, key)
    }
}

#[cfg(test)]
mod tests {
    use constitution::MemoryKv;
    use serde_json::json;

    use super::*;

    fn base() -> MemoryKv {
        let mut base = MemoryKv::default();
        for (key, value) in [("a", "1"), ("b", "\"text\""), ("c", "3")] {
            base.put("t", key.as_bytes(), value.as_bytes()).unwrap();
        }
        base
    }

    #[test]
    fn changes_are_those_that_make_a_difference() {
        let mut base = base();
        let untouched = base.clone();
        let mut overlay = Overlay::new(&mut base);
        overlay.put("t", b"a", b"2").unwrap();
        overlay.put("t", b"c", b"3").unwrap();
        overlay.remove("t", b"b").unwrap();
        overlay.remove("t", b"none").unwrap();
        overlay.put("u", &SINGLETON, b"\xff").unwrap();
        overlay.put_aside("t", "z", b"0");
        let change = |table: &str, key: &str, before: Option<Value>, after| Change {
            table: table.to_owned(),
            key: key.to_owned(),
            before,
            after,
        };
        assert_eq!(
            overlay.changes().unwrap(),
            [
                change("t", "a", Some(json!(1)), Some(json!(2))),
                change("t", "b", Some(json!("text")), None),
                change("u", "", None, Some(json!("ff"))),
            ]
        );
        assert_eq!(overlay.get("t", b"b").unwrap(), None);
        assert_eq!(overlay.size("t").unwrap(), 3);
        overlay.clear("t").unwrap();
        assert_eq!(overlay.size("t").unwrap(), 0);
        overlay.put("t", b"a", b"9").unwrap();
        assert_eq!(overlay.size("t").unwrap(), 1);
        assert_eq!(base, untouched);
    }
}
