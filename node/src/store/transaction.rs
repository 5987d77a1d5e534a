//! An optimistic transaction: runs over one state, remembers what it read, collects what it
//! writes. Implements the interface that applications see.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use ccf_rs::{
    Capabilities, Historical, HostError, Positions, ReadHost, Seqno, TxId, TxStatus, View,
    WriteHost, may_read, may_write,
};

use super::state::{Bytes, State, TableWrites, Writes};

/// What a transaction asks of the ledger behind the store.
pub trait Chain: Send + Sync {
    /// View in which a position was executed; `None` when it is beyond what is known here.
    fn view_of(&self, seqno: Seqno) -> Option<View>;
    /// Status of a transaction id.
    fn status_of(&self, id: TxId) -> TxStatus;
    /// The last committed transaction.
    fn last_committed(&self) -> TxId;
    /// Committed transactions of a range.
    fn historical(&self, range: RangeInclusive<Seqno>) -> Result<Historical, HostError>;
    /// Positions at which a key was written, from an index.
    fn positions(
        &self,
        _table: &str,
        _key: &[u8],
        _range: RangeInclusive<Seqno>,
        _limit: usize,
    ) -> Result<Positions, HostError> {
        Ok(Positions::NotIndexed)
    }
    /// A value at the last committed state.
    fn committed(&self, table: &str, key: &[u8]) -> Option<Bytes>;
}

/// Which tables the code inside a transaction may touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// An application: its own tables, and the public tables of the framework for reading.
    Application,
    /// The framework itself: everything.
    Framework,
}

/// A transaction in progress.
pub struct Transaction {
    base: Arc<State>,
    root: Option<[u8; 32]>,
    chain: Arc<dyn Chain>,
    access: Access,
    now: Duration,
    reads: HashMap<Arc<str>, Reads>,
    writes: Writes,
    claims: Option<[u8; 32]>,
}

/// What was read of one table: versions of single keys (0: absent), and the version of the
/// whole table if it was iterated.
#[derive(Default)]
pub(super) struct Reads {
    pub(super) keys: HashMap<Bytes, Seqno>,
    pub(super) whole: Option<Seqno>,
}

/// What is left of a transaction when its code has run.
pub(super) struct Outcome {
    pub(super) base: Arc<State>,
    pub(super) reads: HashMap<Arc<str>, Reads>,
    pub(super) writes: Writes,
    pub(super) claims: Option<[u8; 32]>,
}

impl Transaction {
    /// A transaction over `base`; `root` is the Merkle root at that version, where the code
    /// inside needs it.
    pub fn new(
        base: Arc<State>,
        root: Option<[u8; 32]>,
        chain: Arc<dyn Chain>,
        access: Access,
        now: Duration,
    ) -> Self {
        Self {
            base,
            root,
            chain,
            access,
            now,
            reads: HashMap::new(),
            writes: Writes::new(),
            claims: None,
        }
    }

    /// The position this transaction reads.
    pub fn read_version(&self) -> Seqno {
        self.base.seqno()
    }

    /// Whether any table was touched. Answers carry a transaction id only then.
    pub fn touched_tables(&self) -> bool {
        !self.reads.is_empty() || !self.writes.is_empty()
    }

    /// Whether there is anything to commit.
    pub fn has_writes(&self) -> bool {
        !self.writes.is_empty()
    }

    pub(super) fn finish(self) -> Outcome {
        Outcome {
            base: self.base,
            reads: self.reads,
            writes: self.writes,
            claims: self.claims,
        }
    }

    fn readable(&self, table: &str) -> Result<(), HostError> {
        match self.access {
            Access::Application => may_read(table),
            Access::Framework => Ok(()),
        }
    }

    fn writable(&self, table: &str) -> Result<(), HostError> {
        match self.access {
            Access::Application => may_write(table),
            Access::Framework => Ok(()),
        }
    }

    fn reads_of(&mut self, table: &str) -> &mut Reads {
        if !self.reads.contains_key(table) {
            self.reads.insert(table.into(), Reads::default());
        }
        self.reads.entry(table.into()).or_default()
    }

    fn note_key(&mut self, table: &str, key: &[u8]) {
        let version = self.base.version(table, key).unwrap_or_default();
        self.reads_of(table).keys.insert(key.into(), version);
    }

    fn note_whole(&mut self, table: &str) {
        let version = self.base.table_version(table);
        self.reads_of(table).whole = Some(version);
    }

    fn own(&self, table: &str) -> Option<&TableWrites> {
        self.writes.get(table)
    }

    /// Rows of the range with own writes laid over them.
    fn merged(&self, table: &str, from: Option<&[u8]>, to: Option<&[u8]>) -> Vec<(Bytes, Bytes)> {
        let stored = self.base.range(table, from, to);
        let mut rows: BTreeMap<&Bytes, &Bytes> = stored.collect();
        for (key, value) in self.own(table).into_iter().flatten() {
            let inside = from.is_none_or(|from| key.as_ref() >= from)
                && to.is_none_or(|to| key.as_ref() < to);
            match value {
                Some(value) if inside => rows.insert(key, value),
                _ => rows.remove(key),
            };
        }
        rows.into_iter()
            .map(|(key, value)| (Arc::clone(key), Arc::clone(value)))
            .collect()
    }

    fn change(&mut self, table: &str, key: &[u8], value: Option<Bytes>) -> Result<(), HostError> {
        self.writable(table)?;
        if let Some(changes) = self.writes.get_mut(table) {
            changes.insert(key.into(), value);
        } else {
            self.writes
                .insert(table.into(), TableWrites::from([(key.into(), value)]));
        }
        Ok(())
    }
}

impl ReadHost for Transaction {
    fn get(&mut self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, HostError> {
        self.readable(table)?;
        if let Some(own) = self.own(table).and_then(|changes| changes.get(key)) {
            return Ok(own.as_ref().map(|value| value.to_vec()));
        }
        self.note_key(table, key);
        Ok(self.base.value(table, key).map(|value| value.to_vec()))
    }

    fn has(&mut self, table: &str, key: &[u8]) -> Result<bool, HostError> {
        self.readable(table)?;
        if let Some(own) = self.own(table).and_then(|changes| changes.get(key)) {
            return Ok(own.is_some());
        }
        self.note_key(table, key);
        Ok(self.base.value(table, key).is_some())
    }

    fn foreach(
        &mut self,
        table: &str,
        f: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), HostError> {
        self.range(table, None, None, f)
    }

    fn range(
        &mut self,
        table: &str,
        from: Option<&[u8]>,
        to: Option<&[u8]>,
        f: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), HostError> {
        self.readable(table)?;
        self.note_whole(table);
        if self.own(table).is_none() {
            // Whoever wants a few rows of many pays for a few.
            for (key, value) in self.base.range(table, from, to) {
                if !f(key, value) {
                    break;
                }
            }
            return Ok(());
        }
        for (key, value) in self.merged(table, from, to) {
            if !f(&key, &value) {
                break;
            }
        }
        Ok(())
    }

    fn len(&mut self, table: &str) -> Result<usize, HostError> {
        self.readable(table)?;
        self.note_whole(table);
        Ok(match self.own(table) {
            None => self.base.len(table),
            Some(_) => self.merged(table, None, None).len(),
        })
    }

    fn previous_write(&mut self, table: &str, key: &[u8]) -> Result<Option<Seqno>, HostError> {
        self.readable(table)?;
        self.note_key(table, key);
        Ok(self.base.version(table, key))
    }

    fn committed(&mut self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, HostError> {
        self.readable(table)?;
        Ok(self.chain.committed(table, key).map(|value| value.to_vec()))
    }

    fn view_of(&mut self, seqno: Seqno) -> Result<Option<View>, HostError> {
        Ok(self.chain.view_of(seqno))
    }

    fn status_of(&mut self, id: TxId) -> Result<TxStatus, HostError> {
        Ok(self.chain.status_of(id))
    }

    fn last_committed(&mut self) -> Result<TxId, HostError> {
        Ok(self.chain.last_committed())
    }

    fn historical(&mut self, range: RangeInclusive<Seqno>) -> Result<Historical, HostError> {
        self.chain.historical(range)
    }

    fn positions(
        &mut self,
        table: &str,
        key: &[u8],
        range: RangeInclusive<Seqno>,
        limit: usize,
    ) -> Result<Positions, HostError> {
        self.readable(table)?;
        self.chain.positions(table, key, range, limit)
    }

    fn table_version(&mut self, table: &str) -> Result<Option<Seqno>, HostError> {
        self.readable(table)?;
        self.note_whole(table);
        let changed = self.own(table).is_some();
        Ok((!changed).then(|| self.base.table_version(table)))
    }

    fn root_at_read_version(&mut self) -> Result<[u8; 32], HostError> {
        self.root.ok_or(HostError::Unsupported(
            "root_at_read_version was not asked for",
        ))
    }

    fn untrusted_time(&self) -> Duration {
        self.now
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            replies_after_commit: true,
            root_at_read_version: true,
        }
    }
}

impl WriteHost for Transaction {
    fn put(&mut self, table: &str, key: &[u8], value: &[u8]) -> Result<(), HostError> {
        self.change(table, key, Some(value.into()))
    }

    fn remove(&mut self, table: &str, key: &[u8]) -> Result<(), HostError> {
        self.change(table, key, None)
    }

    fn clear(&mut self, table: &str) -> Result<(), HostError> {
        self.writable(table)?;
        self.note_whole(table);
        for (key, _) in self.merged(table, None, None) {
            self.change(table, &key, None)?;
        }
        Ok(())
    }

    fn set_claims_digest(&mut self, digest: [u8; 32]) -> Result<(), HostError> {
        self.claims = Some(digest);
        Ok(())
    }
}
