//! All tables at one version.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::thread;

use ccf_rs::Seqno;
use ledger::{MapSection, SnapshotMap, SnapshotRow};
use rpds::HashTrieMapSync;

use super::rows::Rows;

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
    rows: Rows<Row>,
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
        self.tables.get(table).map_or(0, |table| table.rows.len())
    }

    /// Rows with `from <= key < to`, ascending.
    pub fn range<'a>(
        &'a self,
        table: &str,
        from: Option<&'a [u8]>,
        to: Option<&'a [u8]>,
    ) -> impl Iterator<Item = (&'a Bytes, &'a Bytes)> + 'a {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let from = from.map_or(Unbounded, Included);
        let to = to.map_or(Unbounded, Excluded);
        self.tables
            .get(table)
            .into_iter()
            .flat_map(move |table| table.rows.range(from, to))
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
                        table.rows.insert(Arc::clone(key), row);
                    }
                    None => {
                        table.rows.remove(key);
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

    /// The same state with the tables of `other` beside its own; those of `other` win.
    #[must_use]
    pub fn with_tables_of(&self, other: &Self) -> Self {
        let mut next = self.clone();
        for (name, table) in &other.tables {
            next.tables.insert_mut(Arc::clone(name), table.clone());
        }
        next
    }

    fn row(&self, table: &str, key: &[u8]) -> Option<&Row> {
        self.tables.get(table)?.rows.get(key)
    }
}

/// A state in the making, from a ledger or a snapshot. Nobody sees it before it is finished, so its tables are not the
/// persistent ones yet: those are built at the end, in one go.
#[derive(Default)]
pub struct StateBuilder {
    seqno: Seqno,
    /// Where each table stands among the tables.
    names: HashMap<Arc<str>, usize>,
    tables: Vec<TableBuilder>,
}

#[derive(Default)]
struct TableBuilder {
    rows: BTreeMap<Bytes, Row>,
    version: Seqno,
}

impl StateBuilder {
    /// Applies what the transaction at `seqno` wrote.
    pub fn apply(&mut self, seqno: Seqno, sections: &[MapSection<'_>]) {
        self.seqno = self.seqno.max(seqno);
        for section in sections {
            let table = self.table(section.name);
            table.version = table.version.max(seqno);
            for (key, value) in &section.writes {
                let row = Row {
                    value: Arc::from(*value),
                    version: seqno,
                };
                table.rows.insert(Arc::from(*key), row);
            }
            for key in &section.removes {
                table.rows.remove(*key);
            }
        }
    }

    /// A whole table, as a snapshot has it: rows in any order with the position of their last write, each key once.
    pub fn load(&mut self, map: &SnapshotMap<'_>) {
        let version = Seqno(map.version.0);
        self.seqno = self.seqno.max(version);
        let table = self.table(map.name);
        table.version = version;
        let mut rows: Vec<_> = map.rows.iter().map(|row| (leading(row.0), row)).collect();
        rows.sort_unstable_by(|(a, (one, ..)), (b, (other, ..))| {
            a.cmp(b).then_with(|| one.cmp(other))
        });
        table.rows = copied(&rows).collect();
    }

    /// Takes the position of a transaction that wrote nothing here.
    pub fn advance(&mut self, seqno: Seqno) {
        self.seqno = self.seqno.max(seqno);
    }

    /// Position of the last transaction so far.
    pub const fn seqno(&self) -> Seqno {
        self.seqno
    }

    /// The value under `key` so far.
    pub fn value(&self, table: &str, key: &[u8]) -> Option<&Bytes> {
        let table = self.tables.get(*self.names.get(table)?)?;
        Some(&table.rows.get(key)?.value)
    }

    /// The state.
    pub fn finish(mut self) -> State {
        let tables = self.names.into_iter().filter_map(|(name, at)| {
            let table = std::mem::take(self.tables.get_mut(at)?);
            let built = Table {
                rows: Rows::from_sorted(table.rows.into_iter()),
                version: table.version,
            };
            Some((name, built))
        });
        State {
            seqno: self.seqno,
            tables: tables.collect(),
        }
    }

    fn table(&mut self, name: &str) -> &mut TableBuilder {
        // Names are few and transactions many: a name is copied once.
        let at = match self.names.get(name) {
            Some(at) => *at,
            None => {
                self.tables.push(TableBuilder::default());
                self.names.insert(Arc::from(name), self.tables.len() - 1);
                self.tables.len() - 1
            }
        };
        // Every position among the names is that of a table.
        &mut self.tables[at]
    }
}

/// Rows of a snapshot as a table has them. They lie in the file in another order than here, so that reading them is what takes
/// the time: several threads do it.
fn copied(rows: &[(u64, &SnapshotRow<'_>)]) -> impl Iterator<Item = (Bytes, Row)> {
    let copy = |rows: &[(u64, &SnapshotRow<'_>)]| -> Vec<(Bytes, Row)> {
        let rows = rows.iter().map(|(_, (key, value, version))| {
            let row = Row {
                value: Arc::from(*value),
                version: Seqno(version.0),
            };
            (Arc::from(*key), row)
        });
        rows.collect()
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let part = rows.len().div_ceil(workers).max(ROWS_OF_A_THREAD);
    let parts: Vec<_> = thread::scope(|scope| {
        let begun: Vec<_> = rows
            .chunks(part)
            .map(|rows| scope.spawn(move || copy(rows)))
            .collect();
        let parts = begun.into_iter().map(|thread| thread.join());
        parts
            .map(|part| part.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    parts.into_iter().flatten()
}

/// Fewer are not worth a thread.
const ROWS_OF_A_THREAD: usize = 10_000;

/// The first bytes of a key as a number of the same order: most keys are told apart without looking at them.
fn leading(key: &[u8]) -> u64 {
    let mut leading = [0; 8];
    let length = key.len().min(leading.len());
    for (to, from) in leading.iter_mut().zip(key.get(..length).unwrap_or(key)) {
        *to = *from;
    }
    u64::from_be_bytes(leading)
}
