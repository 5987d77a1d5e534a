//! All tables at one version.

use std::collections::BTreeMap;
use std::sync::Arc;

use ccf_rs::Seqno;
use rpds::{HashTrieMapSync, RedBlackTreeMapSync};

/// Keys and values, shared between versions.
pub type Bytes = Arc<[u8]>;

/// Changes to one table: `None` removes the key.
pub type TableWrites = BTreeMap<Bytes, Option<Bytes>>;

/// Changes of one transaction, by table.
pub type Writes = BTreeMap<Arc<str>, TableWrites>;

/// All tables at one version. Cloning shares everything.
#[derive(Clone, Default)]
pub struct State {
    seqno: Seqno,
    tables: HashTrieMapSync<Arc<str>, Table>,
}

#[derive(Clone, Default)]
struct Table {
    rows: RedBlackTreeMapSync<Bytes, Row>,
    /// Position of the last write to any key, removals included.
    version: Seqno,
}

#[derive(Clone)]
struct Row {
    value: Bytes,
    version: Seqno,
}

impl State {
    /// Position of the last transaction applied.
    pub fn seqno(&self) -> Seqno {
        self.seqno
    }

    /// The value under `key`.
    pub fn value(&self, table: &str, key: &[u8]) -> Option<&Bytes> {
        self.row(table, key).map(|row| &row.value)
    }

    /// Position of the last write of a present key.
    pub fn version(&self, table: &str, key: &[u8]) -> Option<Seqno> {
        self.row(table, key).map(|row| row.version)
    }

    /// Position of the last write to any key of the table; 0 when there was none.
    pub fn table_version(&self, table: &str) -> Seqno {
        self.tables
            .get(table)
            .map_or(Seqno(0), |table| table.version)
    }

    /// Number of rows of a table.
    pub fn len(&self, table: &str) -> usize {
        self.tables.get(table).map_or(0, |table| table.rows.size())
    }

    /// Rows with `from <= key < to`, ascending.
    pub fn range<'a>(
        &'a self,
        table: &str,
        from: Option<&'a [u8]>,
        to: Option<&'a [u8]>,
    ) -> impl Iterator<Item = (&'a Bytes, &'a Bytes)> + 'a {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let empty = from.zip(to).is_some_and(|(from, to)| from >= to);
        let bounds = (
            from.map_or(Unbounded, Included),
            to.map_or(Unbounded, Excluded),
        );
        self.tables
            .get(table)
            .filter(|_| !empty)
            .into_iter()
            .flat_map(move |table| table.rows.range::<[u8], _>(bounds))
            .map(|(key, row)| (key, &row.value))
    }

    /// Names of all tables ever written and the position of their last write.
    pub fn tables(&self) -> impl Iterator<Item = (&Arc<str>, Seqno)> {
        self.tables
            .iter()
            .map(|(name, table)| (name, table.version))
    }

    /// Rows of a table with the position of their last write.
    pub fn versioned_rows(&self, table: &str) -> impl Iterator<Item = (&Bytes, &Bytes, Seqno)> {
        let table = self.tables.get(table);
        table
            .into_iter()
            .flat_map(|table| table.rows.iter())
            .map(|(key, row)| (key, &row.value, row.version))
    }

    /// The state after `writes` at `seqno`, which need not be the next position: a signature
    /// is applied after transactions that stand behind it in the ledger.
    #[must_use]
    pub fn with(&self, seqno: Seqno, writes: &Writes) -> Self {
        let mut next = self.clone();
        next.seqno = next.seqno.max(seqno);
        for (name, changes) in writes {
            let mut table = next.tables.get(name).cloned().unwrap_or_default();
            table.version = table.version.max(seqno);
            for (key, value) in changes {
                match value {
                    Some(value) => {
                        let row = Row {
                            value: Arc::clone(value),
                            version: seqno,
                        };
                        table.rows.insert_mut(Arc::clone(key), row);
                    }
                    None => {
                        table.rows.remove_mut(key);
                    }
                }
            }
            next.tables.insert_mut(Arc::clone(name), table);
        }
        next
    }

    /// The same state with one more position taken, by a transaction still to be applied.
    #[must_use]
    pub fn reserving(&self) -> Self {
        Self {
            seqno: Seqno(self.seqno.0 + 1),
            tables: self.tables.clone(),
        }
    }

    fn row(&self, table: &str, key: &[u8]) -> Option<&Row> {
        self.tables.get(table)?.rows.get(key)
    }
}
